"""How a t fits the gradients of a photograph, beside where they are not known."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.remove.gradients import measure_fit


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


def test_what_lies_under_the_mask_does_not_count() -> None:
    rng = np.random.default_rng(1)
    picture = rng.normal(0.5, 0.1, (160, 200)).astype(np.float32)
    plain = measure_fit(picture, make_mask())
    picture[64:96, 64:136] = 1.0
    assert plain is not None
    assert measure_fit(picture, make_mask()) == pytest.approx(plain, rel=1e-3)


def test_where_too_little_is_known_nothing_is_said() -> None:
    assert measure_fit(np.zeros((40, 40), np.float32), np.ones((40, 40), bool)) is None
