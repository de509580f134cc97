from __future__ import annotations

import numpy as np
import pytest

from cleanplate.metrics import masked_rmse
from cleanplate.remove.inpaint import (
    dilate,
    estimate_fill_variance,
    fill_with_membrane,
    fill_with_telea,
)

from .scenes import photograph


@pytest.mark.parametrize("fill", [fill_with_membrane, fill_with_telea])
def test_fills_keep_what_is_known_and_span_a_ramp(fill) -> None:  # type: ignore[no-untyped-def]
    ramp = np.linspace(0.2, 0.8, 60, dtype=np.float32)[None, :, None].repeat(40, 0).repeat(3, 2)
    mask = np.zeros((40, 60), bool)
    mask[15:25, 20:40] = True
    damaged = np.where(mask[..., None], 1.0, ramp).astype(np.float32)
    filled = fill(damaged, mask)
    assert np.array_equal(filled[~mask], ramp[~mask])
    assert masked_rmse(filled, ramp, mask) < 0.05
    assert filled.dtype == np.float32


def test_nothing_known_gives_grey_and_nothing_masked_gives_the_picture() -> None:
    picture = photograph(20, 30)
    assert np.allclose(fill_with_membrane(picture, np.ones((20, 30), bool)), 0.5)
    nowhere = np.zeros((20, 30), bool)
    assert np.array_equal(fill_with_membrane(picture, nowhere), picture)
    assert fill_with_telea(picture, nowhere) is picture


@pytest.mark.parametrize("shape", [(1, 300), (40, 600), (600, 40), (7, 90)])
def test_a_hole_across_a_narrow_picture_is_spanned(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), (0.5, 0.1, 0.2), np.float32)
    mask = np.zeros(shape, bool)
    middle = tuple(slice(edge // 4, -(edge // 4)) if edge == max(shape) else slice(None) for edge in shape)
    mask[middle] = True
    hidden = np.where(mask[..., None], np.float32(1), rgb)
    assert np.allclose(fill_with_membrane(hidden, mask), rgb, atol=1e-4)


def test_expected_error_grows_with_distance_and_texture() -> None:
    rng = np.random.default_rng(0)
    picture = np.full((80, 160, 3), 0.5, np.float32)
    picture[:, 80:] += rng.normal(0, 0.1, (80, 80, 3)).astype(np.float32)
    mask = np.zeros((80, 160), bool)
    mask[30:50, 20:60] = mask[30:50, 100:140] = True
    variance = estimate_fill_variance(picture, mask)
    assert variance[40, 40] > 2 * variance[31, 40]
    assert variance[40, 120] > 10 * variance[40, 40]


def test_the_expected_error_is_about_the_real_one() -> None:
    picture = photograph()
    mask = np.zeros(picture.shape[:2], bool)
    mask[50:58, 20:180] = True
    real = masked_rmse(fill_with_membrane(picture, mask), picture, mask) ** 2
    expected = float(estimate_fill_variance(picture, mask)[mask].mean())
    assert 0.2 < real / expected < 5


def test_dilation_is_a_disc() -> None:
    dot = np.zeros((9, 9), bool)
    dot[4, 4] = True
    grown = dilate(dot, 2)
    assert (grown[4, 2], grown[2, 4], grown[2, 2]) == (True, True, False)
    assert dilate(dot, 0) is dot
