from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleanplate.metrics import masked_rmse
from cleanplate.remove.compression import Compression
from cleanplate.remove.halving import Halving
from cleanplate.remove.shrinkage import TO_RGB, TO_YCC, spread_evenly
from cleanplate.remove.unblend import Layer, measure_range, merge, merge_compressed, refine_matte, unblend
from cleanplate.structures import FloatArray

from .scenes import blend, letters, photograph, scene


def lay(matte: FloatArray, opacity: float, colour: tuple[float, float, float]) -> Layer:
    tint = np.broadcast_to(np.asarray(colour, np.float32) * np.float32(opacity), (*matte.shape, 3))
    return Layer(matte, np.full_like(matte, opacity), np.ascontiguousarray(tint))


def test_inverting_a_known_layer_gives_the_photograph() -> None:
    drawn = scene(0.6, (0.2, 0.9, 0.4))
    result = unblend(drawn.marked, lay(drawn.matte, 0.6, (0.2, 0.9, 0.4)))
    assert np.abs(result - drawn.clean).max() < 0.5 / 255 / 0.4 + 1e-5


def test_a_spoilt_matte_is_moved_to_the_edges() -> None:
    clean = np.full((80, 160, 3), 0.3, np.float32)
    matte = letters(80, 160, "AB", 1.5, 55)
    marked = blend(clean, matte, 0.6, (1.0, 1.0, 1.0))
    spoilt = cv2.dilate(matte, np.ones((3, 3), np.uint8))
    everywhere = np.ones(matte.shape, bool)
    refined, variance = refine_matte(
        marked, clean, np.full_like(matte, 1e-4), lay(spoilt, 0.6, (1.0, 1.0, 1.0)), everywhere
    )
    assert np.abs(refined - matte).mean() < 0.25 * np.abs(spoilt - matte).mean()
    assert variance.min() >= 0


def test_outside_its_layer_the_matte_is_left_alone() -> None:
    drawn = scene()
    nowhere = np.zeros(drawn.matte.shape, bool)
    refined, variance = refine_matte(
        drawn.marked, drawn.clean, np.full_like(drawn.matte, 1e-4), lay(drawn.matte, 0.5, (1, 1, 1)), nowhere
    )
    assert np.array_equal(refined, drawn.matte)
    assert not variance.any()


@pytest.mark.parametrize(("opacity", "from_fill"), [(0.4, False), (1.0, True)])
def test_the_fill_takes_over_where_nothing_is_left(opacity: float, from_fill: bool) -> None:
    clean = photograph()
    matte = letters(*clean.shape[:2])
    marked = blend(clean, matte, opacity, (1.0, 1.0, 1.0))
    fill = np.full_like(clean, 0.5)
    merged = merge(marked, fill, np.full_like(matte, 0.02), lay(matte, opacity, (1.0, 1.0, 1.0)))
    core = matte > 0.99
    assert masked_rmse(merged, fill if from_fill else clean, core) < 0.03


@pytest.mark.parametrize(("opacity", "from_fill"), [(0.4, False), (1.0, True)])
def test_so_it_does_in_a_compressed_file(opacity: float, from_fill: bool) -> None:
    clean = photograph()
    matte = letters(*clean.shape[:2])
    marked, fill = blend(clean, matte, opacity, (1.0, 1.0, 1.0)), np.full_like(clean, 0.5)
    layer, variance = lay(matte, opacity, (1.0, 1.0, 1.0)), np.full_like(matte, 0.02)
    merged = merge_compressed(marked, fill, variance, layer, Compression(spread_evenly(0.006), (True, True)))
    core = matte > 0.99
    assert masked_rmse(merged, fill if from_fill else clean, core) < 0.03


def test_colours_that_were_halved_leave_no_rims() -> None:
    drawn, colour = scene(0.6, (0.1, 0.9, 0.3)), (0.1, 0.9, 0.3)
    differences = drawn.marked @ TO_YCC.T
    differences[..., 1:] = Halving((True, True)).store(np.ascontiguousarray(differences[..., 1:]))
    stored = np.asarray(differences @ TO_RGB.T, np.float32)
    variance, layer = np.full_like(drawn.matte, 0.1), lay(drawn.matte, 0.6, colour)
    errors = [
        masked_rmse(merged, drawn.clean, drawn.matte > 0.02)
        for merged in (
            merge(stored, drawn.clean[::-1], variance, layer),
            merge_compressed(
                stored,
                drawn.clean[::-1],
                variance,
                layer,
                Compression(spread_evenly(0.001), (True, True)),
            ),
        )
    ]
    assert errors[1] < 0.6 * errors[0]


def test_a_badly_known_opacity_moves_the_result_towards_the_fill() -> None:
    drawn = scene(0.7)
    fill = np.full_like(drawn.clean, 0.5)
    sure = lay(drawn.matte, 0.7, (1.0, 1.0, 1.0))
    unsure = Layer(sure.matte, sure.opacity, sure.tint, opacity_variance=0.04)
    variance = np.full_like(drawn.matte, 0.01)
    core = drawn.matte > 0.99
    distances = [
        masked_rmse(merge(drawn.marked, fill, variance, layer), fill, core) for layer in (sure, unsure)
    ]
    assert distances[1] < 0.5 * distances[0]


def test_the_range_is_high_at_edges_only() -> None:
    step = np.zeros((10, 10), np.float32)
    step[:, 5:] = 1
    spread = measure_range(step)
    assert spread[5, 4] == spread[5, 5] == 1
    assert spread[5, 2] == spread[5, 8] == 0
