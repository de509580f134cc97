"""A mark resampled to where it lies on a photograph: any scale, fractions of a pixel."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from cleanplate.structures import Box, FloatArray, Mark, Placement

#: Fractions of a pixel below this are not resampled for.
LEAST_SHIFT_PX = 0.02


def trim_mark(mark: Mark, least: float = 0.0) -> tuple[Mark, int, int]:
    """(the mark without its empty margins, columns and rows that were cut on the left and at the top).

    least: opacities up to this count as empty. A mark that is empty everywhere stays as it is.

    >>> alpha = np.zeros((4, 5), np.float32)
    >>> alpha[1:3, 2:4] = 0.5
    >>> trimmed, left, top = trim_mark(Mark(alpha, np.ones((4, 5, 3), np.float32)))
    >>> trimmed.alpha.shape, left, top
    ((2, 2), 2, 1)
    """
    rows, columns = np.nonzero(mark.alpha > least)
    if len(rows) == 0:
        return mark, 0, 0
    box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    alpha, rgb = (np.ascontiguousarray(plane[box.slices]) for plane in (mark.alpha, mark.rgb))
    return replace(mark, alpha=alpha, rgb=rgb, place=None), box.left, box.top


def scale_mark(mark: Mark, scale: float) -> Mark:
    """The mark at another size: averaged when it shrinks, cubic when it grows. Colour follows opacity.

    >>> scale_mark(Mark(np.ones((4, 6), np.float32), np.ones((4, 6, 3), np.float32)), 0.5).alpha.shape
    (2, 3)
    """
    height, width = mark.alpha.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return mark
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return _unpremultiply(cv2.resize(_premultiply(mark), size, interpolation=interpolation), mark)


def place_mark(mark: Mark, placement: Placement, height: int, width: int) -> tuple[Mark, Box] | None:
    """(the mark on the photograph's own grid, the box that it takes there), None where it lies outside.

    height, width: of the photograph. The mark that is returned has the box's size.

    >>> one = Mark(np.ones((2, 2), np.float32), np.ones((2, 2, 3), np.float32))
    >>> placed, box = place_mark(one, Placement(left=3, top=-1), 4, 4)
    >>> box, placed.alpha.shape
    (Box(left=3, top=0, right=4, bottom=1), (1, 1))
    """
    scaled = scale_mark(mark, placement.scale)
    column, row = int(np.floor(placement.left)), int(np.floor(placement.top))
    scaled, column, row = _shift(scaled, placement.left - column, placement.top - row, column, row)
    mark_height, mark_width = scaled.alpha.shape
    box = Box(max(0, column), max(0, row), min(width, column + mark_width), min(height, row + mark_height))
    if box.width <= 0 or box.height <= 0:
        return None
    inside = Box(box.left - column, box.top - row, box.right - column, box.bottom - row)
    alpha, rgb = (np.ascontiguousarray(plane[inside.slices]) for plane in (scaled.alpha, scaled.rgb))
    return replace(mark, alpha=alpha, rgb=rgb, place=None), box


def _shift(mark: Mark, right: float, down: float, column: int, row: int) -> tuple[Mark, int, int]:
    """Moved by fractions of a pixel, with a pixel of room on every side; (mark, its new column and row)."""
    right, column = (0.0, column + 1) if right > 1 - LEAST_SHIFT_PX else (right, column)
    down, row = (0.0, row + 1) if down > 1 - LEAST_SHIFT_PX else (down, row)
    if right < LEAST_SHIFT_PX and down < LEAST_SHIFT_PX:
        return mark, column, row
    height, width = mark.alpha.shape
    affine = np.array([[1, 0, right + 1], [0, 1, down + 1]], np.float32)
    size = (width + 3, height + 3)
    moved = cv2.warpAffine(_premultiply(mark), affine, size, flags=cv2.INTER_CUBIC)
    return _unpremultiply(moved, mark), column - 1, row - 1


def _premultiply(mark: Mark) -> FloatArray:
    return np.dstack([mark.rgb * mark.alpha[..., None], mark.alpha])


def _unpremultiply(premultiplied: object, like: Mark) -> Mark:
    """A mark from premultiplied layers; cubic resampling must not make it more opaque than it was."""
    layers = np.asarray(premultiplied, np.float32)
    alpha = np.clip(layers[..., 3], 0, float(like.alpha.max(initial=0)))
    rgb = np.clip(layers[..., :3] / np.maximum(layers[..., 3], 1e-4)[..., None], 0, 1)
    rgb_f32 = np.ascontiguousarray(rgb, np.float32)
    return replace(like, alpha=np.ascontiguousarray(alpha), rgb=rgb_f32, place=None)
