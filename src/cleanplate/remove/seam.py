"""Where a fill meets the photograph: its tone is moved to meet it, and in the margin that is added round a
found mark they are blended."""

from __future__ import annotations

import cv2
import numpy as np

from cleanplate.remove.inpaint import dilate, fill_with_membrane
from cleanplate.structures import BoolArray, Box, FloatArray

#: A step in tone is the difference of means over these spreads along the rim, a pixel outside and one inside;
#: it counts by how far it passes what texture alone would give, this much for neighbours that are alike. No
#: tone is moved farther than the limit: what is that far off is no tone. A mask may leave a mark's soft edge
#: outside, so it counts no more than the step from the photograph that much farther out, of the same sign.
#: Source: `benchmarks/fills.py --tone` over training photographs; wider rims compare what lies too far apart.
STEP_SIGMA_PX = 2.0
FARTHER_PX = 3
#: Nothing farther from the hole is looked at.
REACH_PX = 16
ALIKE_PIXELS = 4.0
MOST_STEP = 0.1
#: Spread of the Gaussian that tells tone from texture, and of the one over which textures are compared.
TONE_SIGMA_PX = 2.0
ALIKE_SIGMA_PX = 4.0


def match_tone(photograph: FloatArray, fill: FloatArray, hole: BoolArray) -> FloatArray:
    """The fill, moved by a membrane spanned between the steps in tone that it makes at the hole's rim.

    photograph, fill: (h, w, 3) float32 in [0, 1]. hole: (h, w) bool. Outside the hole the fill as it is: what
    it has there is not looked at.

    >>> grey, hole = np.full((16, 16, 3), 0.5, np.float32), np.zeros((16, 16), bool)
    >>> hole[4:12, 4:12] = True
    >>> bool(np.allclose(match_tone(grey, grey + hole[..., None] * np.float32(0.05), hole), 0.5, atol=0.005))
    True
    """
    near = Box.around(hole)
    if near is None:
        return fill
    part = near.grown(REACH_PX, hole.shape[1], hole.shape[0]).slices
    moved = fill.copy()
    moved[part] = _match_tone(photograph[part], fill[part], hole[part])
    return moved


def _match_tone(photograph: FloatArray, fill: FloatArray, hole: BoolArray) -> FloatArray:
    rim = hole & dilate(~hole, 1)
    if not rim.any():
        return fill
    own = _average(fill, rim)
    near = _find_step(own, _average(photograph, dilate(hole, 1) & ~hole))
    beyond = dilate(hole, FARTHER_PX + 1) & ~dilate(hole, FARTHER_PX - 1)
    far = _find_step(own, _average(photograph, beyond))
    step = np.where(near * far > 0, np.sign(near) * np.minimum(np.abs(near), np.abs(far)), 0)
    step = np.where(rim[..., None], np.clip(step, -MOST_STEP, MOST_STEP), 0).astype(np.float32)
    moved = np.clip(fill + fill_with_membrane(step, ~rim), 0, 1)
    return np.where(hole[..., None], moved, fill).astype(np.float32)


#: Mean and the mean's variance, (h, w, 3) each.
_Average = tuple[FloatArray, FloatArray]


def _find_step(own: _Average, known: _Average) -> FloatArray:
    """(h, w, 3) float32: how far a tone is from what is known, less what texture gives by chance."""
    step = known[0] - own[0]
    chance = ALIKE_PIXELS * (known[1] + own[1]).sum(axis=2, keepdims=True)
    energy = (step**2).sum(axis=2, keepdims=True)
    return np.asarray(step * energy / (energy + chance + 1e-12), np.float32)


def _average(rgb: FloatArray, where: BoolArray) -> _Average:
    """(h, w, 3) each: the mean over the pixels in `where` near each pixel, and that mean's variance."""
    inside = where.astype(np.float32)
    share = np.maximum(cv2.GaussianBlur(inside, (0, 0), STEP_SIGMA_PX), 1e-6)[..., None]
    values = rgb * inside[..., None]
    mean, square = (cv2.GaussianBlur(v, (0, 0), STEP_SIGMA_PX) / share for v in (values, values * values))
    count = np.maximum(share * (4 * np.pi * STEP_SIGMA_PX**2), 1)
    variance = np.maximum(square - mean * mean, 0) / count
    return np.asarray(mean, np.float32), np.asarray(variance, np.float32)


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
    if not margin.any():  # a given mask has none
        return np.clip(np.where(hole[..., None], fill, photograph), 0, 1).astype(np.float32)
    inwards = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)
    outwards = cv2.distanceTransform((~marked).astype(np.uint8), cv2.DIST_L2, 5)
    ramp = inwards / np.maximum(inwards + outwards, 1e-6)
    share = np.where(margin, ramp, hole).astype(np.float32)[..., None]
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
