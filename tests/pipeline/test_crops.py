from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.detect.mask import detect_from_probability
from cleanplate.pipeline.crops import (
    CropRule,
    cut_crops,
    merge_overlapping,
    merge_where_smaller,
    place_crops,
    share_out,
)
from cleanplate.structures import Box, Photo, Quantisation

some_boxes = st.lists(
    st.builds(
        lambda left, top, width, height: Box(left, top, left + width, top + height),
        st.integers(0, 80),
        st.integers(0, 80),
        st.integers(1, 20),
        st.integers(1, 20),
    ),
    max_size=12,
)


@given(some_boxes)
def test_merged_boxes_cover_the_given_ones_and_never_overlap(boxes: list[Box]) -> None:
    merged = merge_overlapping(boxes)
    for box in boxes:
        assert any(box.union(other) == other for other in merged)
    for number, box in enumerate(merged):
        assert not any(box.overlaps(other) for other in merged[number + 1 :])


def test_crops_have_context_and_stay_inside() -> None:
    (crop,) = place_crops([Box(5, 100, 60, 120)], 400, 500)
    assert crop == Box(0, 46, 128, 174)


@given(some_boxes, st.integers(100, 300), st.integers(100, 300))
def test_crops_are_multiples_of_64_or_as_large_as_the_photograph(
    boxes: list[Box], height: int, width: int
) -> None:
    placed = place_crops(boxes, height, width)
    for box in placed:
        assert 0 <= box.left < box.right <= width
        assert 0 <= box.top < box.bottom <= height
        assert box.width % 64 == 0 or box.width == width
        assert box.height % 64 == 0 or box.height == height
    for box in boxes:
        assert any(box.union(other) == other for other in placed)
    assert merge_overlapping(placed) == placed


def test_large_crops_are_cut() -> None:
    rule = CropRule(longest_px=256, overlap_px=32)
    placed = place_crops([Box(0, 0, 600, 100)], 300, 600, rule)
    assert max(max(box.width, box.height) for box in placed) <= 256
    covered = np.zeros((300, 600), bool)
    for box in placed:
        covered[box.slices] = True
    assert covered[:100].all()


def test_windows_are_no_larger_than_their_number_needs_where_the_area_counts() -> None:
    long = Box(0, 100, 1000, 120)
    rule = CropRule(
        context_px=30, context_share=0, longest_px=800, overlap_px=100, align_px=32, saves_area=True
    )
    placed = place_crops([long], 300, 1000, rule)
    assert [box.width for box in placed] == [576, 576]
    assert [box.width for box in place_crops([long], 300, 1000, replace(rule, saves_area=False))] == [
        800,
        800,
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_crop_carries_its_part_of_everything(dtype: type) -> None:
    rng = np.random.default_rng(0)
    photo = Photo(Path("a.png"), rng.integers(0, np.iinfo(dtype).max, (300, 400, 3)).astype(dtype), None)
    probability = np.zeros((300, 400), np.float32)
    probability[100:120, 150:200] = 0.9
    (crop,) = cut_crops(photo, detect_from_probability(probability))
    assert np.allclose(crop.rgb * np.iinfo(dtype).max, photo.rgb[crop.box.slices], rtol=1e-5)
    assert np.array_equal(crop.probability, probability[crop.box.slices])
    assert crop.mask.sum() == 1000


@pytest.mark.parametrize(
    ("edge", "enlarged"), [(300, 2.0), (512, 2.0), (800, 1.28), (1024, 1.0), (3000, 1.0)]
)
def test_crops_of_small_photographs_are_to_be_enlarged(edge: int, enlarged: float) -> None:
    photo = Photo(Path("a.png"), np.zeros((edge // 2, edge, 3), np.uint8), None)
    probability = np.zeros((edge // 2, edge), np.float32)
    probability[20:40, 20:60] = 0.9
    (crop,) = cut_crops(photo, detect_from_probability(probability))
    assert crop.enlarged == pytest.approx(enlarged)


def test_a_crop_knows_how_its_file_was_rounded() -> None:
    steps = Quantisation(np.full((8, 8), 5, np.float32), np.full((8, 8), 9, np.float32), (True, False))
    photo = Photo(Path("a.jpg"), np.zeros((300, 400, 3), np.uint8), None, quantisation=steps)
    probability = np.zeros((300, 400), np.float32)
    probability[100:120, 150:200] = 0.9
    (crop,) = cut_crops(photo, detect_from_probability(probability))
    assert crop.quantisation is steps


@given(some_boxes)
def test_merging_for_less_area_covers_all_and_adds_none(boxes: list[Box]) -> None:
    merged = merge_where_smaller(boxes)
    assert sum(box.area for box in merged) <= sum(box.area for box in set(boxes))
    for box in boxes:
        assert any(box.union(other) == other for other in merged)
    assert merge_where_smaller(merged) == merged


@given(some_boxes)
def test_every_pixel_of_some_box_is_owned_once(boxes: list[Box]) -> None:
    distinct = list(dict.fromkeys(boxes))
    times, covered = np.zeros((120, 120), int), np.zeros((120, 120), bool)
    for box, own in zip(distinct, share_out(distinct), strict=True):
        times[box.slices] += 1 if own is None else own
        covered[box.slices] = True
    assert (times[covered] == 1).all()


def test_two_marks_whose_contexts_touch_stay_two_crops_where_that_is_less() -> None:
    marks = [Box(150, 150, 250, 200), Box(480, 380, 700, 430)]
    rule = CropRule(context_px=128, context_share=0, align_px=32, saves_area=True)
    placed = place_crops(marks, 800, 1000, rule)
    assert len(placed) == 2
    assert placed[0].overlaps(placed[1])
    assert len(place_crops(marks, 800, 1000, CropRule(context_px=128, context_share=0))) == 1
