"""Large photographs out of small ones: rows of photographs side by side.

Marks on photographs of 1000 to 2400 pixels are to be learned and measured too, and free sets hold few of
those. A mosaic has a large photograph's size, texture at the scale that cameras give, and nothing enlarged;
what it lacks is large smooth areas, and it has seams that photographs have not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cleanplate.errors import UsageError

#: The long side of a mosaic: from, to, evenly on a logarithmic scale.
SMALLEST_PX, LARGEST_PX = 960, 2400
#: Its shapes, width to height.
SHAPES = (3 / 2, 4 / 3, 16 / 9, 1.0, 2 / 3)
#: Rows are so high, or as high as their first photograph where that is less.
LEAST_ROW_PX, MOST_ROW_PX = 240, 640
#: A photograph with a long side from here on is large by itself.
LARGE_PX = 960
#: Where fewer photographs than this share are large, as many triples are drawn on mosaics instead.
WANTED_LARGE_SHARE = 1 / 3

Read = Callable[[Path], NDArray[np.uint8]]


def choose_mosaic_share(long_sides: Sequence[int]) -> float:
    """The part of the triples that mosaics should carry, from the photographs' long sides in pixels.

    >>> choose_mosaic_share([481] * 8 + [2400])
    0.3333333333333333
    >>> choose_mosaic_share([481, 1024, 2400])
    0.0
    """
    large = sum(side >= LARGE_PX for side in long_sides)
    return WANTED_LARGE_SHARE if large < WANTED_LARGE_SHARE * len(long_sides) else 0.0


def read_long_side(photo: Path) -> int:
    """In pixels. Raises UsageError where the file is no photograph."""
    try:
        with Image.open(photo) as picture:  # reads no more than the header
            return max(picture.size)
    except (OSError, Image.DecompressionBombError) as exc:
        raise UsageError(
            f"{photo}: cannot be read as a photograph ({exc}); remove it from the folder"
        ) from exc


def draw_mosaic(
    photos: Sequence[Path], rng: np.random.Generator, read: Read, largest_px: int = LARGEST_PX
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: a mosaic of a random size and shape, its photographs at their own size or smaller.

    photos: to choose from, at least one; some come twice where there are few. read: a photograph as (h, w, 3)
    uint8. largest_px: its long side at most, from SMALLEST_PX.
    """
    long_side = float(np.exp(rng.uniform(np.log(SMALLEST_PX), np.log(largest_px))))
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    width = round(long_side if shape >= 1 else long_side * shape)
    height = round(long_side / shape if shape >= 1 else long_side)
    order = [int(number) for number in rng.permutation(len(photos))]
    rows: list[NDArray[np.uint8]] = []
    while sum(len(row) for row in rows) < height:
        rows.append(_draw_row(photos, order, width, rng, read))
    return np.ascontiguousarray(np.concatenate(rows)[:height])


def _draw_row(
    photos: Sequence[Path], order: list[int], width: int, rng: np.random.Generator, read: Read
) -> NDArray[np.uint8]:
    """A row of at least `width`, cut to it; its photographs are taken from the order's front and put back."""
    row_px = int(rng.integers(LEAST_ROW_PX, MOST_ROW_PX + 1))
    pieces: list[NDArray[np.uint8]] = []
    while sum(piece.shape[1] for piece in pieces) < width:
        order.append(order.pop(0))
        picture = read(photos[order[-1]])
        if not pieces:
            row_px = min(row_px, picture.shape[0])
        if picture.shape[0] < row_px:  # too small: all of the row shrinks to it, nothing is enlarged
            pieces = [_scale(piece, picture.shape[0]) for piece in pieces]
            row_px = picture.shape[0]
        pieces.append(_scale(picture, row_px))
    return np.concatenate(pieces, axis=1)[:, :width]


def _scale(picture: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    if picture.shape[0] == height:
        return picture
    size = (max(1, round(picture.shape[1] * height / picture.shape[0])), height)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
