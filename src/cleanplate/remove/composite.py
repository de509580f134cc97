"""Putting repaired crops back: inside the changed pixels only, in the photograph's own depth."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cleanplate.images.difference import find_differences
from cleanplate.remove.base import Removal
from cleanplate.structures import BoolArray, Box, RgbArray


def paste(rgb: RgbArray, removals: Iterable[tuple[Box, Removal]]) -> tuple[RgbArray, BoolArray]:
    """A copy of a photograph with repaired crops in it, and the pixels that now differ.

    rgb: (H, W, 3) uint8 or uint16. removals: asked for one after the other, and not kept. A pixel outside
    every removal's `changed` is the input's own, bit for bit.

    >>> repaired = Removal(np.ones((1, 1, 3), np.float32), np.ones((1, 1), bool), ())
    >>> paste(np.zeros((1, 2, 3), np.uint8), [(Box(1, 0, 2, 1), repaired)])[0][0, :, 0].tolist()
    [0, 255]
    """
    result = rgb.copy()
    peak = np.iinfo(rgb.dtype).max
    for box, removal in removals:
        values = np.rint(np.clip(removal.rgb[removal.changed], 0, 1) * peak).astype(rgb.dtype)
        result[box.slices][removal.changed] = values
        del removal  # before the next is asked for
    return result, find_differences(result, rgb)
