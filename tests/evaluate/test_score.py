"""One photograph's figures, against numbers worked out by hand and by scikit-image."""

import dataclasses
import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from cleanplate.evaluate.score import LARGEST_PSNR_DB, cap_mean, score_marks, score_result
from cleanplate.structures import Box
from tests.evaluate.conftest import make_triple


def test_a_perfect_result(tmp_path):
    triple = make_triple(tmp_path)
    score = score_result(triple, triple.truth_u8, found=triple.inside)
    assert score.inside_after == score.whole_after == math.inf
    assert score.inside_before == pytest.approx(
        peak_signal_noise_ratio(triple.truth_u8[triple.inside], triple.marked_u8[triple.inside])
    )
    assert score.whole_before == pytest.approx(peak_signal_noise_ratio(triple.truth_u8, triple.marked_u8))
    assert score.repaired
    assert score.touched
    assert not score.harmed
    assert (score.tally.f1, score.tally.iou) == (1, 1)
    assert [mark.found for mark in score.marks] == [True]
    assert score.gain == pytest.approx(LARGEST_PSNR_DB - score.inside_before)
    assert (score.width, score.height, score.format) == (200, 120, "png")


def test_a_photograph_left_alone(tmp_path):
    triple = make_triple(tmp_path, jpeg_quality=90)
    score = score_result(triple, triple.marked_u8, found=np.zeros_like(triple.inside))
    assert score.inside_before == score.inside_after
    assert not score.repaired
    assert not score.harmed
    assert not score.touched
    assert score.gain == 0
    assert score.tally.f1 == 0
    assert (score.format, score.jpeg_quality) == ("jpeg", 90)


@pytest.mark.parametrize(("factor", "repaired"), [(0.70, True), (0.72, False)])
def test_repaired_begins_at_three_decibels(tmp_path, factor, repaired):
    triple = make_triple(tmp_path, opacity=1.0)
    error = triple.marked_u8.astype(float) - triple.truth_u8  # 3 dB are a factor of 0.708
    result = np.round(triple.truth_u8 + error * factor).astype(np.uint8)
    assert score_result(triple, result).repaired is repaired


def test_harmed_begins_above_a_twentieth_of_a_decibel(tmp_path):
    triple = make_triple(tmp_path)
    result = triple.marked_u8.copy()
    result[100:110, 10:30] += 1
    slight = score_result(triple, result)
    assert slight.whole_after < slight.whole_before
    assert not slight.harmed
    result[100:110, 10:190] += 60
    assert score_result(triple, result).harmed


def test_a_clean_photograph(tmp_path):
    triple = make_triple(tmp_path, box=None)
    untouched = score_result(triple, triple.marked_u8, found=np.zeros_like(triple.inside))
    assert untouched.is_clean
    assert not untouched.touched
    assert not untouched.harmed
    assert not untouched.repaired
    assert untouched.gain == 0
    assert untouched.marks == ()
    result = triple.marked_u8.copy()
    result[5, 5, 0] ^= 1
    touched = score_result(triple, result)
    assert touched.touched
    assert not score_result(triple, result, tolerance=1).touched
    assert touched.harmed  # the input was perfect
    assert touched.gain == 0  # far above the cap
    result[50:60, 50:60] = 255
    assert score_result(triple, result).gain < -10


def test_another_size_is_a_mistake(tmp_path):
    triple = make_triple(tmp_path)
    with pytest.raises(ValueError, match="the result has shape"):
        score_result(triple, triple.truth_u8[:-1])


def test_marks_far_apart_are_counted_apart():
    opacity = np.zeros((200, 400), np.float32)
    opacity[Box(20, 20, 60, 40).slices] = 0.3
    opacity[Box(64, 20, 100, 40).slices] = 0.3  # the same mark's next letter
    opacity[Box(300, 150, 380, 180).slices] = 0.9
    opacity[190, 5:8] = 0.5  # too small to be one
    inside = opacity > 0.02
    found = np.zeros_like(inside)
    found[:, 350:] = True
    found[:, :60] = True
    marks = score_marks(opacity, inside, found)
    assert [round(mark.opacity, 2) for mark in marks] == [0.3, 0.9]
    assert [mark.found for mark in marks] == [True, False]
    assert marks[0].found_share == pytest.approx(40 / 76)


def test_means_count_a_perfect_result_as_a_cap():
    assert cap_mean([20.0, math.inf]) == (20 + LARGEST_PSNR_DB) / 2
    assert math.isnan(cap_mean([]))


def test_what_is_left_of_an_outline_is_measured(tmp_path):
    triple = make_triple(tmp_path, box=Box(40, 30, 140, 90))
    ghost = triple.truth_u8.copy()
    ghost[28:32, 38:142] = 255
    ghost[88:92, 38:142] = 255
    ghosted, perfect = (score_result(triple, picture) for picture in (ghost, triple.truth_u8))
    assert ghosted.ring_after > 0.3  # two of its four edges
    assert ghosted.ring_rmse_after > 30
    assert (perfect.ring_after, perfect.ring_rmse_after, perfect.ssim_after) == (0, 0, 1)
    assert perfect.ssim_before == ghosted.ssim_before < 1
    clean = make_triple(tmp_path, "clean", box=None)
    assert math.isnan(score_result(clean, clean.marked_u8).ring_before)


def test_where_no_mark_can_be_seen_nothing_is_repaired(tmp_path):
    triple = dataclasses.replace(make_triple(tmp_path), marked_u8=make_triple(tmp_path).truth_u8)
    score = score_result(triple, triple.truth_u8)
    assert score.inside_before == math.inf
    assert not score.repaired
