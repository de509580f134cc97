"""Putting marks on photographs, and what that does to each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cleanplate.structures import FloatArray, Mark


@dataclass(frozen=True, eq=False)
class PlacedMark:
    """A mark with its upper left corner at (left, top) of a photograph; it may reach over the edges."""

    mark: Mark
    left: int
    top: int


def composite(rgb: FloatArray, marks: Sequence[PlacedMark]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Blend marks onto a photograph, first one lowest: `J = (1 - alpha) * I + alpha * colour`.

    rgb: (H, W, 3) float32 in [0, 1]. Returns (marked (H, W, 3), alpha (H, W), colour (H, W, 3)): the joint
    opacity and colour of all marks, so that the formula above holds for them together.

    >>> white = Mark(alpha=np.full((1, 1), 0.5, np.float32), rgb=np.ones((1, 1, 3), np.float32))
    >>> marked, alpha, _ = composite(np.zeros((2, 2, 3), np.float32), [PlacedMark(white, 1, 0)])
    >>> float(marked[0, 1, 0]), float(alpha[0, 1])
    (0.5, 0.5)
    """
    height, width = rgb.shape[:2]
    overlaps = [(placed, _overlap(placed, height, width)) for placed in marks]
    overlaps = [(p, places) for p, places in overlaps if all(s.stop > s.start for s in places)]
    touched = _bound([places for _, places in overlaps])
    shape = rgb[touched].shape
    added, kept = np.zeros(shape, np.float32), np.ones(shape[:2], np.float32)
    for placed, (rows, columns, mark_rows, mark_columns) in overlaps:
        here = (_shift(rows, touched[0]), _shift(columns, touched[1]))
        own_alpha = placed.mark.alpha[mark_rows, mark_columns]
        own_colour = placed.mark.rgb[mark_rows, mark_columns]
        added[here] = added[here] * (1 - own_alpha)[..., None] + own_colour * own_alpha[..., None]
        kept[here] *= 1 - own_alpha
    marked, alpha = rgb.copy(), np.zeros((height, width), np.float32)
    colour = np.zeros((height, width, 3), np.float32)
    marked[touched] = rgb[touched] * kept[..., None] + added
    alpha[touched] = 1 - kept
    covered = np.maximum(alpha[touched], 1e-6)[..., None]
    colour[touched] = np.where(alpha[touched][..., None] > 1e-6, added / covered, 0)
    return marked, alpha, colour


def _bound(overlaps: Sequence[tuple[slice, slice, slice, slice]]) -> tuple[slice, slice]:
    """The smallest (rows, columns) that hold all that marks touch; empty where they touch nothing."""
    if not overlaps:
        return slice(0, 0), slice(0, 0)
    rows, columns, _, _ = zip(*overlaps, strict=True)
    return _join(rows), _join(columns)


def _join(slices: Sequence[slice]) -> slice:
    return slice(min(s.start for s in slices), max(s.stop for s in slices))


def _shift(where: slice, origin: slice) -> slice:
    return slice(where.start - origin.start, where.stop - origin.start)


def _overlap(placed: PlacedMark, height: int, width: int) -> tuple[slice, slice, slice, slice]:
    mark_height, mark_width = placed.mark.alpha.shape
    top, left = max(0, placed.top), max(0, placed.left)
    bottom = max(top, min(height, placed.top + mark_height))
    right = max(left, min(width, placed.left + mark_width))
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - placed.top, bottom - placed.top),
        slice(left - placed.left, right - placed.left),
    )
