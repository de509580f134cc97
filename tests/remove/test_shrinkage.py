"""Compression's rounding is taken out of an inverse, the photograph's own detail stays."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from cleanplate.marks.composite import PlacedMark, composite
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.remove import shrinkage
from cleanplate.remove.compression import Compression
from cleanplate.remove.known import remove_known
from cleanplate.remove.shrinkage import shrink_noise, spread_evenly, spread_rounding
from cleanplate.structures import FloatArray, Mark
from tests.remove.scenes import letters, photograph

ROUNDING = spread_evenly(0.012)


def _store(opacity: float, quality: int) -> tuple[FloatArray, FloatArray, Mark]:
    """(the photograph, what a JPEG file of it under a mark holds, the mark)."""
    clean = photograph()
    alpha = (opacity * letters(120, 200)).astype(np.float32)
    mark = Mark(alpha, np.ones((120, 200, 3), np.float32))
    marked, _, _ = composite(clean, [PlacedMark(mark, 0, 0)])
    stored = decode_jpeg(encode_jpeg(np.rint(marked * 255).astype(np.uint8), quality))
    return clean, stored.astype(np.float32) / np.float32(255), mark


def _error(result: FloatArray, clean: FloatArray, mark: Mark) -> float:
    return float(((result - clean)[mark.alpha > 0.02] ** 2).mean())


@pytest.mark.parametrize(("opacity", "quality"), [(0.3, 92), (0.6, 92), (0.6, 82), (0.8, 88)])
def test_it_is_better_than_the_plain_inverse_and_than_the_blend_alone(opacity: float, quality: int) -> None:
    clean, stored, mark = _store(opacity, quality)
    cleaned = _error(remove_known(stored, mark, noise=Compression(ROUNDING))[0], clean, mark)
    assert cleaned < 0.8 * _error(remove_known(stored, mark, noise=0.0)[0], clean, mark)
    assert cleaned < _error(remove_known(stored, mark)[0], clean, mark)


def test_only_the_pixels_that_are_asked_for_change() -> None:
    picture, where = photograph(), np.zeros((120, 200), bool)
    where[40:60, 50:90] = True
    shrunk = shrink_noise(picture, np.full((120, 200), 0.4, np.float32), where, ROUNDING)
    assert np.array_equal(shrunk[~where], picture[~where])
    assert not np.array_equal(shrunk[where], picture[where])
    assert np.array_equal(
        shrink_noise(picture, np.ones((120, 200), np.float32), where & False, ROUNDING), picture
    )


def test_noise_goes_and_an_edge_stays() -> None:
    edge = np.zeros((64, 64, 3), np.float32) + 0.3
    edge[:, 30:] = 0.7
    noisy = edge + np.random.default_rng(1).normal(0, 0.02, edge.shape).astype(np.float32)
    everywhere = np.ones((64, 64), bool)
    shrunk = shrink_noise(noisy, np.full((64, 64), 0.6, np.float32), everywhere, ROUNDING)
    assert ((shrunk - edge) ** 2).mean() < 0.3 * ((noisy - edge) ** 2).mean()
    assert (shrunk[:, 31] - shrunk[:, 29]).mean() > 0.35


def test_fewer_offsets_of_the_blocks_take_out_nearly_as_much() -> None:
    clean = np.full((64, 64, 3), 0.4, np.float32)
    noisy = clean + np.random.default_rng(1).normal(0, 0.02, clean.shape).astype(np.float32)
    kept, everywhere = np.full((64, 64), 0.6, np.float32), np.ones((64, 64), bool)
    errors = [
        float(((shrink_noise(noisy, kept, everywhere, ROUNDING, stride=stride) - clean) ** 2).mean())
        for stride in (1, 2, 8)
    ]
    assert errors[0] < errors[1] < errors[2] < 0.1 * 0.02**2
    assert errors[1] < 1.3 * errors[0]


@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_the_mean_of_blocks_that_are_shrunk_one_by_one(stride: int) -> None:
    rng = np.random.default_rng(3)
    picture = rng.random((40, 44, 3)).astype(np.float32)
    kept = rng.uniform(0.2, 1, (40, 44)).astype(np.float32)
    luma, chroma = rng.uniform(2, 40, (2, 8, 8)).astype(np.float32)
    rounding = spread_rounding(luma, chroma, (True, False))
    planes, total = cv2.transform(picture, shrinkage.TO_YCC), np.zeros((2, *picture.shape))
    for top in range(0, 33, stride):
        for left in range(0, 37, stride):
            at = (slice(top, top + 8), slice(left, left + 8))
            growth = (1 / kept[at].astype(np.float64) ** 2).mean()
            for channel in range(3):
                coefficients = cv2.dct(planes[at][..., channel].astype(np.float64))
                stands = coefficients**2 > shrinkage.LEAST_DEVIATIONS**2 * growth * rounding[channel]
                stands[0, 0] = True
                weight = 1 / (stands * growth * rounding[channel]).mean()
                total[0][at][..., channel] += weight * cv2.idct(coefficients * stands)
                total[1][at][..., channel] += weight
    inner = np.zeros((40, 44), bool)
    inner[8:-8, 8:-8] = True
    expected = np.clip(cv2.transform(total[0, 8:-8, 8:-8] / total[1, 8:-8, 8:-8], shrinkage.TO_RGB), 0, 1)
    shrunk = shrink_noise(picture, kept, inner, rounding, stride=stride)
    assert np.allclose(shrunk[8:-8, 8:-8], expected, atol=2e-5)


def test_bands_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, everywhere = photograph(), np.ones((120, 200), bool)
    kept = np.full((120, 200), 0.5, np.float32)
    whole = shrink_noise(picture, kept, everywhere, ROUNDING)
    monkeypatch.setattr(shrinkage, "BAND_ROWS", 32)
    assert np.allclose(shrink_noise(picture, kept, everywhere, ROUNDING), whole, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (17, 5)])
def test_any_size_will_do(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    shrunk = shrink_noise(picture, np.ones(shape, np.float32), np.ones(shape, bool), ROUNDING)
    assert shrunk.shape == picture.shape
    assert 0 <= shrunk.min() <= shrunk.max() <= 1


def test_colour_at_half_the_resolution_is_rounded_at_the_lower_half_of_the_frequencies() -> None:
    steps = np.full((8, 8), 10, np.float32)
    halved = spread_rounding(steps, steps, (True, True))
    assert halved[1, :4, :4].min() > 3.9 * halved[0].max()
    assert halved[1, 4:].max() < 0.05 * halved[0].max()
    whole = spread_rounding(steps, steps, (False, False))
    assert np.array_equal(whole[0], whole[1])
    assert halved[1].mean() == pytest.approx(whole[1].mean(), rel=0.02)


def test_an_estimated_mark_is_blended_further_towards_the_fill() -> None:
    clean, stored, mark = _store(0.8, 85)
    wrong = Mark(np.clip(mark.alpha * np.float32(1.05), 0, 0.95), mark.rgb)
    errors = [
        _error(remove_known(stored, replace(wrong, kind=kind), noise=Compression(ROUNDING))[0], clean, mark)
        for kind in (FIXED_SIZE, "given")
    ]
    assert errors[0] < errors[1]
