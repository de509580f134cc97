from __future__ import annotations

import numpy as np
import pytest

from cleanplate.images.difference import find_differences, find_rewritten
from cleanplate.structures import Box


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_it_is_what_numpy_says(channels: int, dtype: type) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 2, (20, 30, channels)).astype(dtype) for _ in range(2))
    assert np.array_equal(find_differences(first, second), (first != second).any(axis=2))
    assert not find_differences(first, first.copy()).any()


BOX = Box(4, 4, 16, 12)


def rewrite(dtype: type = np.uint8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    before = rng.integers(40, 200, (20, 30, 3)).astype(dtype)
    mask = np.zeros((20, 30), bool)
    mask[6:10, 6:12] = True
    after = before.copy()
    after[mask] += 30
    return before, after, mask


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("boxes", [[BOX], [Box(0, 0, 30, 20)], []])
def test_without_loss_it_is_exact(dtype: type, boxes: list[Box]) -> None:
    before, after, mask = rewrite(dtype)
    assert np.array_equal(find_rewritten(before, after, boxes), mask)


def test_a_formats_noise_is_not_taken_for_it() -> None:
    before, after, mask = rewrite()
    after = after + np.random.default_rng(2).integers(0, 6, after.shape).astype(np.uint8)
    assert np.array_equal(find_rewritten(before, after, [BOX]), mask)


def test_depths_may_differ() -> None:
    before, after, mask = rewrite()
    assert np.array_equal(find_rewritten(before.astype(np.uint16) * 257, after, [BOX]), mask)
