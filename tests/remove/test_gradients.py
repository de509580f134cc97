"""How a t fits the gradients of a photograph, beside where they are not known."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.remove.gradients import USUAL_GROWTH, find_shifts, measure_fit, measure_growth


def make_mask() -> np.ndarray:
    mask = np.zeros((160, 200), bool)
    mask[60:100, 60:140] = True
    return mask


def test_smooth_pictures_with_a_few_edges_fit_a_smaller_scale_than_texture() -> None:
    rng = np.random.default_rng(0)
    texture = rng.normal(0.5, 0.1, (160, 200)).astype(np.float32)
    smooth = rng.normal(0.5, 0.002, (160, 200)).astype(np.float32)
    smooth[:, 70:] += 0.3
    smooth[80:] += 0.2
    for _ in range(8):
        row, column = rng.integers(20, 140, 2)
        smooth[row : row + 12, column : column + 12] -= 0.3
    both = [measure_fit(picture, make_mask()) for picture in (smooth, texture)]
    assert both[0] is not None
    assert both[1] is not None
    assert both[0] < 0.7 * both[1]


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_flat_picture_says_nothing(level: float) -> None:
    assert measure_fit(np.full((160, 200), level, np.float32), make_mask()) is None


def test_a_picture_that_is_flat_round_the_mask_says_nothing() -> None:
    picture = np.full((160, 200), 0.5, np.float32)
    picture[:8] = np.random.default_rng(2).random((8, 200))
    assert measure_fit(picture, make_mask()) is None


def test_what_lies_under_the_mask_does_not_count() -> None:
    rng = np.random.default_rng(1)
    picture = rng.normal(0.5, 0.1, (160, 200)).astype(np.float32)
    plain = measure_fit(picture, make_mask())
    picture[64:96, 64:136] = 1.0
    assert plain is not None
    assert measure_fit(picture, make_mask()) == pytest.approx(plain, rel=1e-3)


def test_where_too_little_is_known_nothing_is_said() -> None:
    assert measure_fit(np.zeros((40, 40), np.float32), np.ones((40, 40), bool)) is None


def test_noise_differs_as_much_at_any_distance_and_a_slope_by_the_distance() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0.5, 0.1, (160, 200, 1)).astype(np.float32)
    slope = np.dstack([np.add.outer(np.arange(160), np.arange(200)) / 400]).astype(np.float32)
    distances = [sum(shift) for shift in find_shifts(160, 200)]
    assert distances[-1] == 16
    assert measure_growth(noise, make_mask()) == pytest.approx([1.0] * len(distances), abs=0.05)
    assert measure_growth(slope, make_mask()) == pytest.approx(distances, rel=0.05)


def test_growth_is_told_by_what_is_off_the_mask_and_a_usual_one_taken_where_nothing_is() -> None:
    rng = np.random.default_rng(3)
    picture = rng.normal(0.5, 0.1, (160, 200, 2)).astype(np.float32)
    plain = measure_growth(picture, make_mask())
    picture[64:96, 64:136] = 1.0
    assert measure_growth(picture, make_mask()) == plain
    unknown = measure_growth(picture, np.ones((160, 200), bool))
    assert unknown[:4] == pytest.approx((1.0, 1.0, USUAL_GROWTH, USUAL_GROWTH))


def test_planes_that_are_small_are_asked_about_near_pixels_only() -> None:
    assert find_shifts(2, 2) == ((0, 1), (1, 0))
    assert max(sum(shift) for shift in find_shifts(12, 12)) == 4
