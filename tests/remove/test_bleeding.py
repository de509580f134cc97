from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cleanplate.metrics import masked_psnr
from cleanplate.remove.base import Crop
from cleanplate.remove.bleeding import SPREAD_PX, take_back_colours
from cleanplate.remove.candidates import Prediction, find_boxes
from cleanplate.remove.choose import fill_crop, restore_crop
from cleanplate.remove.inpaint import dilate, fill_with_membrane
from cleanplate.structures import BoolArray, Box, FloatArray, Quantisation

from .scenes import blend, letters

RED = (0.9, 0.1, 0.1)
STEPS = np.full((8, 8), 3, np.float32)
HALVED = Quantisation(STEPS, STEPS, (True, True))


def compress(rgb: FloatArray) -> FloatArray:
    """What is read of a JPEG file with half its colours."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x221111]
    _, coded = cv2.imencode(".jpg", np.rint(rgb[..., ::-1] * 255).astype(np.uint8), settings)
    read = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]
    return (read / np.float32(255)).astype(np.float32)


def draw(colour: tuple[float, float, float]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(a clean scene, grey and even; under opaque letters, from a file; their matte)."""
    down, across = np.mgrid[:120, :200]
    clean = np.repeat((0.4 + across / 800 + down / 1200)[..., None], 3, axis=2).astype(np.float32)
    matte = letters(120, 200)
    return clean, compress(blend(clean, matte, 1.0, colour)), matte


def red_letters() -> tuple[FloatArray, FloatArray, FloatArray]:
    return draw(RED)


def cut(rgb: FloatArray, matte: FloatArray, quantisation: Quantisation | None, given: bool = False) -> Crop:
    mask = matte > 0.02
    box = Box(0, 0, matte.shape[1], matte.shape[0])
    return Crop(rgb, matte, mask, box, given=given, quantisation=quantisation)


def take_back(marked: FloatArray, repaired: FloatArray, matte: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Of letters that were filled."""
    owner = dilate(matte > 0.02, 1).astype(np.int32)
    return take_back_colours(cut(marked, matte, HALVED), repaired, matte, owner, find_boxes(owner), owner > 0)


def test_red_letters_leave_no_reddish_rim_and_no_reddish_fill() -> None:
    clean, marked, matte = red_letters()
    support = matte > 0.02
    ring = dilate(support, SPREAD_PX) & ~dilate(support, 1)
    before = fill_with_membrane(marked, dilate(support, 1))
    after, changed = take_back(marked, before, matte)
    for where in (support, ring):
        assert masked_psnr(after, clean, where) > masked_psnr(before, clean, where) + 3
    np.testing.assert_array_equal(after[~changed], before[~changed])
    assert not changed[~dilate(support, SPREAD_PX + 2)].any()
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    np.testing.assert_allclose(after @ weights, before @ weights, atol=1e-4)  # lightness stays


def test_a_crop_of_such_a_file_is_handed_on_without_its_rim() -> None:
    clean, marked, matte = red_letters()
    prediction, support = Prediction(matte, matte, marked), matte > 0.02
    ring = dilate(support, SPREAD_PX) & ~dilate(support, 1)
    full = Quantisation(STEPS, STEPS, (False, False))
    before, after = (restore_crop(cut(marked, matte, q), prediction) for q in (full, HALVED))
    assert masked_psnr(after.rgb, clean, ring) > masked_psnr(before.rgb, clean, ring) + 3
    assert (after.changed & ring).any()
    np.testing.assert_array_equal(after.rgb[~after.changed], marked[~after.changed])


def test_of_a_given_mask_nothing_outside_changes() -> None:
    _, marked, matte = red_letters()
    prediction = Prediction(matte, matte, marked)
    plain, given = (cut(marked, matte, q, given=True) for q in (None, HALVED))
    before, after = restore_crop(plain, prediction), restore_crop(given, prediction)
    assert (before.rgb != after.rgb).any()
    np.testing.assert_array_equal(after.changed, before.changed)


@pytest.mark.parametrize("colour", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0)])
def test_a_mark_without_colour_changes_nothing(colour: tuple[float, float, float]) -> None:
    _, marked, matte = draw(colour)
    before = fill_with_membrane(marked, dilate(matte > 0.02, 1))
    after, changed = take_back(marked, before, matte)
    np.testing.assert_array_equal(after, before)
    assert not changed.any()


def test_a_group_that_is_left_keeps_its_colours() -> None:
    _, marked, matte = red_letters()
    owner = dilate(matte > 0.02, 1).astype(np.int32)
    crop, nothing = cut(marked, matte, HALVED), np.zeros(owner.shape, bool)
    same, changed = take_back_colours(crop, marked, matte, owner, {}, nothing)
    np.testing.assert_array_equal(same, marked)
    assert not changed.any()
    filled = fill_with_membrane(marked, owner > 0)
    _, changed = take_back_colours(crop, filled, matte, owner, find_boxes(owner), nothing)
    assert changed.any()


@pytest.mark.parametrize("given", [True, False])
def test_filling_every_mark_leaves_no_reddish_rim(given: bool) -> None:
    clean, marked, matte = red_letters()
    crop = cut(marked, matte, HALVED, given)
    prediction = Prediction(matte, matte, marked)
    after = fill_crop(crop, prediction, with_network=False)
    before = fill_crop(replace(crop, quantisation=None), prediction, with_network=False)
    assert masked_psnr(after.rgb, clean, matte > 0.02) > masked_psnr(before.rgb, clean, matte > 0.02) + 3
    np.testing.assert_array_equal(after.rgb[~after.changed], marked[~after.changed])
    assert (after.changed & ~before.changed).any() != given
