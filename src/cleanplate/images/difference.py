"""Which pixels of two pictures differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanplate.structures import BoolArray


def find_differences(first: NDArray[Any], second: NDArray[Any]) -> BoolArray:
    """(H, W) bool from two (H, W, C) pictures of one shape and type: true where any channel differs.

    `(first != second).any(axis=2)` takes eight times as long, which was 1 % of the time of a folder of PNG
    files.

    >>> find_differences(np.zeros((1, 2, 3)), np.array([[[0, 0, 0], [0, 0, 1]]])).tolist()
    [[False, True]]
    """
    different = first != second
    merged = different[..., 0]
    for channel in range(1, different.shape[2]):
        merged = merged | different[..., channel]
    return np.asarray(merged, bool)
