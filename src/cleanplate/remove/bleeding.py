"""Colour that compression has spread from a mark to the pixels round it, taken back.

Most JPEG files hold colours at half the resolution, so that red letters have a rim of two or three reddish
pixels where no mark is. A fill that starts there is reddish all over, and the rim itself stays. Pictures
are (h, w, 3) float32 in [0, 1], masks (h, w) bool.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.base import Crop
from cleanplate.remove.inpaint import dilate, fill_with_membrane
from cleanplate.remove.shrinkage import TO_RGB, TO_YCC
from cleanplate.structures import BoolArray, Box, FloatArray

#: How far colours spread. Source: offline repairs of 160 validation photographs' crops: 24.11 > 24.20 and
#: 23.01 > 23.09 dB inside, 12 photographs better (one by 4.4 dB), three a little worse; the same within 0.05
#: dB with 5.
SPREAD_PX = 3
#: A mark whose colours differ less from the photograph's, as the length of (Cb, Cr) in [-0.5, 0.5], leaves no
#: rim that is seen. Source: with 0.03 the same photographs differ.
LEAST_COLOUR = 0.06
#: The mark's colour is that of pixels with at least so much matte, of which there must be some.
CORE, FEWEST_PIXELS = 0.5, 8
#: Less colour than this (of 1) rounds to nothing.
LEAST_TAKEN = 0.002


def take_back_colours(
    crop: Crop,
    repaired: FloatArray,
    matte: FloatArray,
    owner: NDArray[np.int32],
    boxes: dict[int, Box],
    filled: BoolArray,
) -> tuple[FloatArray, BoolArray]:
    """(the repaired crop without the marks' colours in and round them, where it differs): of files that hold
    colours at half the resolution; others come back as they are.

    matte: (h, w) in [0, 1]. owner: (h, w), the group of every pixel that may be rewritten, 0 elsewhere;
    boxes: round each group that was rewritten. filled: what was filled, all of which is looked at; of the
    rest only what lies near its edge. Outside `owner` a mask that was given is kept to.

    Along the line from the photograph's colour to the mark's a pixel keeps nothing of the mark's side. What
    the photograph's colour is says a membrane from farther off than colours spread. Lightness stays.
    """
    changed = np.zeros(owner.shape, bool)
    if crop.quantisation is None or not any(crop.quantisation.halved):
        return repaired, changed
    marked, (height, width) = crop.rgb, owner.shape
    cores = {label: (owner[box.slices] == label) & (matte[box.slices] > CORE) for label, box in boxes.items()}
    coloured = {
        label: box
        for label, box in boxes.items()
        if np.count_nonzero(cores[label]) >= FEWEST_PIXELS
        and _find_length(_compare(marked, repaired, box, cores[label])) > LEAST_COLOUR / 2
    }
    if not coloured:
        return repaired, changed
    result = repaired.copy()
    wide = fill_with_membrane(marked, dilate(owner > 0, SPREAD_PX))
    for label, box in coloured.items():
        toward = _compare(marked, wide, box, cores[label])
        colour = _find_length(toward)
        if colour < LEAST_COLOUR:
            continue
        toward /= colour
        near = box.grown(2 * SPREAD_PX + 1, width, height).slices
        there = owner[near] == label
        where = _find_rim(owner[near], there, filled[near])
        if crop.given:
            where &= crop.mask[near] | there
        ycc = cv2.transform(result[near], TO_YCC)
        excess = np.clip((ycc - cv2.transform(wide[near], TO_YCC))[..., 1:] @ toward, 0, colour)
        where &= excess > LEAST_TAKEN
        ycc[..., 1:] -= (excess[..., None] * toward).astype(np.float32)
        result[near][where] = np.clip(cv2.transform(ycc, TO_RGB), 0, 1)[where]
        changed[near] |= where
    return result, changed


def _compare(one: FloatArray, other: FloatArray, box: Box, where: BoolArray) -> FloatArray:
    """(2,): by what the colours (Cb, Cr) of one picture differ from another's on the mean."""
    difference = (one[box.slices][where] - other[box.slices][where]).mean(axis=0)
    return np.asarray(TO_YCC[1:] @ difference, np.float32)


def _find_length(colour: FloatArray) -> float:
    return float(np.linalg.norm(colour))


def _find_rim(owner: NDArray[np.int32], there: BoolArray, filled: BoolArray) -> BoolArray:
    """The pixels of a group that are filled or near its edge, and what no group owns as near to it."""
    outside = owner == 0
    rim: BoolArray = (there & (filled | dilate(outside, SPREAD_PX))) | (dilate(there, SPREAD_PX) & outside)
    return rim
