"""What a shared mark's estimate at half the size is right about, and taking that over.

At full size photographs of many megapixels are smooth, and compression makes what the mark leaves of their
gradients smoother yet: the likelihood then takes the mark's flat parts for more opaque than they are. Means
over four pixels are wrong about that by less, and about strokes as thin as they are by more. So where a mark
is thick its opacity is that of the estimate at half the size, with the details of the one at full size.
Arrays in, arrays out.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.tints import LEAST_KEPT, find_own
from cleanplate.structures import BoolArray, FloatArray

#: A stroke is thick where a square of so many pixels lies in it, at half the size. Source: of 24 marks on
#: training photographs of 480 to 2400 pixels, nine of ten of which less than 0.7 is thick came out worse from
#: half the size alone (by 1 to 14 dB), 11 of 14 of which more is came out better (by up to 7).
THICK_PX = 3
LEAST_THICK = 0.75
#: What lies so near to thick parts belongs to them, unless there are thin ones beside it.
NEAR_PX = 2
#: How softly thick parts end.
SOFT_PX = 1.5


def find_thick(kept: FloatArray) -> tuple[FloatArray, float]:
    """((h, w) in [0, 1]: where the mark is thick; which part of it is), by `b` (h, w), both edges even.

    A mark of which little is thick counts as thin everywhere.

    >>> kept = np.ones((64, 64), np.float32)
    >>> kept[8:40, 8:40], kept[52:54, 8:40] = 0.5, 0.5
    >>> thick, share = find_thick(kept)
    >>> float(thick[20, 20].round(2)), float(thick[52, 20].round(2)), share > 0.9
    (1.0, 0.0, True)
    """
    own = find_own(halve(1 - kept)).astype(np.uint8)
    opened = cv2.morphologyEx(own, cv2.MORPH_OPEN, np.ones((THICK_PX, THICK_PX), np.uint8))
    share = float(opened.sum()) / max(1, int(own.sum()))
    if share < LEAST_THICK:
        return np.zeros(kept.shape, np.float32), 0.0
    round_it = np.ones((2 * NEAR_PX + 1,) * 2, np.uint8)
    near = cv2.dilate(opened, round_it) > 0
    thin = cv2.dilate(((own > 0) & ~near).astype(np.uint8), round_it) > 0
    thick = enlarge((near & ~thin).astype(np.float32))
    return np.asarray(cv2.GaussianBlur(thick, (0, 0), SOFT_PX), np.float32), share


def mix(one: FloatArray, other: FloatArray, share: FloatArray) -> FloatArray:
    """So much (h, w) of the one and the rest of the other, planes or pictures."""
    part = share if one.ndim == 2 else share[..., None]
    return np.asarray(other + part * (one - other), np.float32)


def take_over(
    planes: tuple[FloatArray, FloatArray],
    coarser: FloatArray,
    thick: FloatArray,
    mask: BoolArray,
    crops_u8: Iterable[NDArray[np.uint8]],
) -> tuple[FloatArray, FloatArray]:
    """(a, b) of full size with the means of `b` that the estimate at half the size has where it is thick.

    planes: `a` (h, w, 3) and `b` (h, w). coarser: that estimate's `b`, enlarged. crops_u8: gone through once:
    what a mark makes of the mean photograph stays as it was, so `a` follows from `b`.
    """
    added, kept = planes
    behind, count = np.zeros_like(added), 0
    for crop in crops_u8:
        behind += np.clip((crop / np.float32(255) - added) / kept[..., None], 0, 1)
        count += 1
    moved = enlarge(halve(coarser) - halve(kept)) * thick
    found = np.where(mask, np.clip(kept + moved, LEAST_KEPT, 1), 1).astype(np.float32)
    added = np.maximum(added + (kept - found)[..., None] * behind / np.float32(max(1, count)), 0)
    return np.where(mask[..., None], added, 0).astype(np.float32), found


def halve(plane: FloatArray) -> FloatArray:
    """Means over two by two pixels of a plane or picture with even edges."""
    size = (plane.shape[1] // 2, plane.shape[0] // 2)
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA), np.float32)


def enlarge(plane: FloatArray) -> FloatArray:
    """Twice the size, linearly."""
    size = (2 * plane.shape[1], 2 * plane.shape[0])
    return np.asarray(
        cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_LINEAR), np.float32
    )
