from __future__ import annotations

import numpy as np
import pytest

from cleanplate.metrics import masked_psnr
from cleanplate.remove.base import Crop
from cleanplate.remove.candidates import Prediction, find_candidates
from cleanplate.remove.choose import choose_by_rule, fill_crop
from cleanplate.remove.islands import LEAST_PROBABILITY, MOST_PIXELS, mark_islands
from cleanplate.structures import BoolArray, Box, FloatArray

SIZE = 96


def draw(hole_px: int) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray]:
    """(an even dark scene with an opaque light square, its matte without a hole, the hole, the scene)."""
    noise = np.random.default_rng(4).normal(0, 0.01, (SIZE, SIZE, 3))
    behind = np.clip(0.2 + noise, 0, 1).astype(np.float32)
    rgb, matte = behind.copy(), np.zeros((SIZE, SIZE), np.float32)
    rgb[24:72, 24:72], matte[24:72, 24:72] = 0.9, 1
    hole = np.zeros((SIZE, SIZE), bool)
    hole[40 : 40 + hole_px, 44 : 44 + hole_px] = True
    matte[hole] = 0
    return rgb, matte, hole, behind


def ask(rgb: FloatArray, matte: FloatArray, probability: float) -> FloatArray:
    seen = np.full(matte.shape, probability, np.float32)
    return mark_islands(rgb, matte, seen, floor=0.02, margin_px=1)


def test_a_piece_of_the_mark_left_out_of_the_matte_is_taken_off_with_it() -> None:
    """Left in it would spread over the fill as a glow."""
    rgb, matte, hole, behind = draw(6)
    shown = np.where(matte > 0, 0.9, 0.6 * hole).astype(np.float32)
    crop = Crop(rgb, shown, matte > 0.5, Box(0, 0, SIZE, SIZE))
    prediction = Prediction(matte, matte, rgb)
    found = find_candidates(crop, prediction)
    assert found is not None
    assert found.matte[hole].min() == 1
    inside = (matte > 0) | hole
    for removal in (choose_by_rule(found), fill_crop(crop, prediction, with_network=False)):
        assert removal.changed[inside].all()
        assert masked_psnr(removal.rgb, behind, inside) > 30


@pytest.mark.parametrize(
    ("hole_px", "probability"),
    [
        (6, LEAST_PROBABILITY / 2),  # the finder does not see any mark there
        (18, 0.6),  # what is so large the network sees for what it is
    ],
)
def test_what_may_be_photograph_stays(hole_px: int, probability: float) -> None:
    rgb, matte, _, _ = draw(hole_px)
    assert (hole_px - 2) ** 2 > MOST_PIXELS or probability < LEAST_PROBABILITY
    assert ask(rgb, matte, probability) is matte


def test_an_island_that_looks_like_the_surroundings_stays() -> None:
    rgb, matte, hole, behind = draw(6)
    assert (ask(rgb, matte, 0.6)[hole] == 1).all()
    rgb[hole] = behind[hole]
    np.testing.assert_array_equal(ask(rgb, matte, 0.6), matte)


def test_what_reaches_the_edge_of_the_crop_is_no_island() -> None:
    rgb, matte, _, _ = draw(6)
    rgb, matte = rgb[:, 44:], matte[:, 44:]  # the hole lies at the crop's edge now
    assert ask(np.ascontiguousarray(rgb), np.ascontiguousarray(matte), 0.6).max() == 1
    assert (ask(rgb, matte, 0.6) == matte).all()


def test_a_matte_that_is_empty_or_full_stays() -> None:
    rgb, matte, _, _ = draw(6)
    for same in (np.zeros_like(matte), np.ones_like(matte)):
        assert ask(rgb, same, 0.6) is same
