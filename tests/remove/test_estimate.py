from __future__ import annotations

import numpy as np
import pytest

from cleanplate.remove.estimate import LayerFit, Pixels, _nearest, fit_layer, rate_fit
from cleanplate.remove.inpaint import dilate, estimate_fill_variance, fill_with_membrane
from cleanplate.remove.unblend import measure_range
from cleanplate.structures import FloatArray

from .scenes import blend, letters, photograph, scene


def gather(marked: FloatArray, matte: FloatArray) -> Pixels:
    support = matte > 0.02
    mask = dilate(support, 1)
    return Pixels(
        marked[support],
        fill_with_membrane(marked, mask)[support],
        matte[support],
        estimate_fill_variance(marked, mask)[support],
        measure_range(matte)[support],
    )


def fit(marked: FloatArray, matte: FloatArray, hint: float | None = None) -> LayerFit:
    found = fit_layer(gather(marked, matte), hint)
    assert found is not None
    return found


@pytest.mark.parametrize("opacity", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("colour", [(1.0, 1.0, 1.0), (0.9, 0.2, 0.1)])
def test_opacity_and_colour_are_found(opacity: float, colour: tuple[float, float, float]) -> None:
    drawn = scene(opacity, colour)
    found = fit(drawn.marked, drawn.matte)
    assert found.opacity == pytest.approx(opacity, abs=0.08)
    assert found.tints[0] / found.opacity == pytest.approx(colour, abs=0.15)
    assert found.evidence > 0.5
    assert 0 <= found.opacity_error < 0.1


def test_an_opaque_mark_is_called_opaque() -> None:
    drawn = scene(1.0, (0.1, 0.7, 0.3))
    assert fit(drawn.marked, drawn.matte).opacity > 0.93


def test_two_colours_are_told_apart() -> None:
    clean = photograph()
    matte = letters(*clean.shape[:2])
    left = np.arange(clean.shape[1]) < 95
    colours = np.where(left[None, :, None], (1.0, 1.0, 1.0), (0.8, 0.0, 0.0)).astype(np.float32)
    alpha = (0.7 * matte)[..., None].astype(np.float32)
    found = fit(clean * (1 - alpha) + alpha * colours, matte)
    assert len(found.tints) == 2
    assert found.opacity == pytest.approx(0.7, abs=0.1)
    green = sorted(found.tints[:, 1] / found.opacity)
    assert green == pytest.approx([0.0, 1.0], abs=0.15)


def test_nothing_speaks_for_a_mark_where_there_is_none() -> None:
    clean = photograph()
    matte = letters(*clean.shape[:2])
    marked = blend(clean, matte, 0.5, (1.0, 1.0, 1.0))
    assert fit(clean, matte).evidence < 0.3 < fit(marked, matte).evidence


def test_a_hint_decides_where_the_pixels_cannot() -> None:
    flat = np.full((80, 160, 3), 0.4, np.float32)
    matte = letters(80, 160, "AB", 1.5, 55)
    marked = blend(flat, matte, 0.5, (0.7, 0.6, 0.5))
    assert fit(marked, matte, 0.5).opacity == pytest.approx(0.5, abs=0.12)
    assert fit(marked, matte, 0.5).tints[0].mean() < fit(marked, matte, 0.9).tints[0].mean()


def test_too_few_pixels_are_not_fitted() -> None:
    drawn = scene()
    pixels = gather(drawn.marked, drawn.matte)
    assert fit_layer(pixels.take(np.arange(5))) is None
    assert fit_layer(pixels.take(np.arange(0))) is None


def test_the_right_fit_rates_higher() -> None:
    drawn, other = scene(0.3), scene(0.8, (0.0, 0.0, 0.0))
    pixels = gather(drawn.marked, drawn.matte)
    assert (
        rate_fit(fit(drawn.marked, drawn.matte), pixels)
        > rate_fit(fit(other.marked, other.matte), pixels) + 1
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_pixels_nearest_tint_is_what_the_formula_says(count: int) -> None:
    rng = np.random.default_rng(count)
    sights = rng.random((4, 50, 3)).astype(np.float32)
    tints = rng.random((4, count, 3)).astype(np.float32)
    tints[2, -1] = tints[2, 0]  # of two that are alike it is the first
    variance = rng.random((4, 50)).astype(np.float32) + np.float32(0.1)
    squares = ((sights[:, :, None] - tints[:, None]) ** 2).sum(axis=3)
    least, nearest = _nearest(np.moveaxis(sights, 2, 0), tints, variance)
    assert np.allclose(least, squares.min(axis=2) / variance, rtol=1e-5)
    assert np.array_equal(nearest, squares.argmin(axis=2))
