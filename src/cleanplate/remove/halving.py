"""Inverting a mark on a photograph whose colours were stored at half the resolution, as most JPEG files are.

What is stored of the colour differences is a mean over neighbours, of the mark and of the photograph
together, made large again. So at a mark's edges they hold another share of it than the pixel's own: divided
by that pixel's share they leave coloured rims. Here the colours are divided by what was stored of them.
Arrays in, arrays out; pictures are (h, w, 3) float32, planes (h, w).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.remove.shrinkage import TO_RGB, TO_YCC
from cleanplate.structures import BoolArray, FloatArray

#: Colour that the mark lends a pixel outside it, by the opacity that it has there.
LEAST_OPACITY = 0.01
#: Shares of the photograph's colour under this are never divided by.
LEAST_KEPT = 0.03


@dataclass(frozen=True, slots=True)
class Halving:
    """How colours were stored. halved: at half the resolution (across, down). left, top: where the arrays
    begin on the photograph, from whose first column and row on neighbours are paired.
    """

    halved: tuple[bool, bool]
    left: int = 0
    top: int = 0

    def store(self, plane: FloatArray) -> FloatArray:
        """(h, w) or (h, w, n): what is seen of a plane after it was stored.

        >>> edge = np.zeros((2, 8), np.float32)
        >>> edge[:, 4:] = 1
        >>> Halving((True, True)).store(edge)[0].tolist()
        [0.0, 0.0, 0.0, 0.25, 0.75, 1.0, 1.0, 1.0]
        """
        across, down = self.halved
        height, width = plane.shape[:2]
        before = (self.top % 2 if down else 0, self.left % 2 if across else 0)
        after = ((height + before[0]) % 2 if down else 0, (width + before[1]) % 2 if across else 0)
        room = [(before[0], after[0]), (before[1], after[1]), (0, 0)][: plane.ndim]
        padded = np.pad(plane, room, mode="edge")
        size = (padded.shape[1] // (2 if across else 1), padded.shape[0] // (2 if down else 1))
        small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, padded.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(large[before[0] : before[0] + height, before[1] : before[1] + width], np.float32)


def invert_halved(
    marked: FloatArray, alpha: FloatArray, added: FloatArray, halving: Halving
) -> tuple[FloatArray, BoolArray]:
    """(the photograph behind, in [0, 1]; where it differs).

    alpha: (h, w); where hardly anything is let through the result is noise. added: (h, w, 3), the mark's
    colour times its opacity.
    """
    behind, changed = divide_halved(marked, alpha, added, halving)
    return np.clip(behind, 0, 1), changed


def divide_halved(
    marked: FloatArray, alpha: FloatArray, added: FloatArray, halving: Halving
) -> tuple[FloatArray, BoolArray]:
    """The same, unclipped: how far it lies beyond black and white tells how much of it is noise."""
    light, tinted = marked @ TO_YCC.T, added @ TO_YCC.T
    stored_alpha = halving.store(alpha)
    colours = halving.store(np.ascontiguousarray(tinted[..., 1:]))
    behind = np.empty_like(light)
    behind[..., 0] = (light[..., 0] - tinted[..., 0]) / np.maximum(1 - alpha, LEAST_KEPT)
    behind[..., 1:] = (light[..., 1:] - colours) / np.maximum(1 - stored_alpha, LEAST_KEPT)[..., None]
    changed = (alpha > 0) | (stored_alpha >= LEAST_OPACITY)
    return np.asarray(behind @ TO_RGB.T, np.float32), changed
