"""The seam: the fill inside, the photograph outside, the energy of both between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cleanplate.remove.inpaint import dilate
from cleanplate.remove.seam import MOST_STEP, blend_margin, match_tone

from .scenes import letters, photograph


def blend(texture: Callable[[], Any]) -> tuple[Any, Any, Any]:
    hole, marked = np.zeros((80, 80), bool), np.zeros((80, 80), bool)
    hole[20:60, 20:60] = True
    marked[30:50, 30:50] = True
    return blend_margin(texture(), texture(), hole, marked), hole, marked


def test_the_seam_keeps_the_energy_of_its_sides() -> None:
    rng = np.random.default_rng(0)
    blended, hole, marked = blend(lambda: (0.5 + 0.05 * rng.standard_normal((80, 80, 3))).astype(np.float32))
    margin = hole & ~marked
    assert blended[margin].std() == pytest.approx(0.05, rel=0.12)


def test_the_seam_is_the_photograph_outside_and_the_fill_inside() -> None:
    hole = letters(120, 200) > 0.3
    marked = letters(120, 200) > 0.9
    picture, fill = photograph(), np.full((120, 200, 3), 0.5, np.float32)
    blended = blend_margin(picture, fill, hole, marked)
    assert np.array_equal(blended[~hole], picture[~hole])
    assert np.allclose(blended[marked], 0.5)
    assert np.array_equal(blend_margin(picture, fill, hole, hole)[~hole], picture[~hole])


def test_a_fill_that_goes_on_as_the_photograph_does_is_not_made_rougher() -> None:
    picture = photograph()
    hole = letters(120, 200) > 0.3
    marked = letters(120, 200) > 0.9
    assert np.abs(blend_margin(picture, picture, hole, marked) - picture).max() < 0.02


def offset_fill(step: float, noise: float = 0.0) -> tuple[Any, Any, Any]:
    """(photograph, fill, hole): the photograph's own tone moved by a step in the hole, another texture."""
    rng = np.random.default_rng(1)
    hole = np.zeros((80, 120), bool)
    hole[20:60, 30:90] = True
    slope = np.linspace(0.3, 0.6, 120, dtype=np.float32)[None, :, None].repeat(80, 0).repeat(3, 2)
    picture, other = (slope + noise * rng.standard_normal((80, 120, 3)).astype(np.float32) for _ in range(2))
    return picture, np.where(hole[..., None], other + np.float32(step), picture), hole


@pytest.mark.parametrize("step", [0.04, -0.06])
@pytest.mark.parametrize(("noise", "left"), [(0.0, 0.1), (0.02, 0.4)])
def test_a_tone_that_is_off_is_moved_and_the_texture_kept(step: float, noise: float, left: float) -> None:
    picture, fill, hole = offset_fill(step, noise)
    moved = match_tone(picture, fill, hole)
    assert abs((moved - (fill - np.float32(step)))[hole].mean()) < left * abs(step)
    assert (moved - fill)[hole].std() < 0.3 * abs(step)
    assert np.array_equal(moved[~hole], fill[~hole])


def test_a_fill_of_the_right_tone_is_hardly_moved() -> None:
    picture, fill, hole = offset_fill(0.0, 0.02)
    assert np.abs(match_tone(picture, fill, hole) - fill)[hole].mean() < 0.004


def test_a_marks_edge_outside_the_mask_moves_no_tone() -> None:
    picture, fill, hole = offset_fill(0.0)
    edge = dilate(hole, 1) & ~hole
    picture, fill = (np.where(edge[..., None], np.float32(1), part) for part in (picture, fill))
    assert np.abs(match_tone(picture, fill, hole) - fill)[hole].max() < 0.1 * MOST_STEP


def test_no_tone_is_moved_beyond_the_limit() -> None:
    picture, fill, hole = offset_fill(0.3)
    moved = np.abs(match_tone(picture, fill, hole) - fill)
    assert MOST_STEP * 0.8 < moved[hole].mean() <= moved.max() <= MOST_STEP + 1e-5


def test_steps_differ_along_the_rim() -> None:
    picture, fill, hole = offset_fill(0.0)
    ramp = np.linspace(-0.05, 0.05, 120, dtype=np.float32)[None, :, None]
    moved = match_tone(picture, np.where(hole[..., None], fill + ramp, fill), hole)
    assert np.abs(moved - picture)[hole].mean() < 0.008


@pytest.mark.parametrize("whole", [True, False])
def test_without_a_rim_nothing_is_moved(whole: bool) -> None:
    picture, fill, _ = offset_fill(0.05)
    assert np.array_equal(match_tone(picture, fill, np.full((80, 120), whole)), fill)
