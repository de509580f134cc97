"""Boxes to work in: windows over a picture too large for one piece, their results put together without seams;
boxes that overlap made one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanplate.structures import Box


def windows(height: int, width: int, *, tile: int, overlap: int) -> tuple[Box, ...]:
    """Boxes of `tile` x `tile` pixels that cover `height` x `width` by rows, neighbours sharing `overlap`.

    The last ones of a row or column are shifted inwards instead of cut, so all have the same size; only
    where the picture is smaller than a tile are they as small as the picture.

    Raises ValueError unless 0 <= overlap < tile and the picture has pixels.

    >>> [(box.left, box.right) for box in windows(4, 10, tile=4, overlap=1)]
    [(0, 4), (3, 7), (6, 10)]
    """
    if height < 1 or width < 1:
        raise ValueError(f"a picture of {height} x {width} pixels has no windows")
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap is {overlap}; wanted: from 0 up to, not including, the tile's {tile}")
    return tuple(
        Box(left, top, left + min(tile, width), top + min(tile, height))
        for top in _starts(height, tile, overlap)
        for left in _starts(width, tile, overlap)
    )


def even_windows(height: int, width: int, *, most: int, overlap: int, multiple: int = 1) -> tuple[Box, ...]:
    """As few boxes as `windows` gives for a tile of `most` pixels, no larger than that takes.

    Their edges are multiples of `multiple`, or `most`, or the picture's.

    >>> [(box.left, box.right) for box in windows(4, 9, tile=8, overlap=1)]
    [(0, 8), (1, 9)]
    >>> [(box.left, box.right) for box in even_windows(4, 9, most=8, overlap=1)]
    [(0, 5), (4, 9)]
    """
    windows(height, width, tile=most, overlap=overlap)  # it says what is wrong with them
    high, wide = (_choose_even(length, most, overlap, multiple) for length in (height, width))
    return tuple(
        Box(left, top, left + min(wide, width), top + min(high, height))
        for top in _starts(height, high, overlap)
        for left in _starts(width, wide, overlap)
    )


def _choose_even(length: int, most: int, overlap: int, multiple: int) -> int:
    """The least edge of windows of which no more are needed than of `most` pixels."""
    count = len(_starts(length, most, overlap))
    edge = -(-(length + (count - 1) * overlap) // count)
    return min(most, edge + -edge % multiple)


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    step = tile - overlap
    return [min(start, length - tile) for start in range(0, length - overlap, step)]


def merge_overlapping(boxes: Sequence[Box]) -> list[Box]:
    """Boxes of which no two overlap, each the union of those that it replaces.

    >>> merge_overlapping([Box(0, 0, 2, 2), Box(1, 1, 3, 3), Box(5, 5, 6, 6)])
    [Box(left=0, top=0, right=3, bottom=3), Box(left=5, top=5, right=6, bottom=6)]
    """
    merged: list[Box] = []
    for box in boxes:
        current = box
        while True:
            touching = [other for other in merged if other.overlaps(current)]
            if not touching:
                break
            merged = [other for other in merged if other not in touching]
            for other in touching:
                current = current.union(other)
        merged.append(current)
    return sorted(merged)


class TileBlend:
    """Adds tiles up, each fading out over the overlap; what all tiles agree on comes back to about 1e-7.

    >>> picture = np.linspace(0, 1, 10, dtype=np.float32).reshape(1, 10)
    >>> blend = TileBlend((1, 10), overlap=2)
    >>> for box in windows(1, 10, tile=4, overlap=2):
    ...     blend.add(box, picture[box.slices])
    >>> bool(np.allclose(blend.result(), picture, atol=1e-6))
    True
    """

    def __init__(self, shape: tuple[int, ...], *, overlap: int) -> None:
        """shape: (H, W) or (H, W, C) of the whole. overlap: pixels, as given to `windows`."""
        self._overlap = overlap
        self._sum = np.zeros(shape, np.float32)
        self._weight = np.zeros(shape[:2], np.float32)

    def add(self, box: Box, values: NDArray[Any]) -> None:
        """Add one window's result: (h, w) or (h, w, C) floats of the box's own size."""
        weight = np.outer(_fade(box.height, self._overlap), _fade(box.width, self._overlap))
        self._sum[box.slices] += values * (weight if values.ndim == 2 else weight[:, :, None])
        self._weight[box.slices] += weight

    def result(self) -> NDArray[np.float32]:
        """The whole, float32. Raises ValueError while some pixel is in no window."""
        if not self._weight.all():
            raise ValueError("the windows do not cover the picture")
        weight = self._weight if self._sum.ndim == 2 else self._weight[:, :, None]
        return self._sum / weight


def _fade(length: int, overlap: int) -> NDArray[np.float32]:
    """Rises over `overlap` pixels, stays 1, falls again; never 0, so that the picture's rim is covered."""
    place = np.arange(length)
    nearest = np.minimum(place, place[::-1]) + 1
    fade: NDArray[np.float32] = (np.minimum(nearest, overlap + 1) / (overlap + 1)).astype(np.float32)
    return fade
