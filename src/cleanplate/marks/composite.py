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
    added = np.zeros((height, width, 3), np.float32)
    kept = np.ones((height, width), np.float32)
    for placed in marks:
        rows, columns, mark_rows, mark_columns = _overlap(placed, height, width)
        alpha = placed.mark.alpha[mark_rows, mark_columns]
        colour = placed.mark.rgb[mark_rows, mark_columns]
        added[rows, columns] = added[rows, columns] * (1 - alpha)[..., None] + colour * alpha[..., None]
        kept[rows, columns] *= 1 - alpha
    alpha = 1 - kept
    marked = rgb * kept[..., None] + added
    colour = np.where(alpha[..., None] > 1e-6, added / np.maximum(alpha, 1e-6)[..., None], 0).astype(
        np.float32
    )
    return marked, alpha, colour


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
