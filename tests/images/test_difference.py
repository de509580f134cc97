from __future__ import annotations

import numpy as np
import pytest

from cleanplate.images.difference import find_differences


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_it_is_what_numpy_says(channels: int, dtype: type) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 2, (20, 30, channels)).astype(dtype) for _ in range(2))
    assert np.array_equal(find_differences(first, second), (first != second).any(axis=2))
    assert not find_differences(first, first.copy()).any()
