"""Putting marks on photographs, and what that does to each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from cleanplate.structures import Box, FloatArray, Mark


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
    placed = [(mark, box) for mark in marks if (box := _find_overlap(mark, height, width)).area]
    touched = reduce(Box.union, [box for _, box in placed]) if placed else Box(0, 0, 0, 0)
    added = np.zeros((touched.height, touched.width, 3), np.float32)
    kept = np.ones(added.shape[:2], np.float32)
    for mark, box in placed:
        here = box.moved(-touched.left, -touched.top).slices
        on_mark = box.moved(-mark.left, -mark.top).slices
        own_alpha, own_colour = mark.mark.alpha[on_mark], mark.mark.rgb[on_mark]
        added[here] = added[here] * (1 - own_alpha)[..., None] + own_colour * own_alpha[..., None]
        kept[here] *= 1 - own_alpha
    marked, alpha = rgb.copy(), np.zeros((height, width), np.float32)
    colour = np.zeros((height, width, 3), np.float32)
    there = touched.slices
    marked[there] = rgb[there] * kept[..., None] + added
    alpha[there] = 1 - kept
    covered = alpha[there][..., None]
    colour[there] = np.where(covered > 1e-6, added / np.maximum(covered, 1e-6), 0)
    return marked, alpha, colour


def _find_overlap(placed: PlacedMark, height: int, width: int) -> Box:
    """The part of a photograph that a mark lies on; without area where it lies beside it."""
    mark_height, mark_width = placed.mark.alpha.shape
    top, left = max(0, placed.top), max(0, placed.left)
    return Box(left, top, min(width, placed.left + mark_width), min(height, placed.top + mark_height))
