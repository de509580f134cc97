"""EXIF orientation on arrays: to upright, and back to how the file stores it. Nothing is resampled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_upright(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn (H, W, ...) as stored into what is meant to be seen; orientation 1 to 8 as in EXIF, others are 1.

    >>> to_upright(np.array([[1, 2]]), 6).tolist()
    [[1], [2]]
    """
    if orientation in (5, 6, 7, 8):
        stored = stored.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        stored = stored[:, ::-1]
    if orientation in (3, 4, 7, 8):
        stored = stored[::-1]
    return np.ascontiguousarray(stored)


def to_stored(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo `to_upright`.

    >>> to_stored(to_upright(np.array([[1, 2, 3]]), 5), 5).tolist()
    [[1, 2, 3]]
    """
    if orientation in (3, 4, 7, 8):
        upright = upright[::-1]
    if orientation in (2, 3, 6, 7):
        upright = upright[:, ::-1]
    if orientation in (5, 6, 7, 8):
        upright = upright.swapaxes(0, 1)
    return np.ascontiguousarray(upright)
