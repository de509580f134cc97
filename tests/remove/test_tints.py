"""Estimated marks get one tint where they have one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cleanplate.remove import tints
from cleanplate.remove.tints import even_out
from cleanplate.structures import FloatArray
from tests.remove.scenes import letters

HEIGHT, WIDTH, COUNT = 60, 120, 8
YELLOW, BLUE = np.array([0.9, 0.8, 0.2], np.float32), np.array([0.1, 0.3, 0.9], np.float32)


def _clouds(size: tuple[int, ...], strength: float) -> FloatArray:
    """Smooth noise, as the estimates have it."""
    rng = np.random.default_rng(5)
    coarse = rng.normal(0, 1, (size[0] // 6 + 2, size[1] // 6 + 2))
    fine = np.kron(coarse, np.ones((6, 6)))[: size[0], : size[1]]
    return (strength * fine).astype(np.float32)


def _crops(layer: FloatArray, colour: FloatArray) -> list[NDArray[np.uint8]]:
    """Photographs of one grey each, under a mark."""
    behind = np.linspace(0.1, 0.8, COUNT)
    return [
        np.rint(255 * ((1 - layer[..., None]) * grey + layer[..., None] * colour)).astype(np.uint8)
        for grey in behind
    ]


def _estimate(
    alpha: FloatArray, colour: FloatArray, strength: float = 0.06
) -> tuple[FloatArray, FloatArray, list[NDArray[np.uint8]]]:
    """`a` and `b` that explain the photographs' mean, but are wrong in how colour and opacity share in it."""
    crops = _crops(alpha, colour)
    mean = 0.45  # of the greys
    wrong = np.where(alpha > 0, alpha + _clouds(alpha.shape, strength), 0).astype(np.float32)
    added = alpha[..., None] * colour + (wrong - alpha)[..., None] * np.float32(mean)
    return np.clip(added, 0, 1).astype(np.float32), 1 - wrong, crops


def _error(kept: FloatArray, alpha: FloatArray, where: NDArray[np.bool_]) -> float:
    return float(np.abs((1 - kept) - alpha)[where].mean())


def _flat() -> FloatArray:
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[10:50, 10:110] = 0.5
    return alpha


def test_clouds_in_a_flat_part_are_evened_out() -> None:
    alpha = _flat()
    added, kept, crops = _estimate(alpha, YELLOW)
    evened, lets_through = even_out(added, kept, crops, COUNT)
    assert _error(lets_through, alpha, alpha > 0) < 0.35 * _error(kept, alpha, alpha > 0)
    colour = evened[alpha > 0] / (1 - lets_through)[alpha > 0][:, None]
    assert np.abs(colour - YELLOW).mean() < 0.03


def test_strokes_keep_their_soft_edges_and_their_opacity_follows_from_their_colour() -> None:
    alpha = (0.5 * letters(HEIGHT, WIDTH, scale=1.0, top=38)).astype(np.float32)
    added, kept, crops = _estimate(alpha, YELLOW, strength=0.04)
    _, lets_through = even_out(added, kept, crops, COUNT)
    soft = (alpha > 0.1) & (alpha < 0.4)
    assert soft.sum() > 50
    assert _error(lets_through, alpha, alpha > 0.1) < 0.7 * _error(kept, alpha, alpha > 0.1)
    assert _error(lets_through, alpha, soft) < 0.8 * _error(kept, alpha, soft)


def test_two_tints_side_by_side_stay_two() -> None:
    alpha = _flat()
    alpha[10:50, 60:110] = 0.75
    colour = np.where((np.arange(WIDTH) < 60)[None, :, None], YELLOW, BLUE) * np.ones((HEIGHT, 1, 1))
    added, kept, crops = _estimate(alpha, colour.astype(np.float32), strength=0.02)
    evened, lets_through = even_out(added, kept, crops, COUNT)
    for tint, columns in ((YELLOW, slice(20, 50)), (BLUE, slice(70, 100))):
        part = (slice(20, 40), columns)
        found = evened[part].mean(axis=(0, 1)) / (1 - lets_through[part]).mean()
        assert np.abs(found - tint).max() < 0.05
    assert (1 - lets_through)[20:40, 20:50].mean() == pytest.approx(0.5, abs=0.03)
    assert (1 - lets_through)[20:40, 70:100].mean() == pytest.approx(0.75, abs=0.03)


def test_an_opacity_that_runs_from_one_side_to_the_other_still_does() -> None:
    alpha = _flat() * np.linspace(0.6, 1.2, WIDTH, dtype=np.float32)
    added, kept, crops = _estimate(alpha, YELLOW)
    _, lets_through = even_out(added, kept, crops, COUNT)
    inner = (slice(20, 40), slice(15, 105))
    rise = np.polyfit(np.arange(90), (1 - lets_through)[inner].mean(axis=0), 1)[0]
    assert rise == pytest.approx(0.5 * 0.6 / WIDTH, rel=0.2)
    assert _error(lets_through, alpha, alpha > 0) < 0.6 * _error(kept, alpha, alpha > 0)


def test_what_is_like_no_other_keeps_its_tint(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = _flat()
    colour = np.broadcast_to(YELLOW, (HEIGHT, WIDTH, 3)).copy()
    colour[30:33, 101:104] = BLUE
    crops = _crops(alpha, colour)
    monkeypatch.setattr(tints, "MOST_TELLING", 20)  # it is not among those that tell
    evened, kept = even_out(alpha[..., None] * colour, 1 - alpha, crops, COUNT)
    assert np.allclose(evened, alpha[..., None] * colour, atol=0.02)
    assert np.allclose(kept, 1 - alpha, atol=0.02)


def test_where_there_is_no_mark_nothing_changes() -> None:
    added, kept = np.zeros((16, 16, 3), np.float32), np.ones((16, 16), np.float32)
    same, too = even_out(added, kept, [np.full((16, 16, 3), 90, np.uint8)] * 3, 3)
    assert np.array_equal(same, added)
    assert np.array_equal(too, kept)


def test_that_few_pixels_tell_of_many_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = _flat()
    added, kept, crops = _estimate(alpha, YELLOW)
    _, by_all = even_out(added, kept, crops, COUNT)
    monkeypatch.setattr(tints, "MOST_PAIRS", 100 * int((alpha > 0).sum()))
    monkeypatch.setattr(tints, "TOLD_TOGETHER", 100)
    _, by_few = even_out(added, kept, crops, COUNT)
    assert _error(by_few, alpha, alpha > 0) < 1.5 * _error(by_all, alpha, alpha > 0)
