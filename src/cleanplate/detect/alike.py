"""Where the finder sees a mark at one place on several photographs, though their gradients may not show it.

On texture a mark's outline drowns; on smooth ground the finder sees all of it. Where it does so at the same
place on a few photographs, that is no chance. Pure: arrays in, places out.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.consistent import Consistent, Rule, find_offset
from cleanplate.detect.outlines import COLOURS, Manner, draw_field
from cleanplate.structures import BoolArray, Box, FloatArray

#: Of the pieces or photographs that the finder saw, in so many it must see a mark at one place: a part of
#: them, and at least so many pieces, which lie on each other because of what they share, or photographs.
LEAST_SHARE = 0.25
FEWEST_PIECES, FEWEST_PHOTOGRAPHS = 2, 3
#: A mark has so many pixels at the least, at the size in which photographs are compared.
FEWEST_PIXELS = 60
#: So much of the fields' length must be left in their mean, squared: where marks lie anywhere, what is seen
#: overlaps without being one. Source: 0.47 to 0.75 on five folders of eight photographs with a mark at one
#: place, 0.09 with one that is moved by up to 20 pixels.
LEAST_STRENGTH = 0.2
#: The outline of what is seen lies up to so far beyond it.
EDGE_PX = 3


def find_common(masks: Sequence[BoolArray], fewest: int) -> BoolArray:
    """(h, w) bool: what several of the masks have, which lie on each other.

    >>> find_common([np.eye(2, dtype=bool), np.ones((2, 2), bool), np.zeros((2, 2), bool)], 2)
    array([[ True, False],
           [False,  True]])
    """
    counts = np.zeros(masks[0].shape, np.int32)
    for mask in masks:
        counts += mask
    return np.asarray(counts >= max(fewest, LEAST_SHARE * len(masks)), bool)


def find_alike(
    photos_u8: Sequence[NDArray[np.uint8]], masks: Sequence[BoolArray], rules: Sequence[Rule]
) -> Consistent | None:
    """The outline of what the finder sees at one place on several photographs, or None.

    photos_u8: (H, W, 3) uint8, at the size in which they are compared, which `rules` must agree with.
    masks: (H, W) bool, what it sees on them.
    """
    canvas = (min(len(mask) for mask in masks), min(mask.shape[1] for mask in masks))
    best: tuple[int, Rule, BoolArray] | None = None
    for rule in rules:
        common = find_common([_lay(mask, canvas, rule) for mask in masks], FEWEST_PHOTOGRAPHS)
        size = int(common.sum())
        if size >= FEWEST_PIXELS and (best is None or size > best[0]):
            best = size, rule, common
    if best is None:
        return None
    _, rule, common = best
    seeing = [
        _lay(photo, canvas, rule).astype(np.float32) / np.float32(255)
        for photo, mask in zip(photos_u8, masks, strict=True)
        if 2 * int((_lay(mask, canvas, rule) & common).sum()) >= int(common.sum())
    ]
    if len(seeing) < FEWEST_PHOTOGRAPHS:
        return None
    drawn = (_draw(seeing, common, rule, manner) for manner in (Manner(), *COLOURS))
    found = max(drawn, key=lambda outline: outline.strength)
    return found if found.strength >= LEAST_STRENGTH else None


def _draw(seeing: Sequence[FloatArray], common: BoolArray, rule: Rule, manner: Manner) -> Consistent:
    """The outline as photographs have it on which the mark was seen."""
    where = cv2.dilate(common.astype(np.uint8), np.ones((2 * EDGE_PX + 1,) * 2, np.uint8)) > 0
    rows, columns = np.nonzero(where)
    box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    fields = [draw_field(photo[box.slices], manner) for photo in seeing]
    mean = np.where(where[box.slices][..., None], np.mean(fields, axis=0), 0).astype(np.float32)
    energy = sum(float((field * field)[where[box.slices]].sum()) for field in fields)
    strength = len(fields) * float((mean * mean).sum()) / (energy + 1e-9)
    return Consistent(rule, box, (common.shape[0], common.shape[1]), mean, strength, manner)


def _lay(plane: NDArray, canvas: tuple[int, int], rule: Rule) -> NDArray:  # type: ignore[type-arg]
    """The part of a photograph's plane that lies on the canvas."""
    left, top = find_offset(plane.shape[0], plane.shape[1], canvas, rule.anchor)
    return plane[top : top + canvas[0], left : left + canvas[1]]
