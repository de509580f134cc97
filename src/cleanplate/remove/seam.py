"""Where a fill meets the photograph: in the margin that is added round a found mark, they are blended."""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.structures import BoolArray, FloatArray

#: Spread of the Gaussian that tells tone from texture, and of the one over which textures are compared.
TONE_SIGMA_PX = 2.0
ALIKE_SIGMA_PX = 4.0


def blend_margin(photograph: FloatArray, fill: FloatArray, hole: BoolArray, marked: BoolArray) -> FloatArray:
    """The fill, fading into the photograph over the pixels of the hole that are not marked.

    photograph, fill: (h, w, 3) float32 in [0, 1]. hole: (h, w) bool, what was filled; marked: the part of it
    that must not be seen, which is the fill alone. Outside the hole the photograph. A mean of two textures is
    flatter than either, by how little they are alike, so it is raised by what it loses: the seam has the
    energy of its two sides.

    >>> grey, hole = np.full((4, 4, 3), 0.5, np.float32), np.eye(4, dtype=bool)
    >>> bool(np.allclose(blend_margin(grey, grey, hole, hole), 0.5))
    True
    """
    margin = hole & ~marked
    weight = hole.astype(np.float32)
    if margin.any():
        inwards = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
        outwards = cv2.distanceTransform((~marked).astype(np.uint8), cv2.DIST_L2, 5)
        ramp = inwards / np.maximum(inwards + outwards, 1e-6)
        weight = np.where(margin, ramp, weight).astype(np.float32)
    share = weight[..., None]
    tone_of_fill, tone_of_photograph = _tone(fill), _tone(photograph)
    tone = share * tone_of_fill + (1 - share) * tone_of_photograph
    own, other = fill - tone_of_fill, photograph - tone_of_photograph
    texture = share * own + (1 - share) * other
    alike = _correlate(own, other, margin)[..., None]
    energy = np.sqrt(share**2 + (1 - share) ** 2 + 2 * alike * share * (1 - share))
    blended = np.where(
        margin[..., None], tone + texture / energy, np.where(hole[..., None], fill, photograph)
    )
    return np.clip(blended, 0, 1).astype(np.float32)


def _correlate(first: FloatArray, second: FloatArray, where: BoolArray) -> FloatArray:
    """(h, w) float32 in [0, 1]: how alike two textures are round each pixel, by what lies in `where`."""
    products = [
        cv2.GaussianBlur(np.where(where, (one * two).sum(axis=2), 0), (0, 0), ALIKE_SIGMA_PX)
        for one, two in ((first, second), (first, first), (second, second))
    ]
    both = np.sqrt(np.maximum(products[1] * products[2], 1e-12))
    return np.asarray(np.clip(products[0] / both, 0, 1), np.float32)


def _tone(rgb: FloatArray) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), TONE_SIGMA_PX), np.float32)
