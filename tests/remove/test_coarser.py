"""What is taken over from an estimate at half the size, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.remove.coarser import enlarge, find_thick, halve, mix, take_over

SIZE = 80


def draw(opacity: float) -> np.ndarray:
    """`b` of a square and a line of two pixels."""
    kept = np.ones((SIZE, SIZE), np.float32)
    kept[10:50, 10:50] = 1 - opacity
    kept[64:66, 10:70] = 1 - opacity
    return kept


def test_thick_parts_are_told_from_thin_ones() -> None:
    thick, share = find_thick(draw(0.5))
    assert thick[15:45, 15:45].min() > 0.95
    assert thick[62:68].max() < 0.05
    assert 0.8 < share < 1


@pytest.mark.parametrize("columns", [slice(0, 0), slice(10, 70)])
def test_a_mark_of_thin_strokes_or_none_is_thick_nowhere(columns: slice) -> None:
    kept = np.ones((SIZE, SIZE), np.float32)
    kept[64:66, columns] = 0.5
    thick, share = find_thick(kept)
    assert share == 0
    assert not thick.any()


def test_opacity_is_taken_over_where_it_is_thick_and_the_mean_photograph_stays() -> None:
    rng = np.random.default_rng(0)
    crops = [rng.integers(60, 200, (SIZE, SIZE, 3)).astype(np.uint8) for _ in range(6)]
    found, coarser, mask = draw(0.6), draw(0.5), draw(0.6) < 1
    added = np.repeat((0.4 * (1 - found))[..., None], 3, axis=2).astype(np.float32)
    thick, _ = find_thick(coarser)
    new_added, new_kept = take_over((added, found), enlarge(halve(coarser)), thick, mask, crops)
    assert np.allclose(new_kept[20:40, 20:40], 0.5, atol=0.01)
    assert np.allclose(new_kept[64:66, 10:70], 0.4, atol=0.02)
    assert (new_kept[~mask] == 1).all()
    assert not new_added[~mask].any()
    behind = np.mean([np.clip((crop / 255 - added) / found[..., None], 0, 1) for crop in crops], axis=0)
    before, after = added + found[..., None] * behind, new_added + new_kept[..., None] * behind
    assert np.abs(before - after)[mask].max() < 1e-5


def test_planes_and_pictures_are_mixed_by_their_share() -> None:
    share = np.array([[0.0, 0.5, 1.0]], np.float32)
    one, other = np.ones((1, 3), np.float32), np.zeros((1, 3), np.float32)
    assert np.array_equal(mix(one, other, share), share)
    assert mix(np.dstack([one] * 3), np.dstack([other] * 3), share)[0, 1].tolist() == [0.5] * 3
