"""What is done to each region of a crop: unblend, restore, fill, or leave alone.

The candidates are made for the whole crop, then each group of marked pixels takes the one in which its mark
is seen least, the plainer one unless the other is clearly better. A group in which nothing makes the mark
less visible, or where nothing speaks for a mark, keeps its pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.groups import label_groups
from cleanplate.remove.inpaint import dilate, fill_with_membrane
from cleanplate.remove.judge import judge_visibility
from cleanplate.remove.separate import MARGIN_PX, MATTE_FLOOR, Separation, separate
from cleanplate.remove.unblend import merge
from cleanplate.structures import BoolArray, Box, FloatArray, Method, Region

#: A matte counts as far from the finder's mask as this.
REACH_PX = 12
#: Mattes under this are the network's doubt, not a mark.
LEAST_MATTE = 0.08
#: From this opacity on nothing of the photograph is left to invert.
OPAQUE = 0.9
#: A candidate must show at most this part of the mark that the input shows.
MOST_VISIBLE = 0.75
#: And the next candidate must show at most this part of the one before to replace it.
CLEARLY_BETTER = 0.75
#: Below this, in units of the picture's range, no one sees a ghost.
INVISIBLE = 0.01


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the restorer says about a crop.

    matte: (h, w) in [0, 1]. opacity: (h, w) in [0, 1], alpha at each pixel. background: (h, w, 3), about
    [0, 1].
    """

    matte: FloatArray
    opacity: FloatArray
    background: FloatArray


def restore_crop(crop: Crop, prediction: Prediction) -> Removal:
    """Take the marks off a crop, each group of marked pixels the way that suits it."""
    matte = clean_matte(prediction.matte, crop.mask)
    if not (matte > MATTE_FLOOR).any():
        return _leave(crop)
    hint = np.clip(prediction.opacity / np.maximum(matte, 0.1), 0.05, 1).astype(np.float32)
    apart = separate(crop.rgb, matte, hint)
    candidates = _make_candidates(apart, crop, prediction)
    rgb = crop.rgb.copy()
    changed = np.zeros(matte.shape, bool)
    regions = []
    owner = _spread_labels(apart)
    for group in apart.groups:
        where = owner == group.label
        method, visible = _choose(candidates, crop.rgb, matte, where, group.fit is not None)
        if method is not Method.LEFT:
            rgb[where] = candidates[method][where]
            changed |= where
        opacity = group.fit.opacity if group.fit is not None else None
        if method is Method.UNBLENDED and opacity is not None and opacity >= OPAQUE:
            method = Method.FILLED
        regions.append(_describe(crop, where, method, opacity, visible))
    return Removal(np.clip(rgb, 0, 1), changed, tuple(regions))


def fill_crop(crop: Crop, prediction: Prediction, *, with_network: bool) -> Removal:
    """Fill all marked pixels: with the network's photograph, or from the surroundings."""
    matte = clean_matte(prediction.matte, crop.mask)
    support = matte > MATTE_FLOOR
    if not support.any():
        return _leave(crop)
    mask = dilate(support, MARGIN_PX)
    filled = prediction.background if with_network else fill_with_membrane(crop.rgb, mask)
    labels, count = label_groups(support)
    regions = tuple(
        _describe(crop, labels == label, Method.FILLED, None, 0.0) for label in range(1, count + 1)
    )
    rgb = np.where(mask[..., None], np.clip(filled, 0, 1), crop.rgb).astype(np.float32)
    return Removal(rgb, mask, regions)


def clean_matte(matte: FloatArray, mask: BoolArray) -> FloatArray:
    """The matte without doubt and without what lies away from all that the finder found.

    A connected piece of the matte stays whole where it comes within REACH_PX of the mask.
    """
    surely = dilate(matte > LEAST_MATTE, 1)
    labels, count = label_groups(surely)
    near = np.zeros(count + 1, bool)
    near[np.unique(labels[dilate(mask, REACH_PX)])] = True
    near[0] = False
    return np.where(near[labels], matte, 0).astype(np.float32)


def _make_candidates(apart: Separation, crop: Crop, prediction: Prediction) -> dict[Method, FloatArray]:
    background = np.clip(prediction.background, 0, 1)
    restored = merge(crop.rgb, background, apart.fill_variance, apart.layer, apart.matte_variance)
    return {
        Method.UNBLENDED: apart.photograph,
        Method.RESTORED: restored,
        Method.FILLED: apart.fill,
    }


def _choose(
    candidates: dict[Method, FloatArray],
    marked: FloatArray,
    matte: FloatArray,
    where: BoolArray,
    fitted: bool,
) -> tuple[Method, float]:
    """(method, part of the mark that is still visible)."""
    before = judge_visibility(marked, matte, where).total
    seen = {
        method: judge_visibility(rgb, matte, where).total
        for method, rgb in candidates.items()
        if fitted or method is Method.FILLED
    }
    order = list(seen)
    best = order[0]
    for method in order[1:]:
        if seen[method] < CLEARLY_BETTER * seen[best] and seen[best] > INVISIBLE:
            best = method
    if seen[best] > MOST_VISIBLE * before:
        return Method.LEFT, 1.0
    return best, seen[best] / max(before, 1e-6)


def _spread_labels(apart: Separation) -> NDArray[np.int32]:
    """The group of every pixel that may be rewritten: its own, or the nearest one's in the margin."""
    labels = apart.labels
    grown = cv2.dilate(labels.astype(np.float32), np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8)).astype(
        np.int32
    )
    return np.where(apart.mask, np.where(labels > 0, labels, grown), 0).astype(np.int32)


def _describe(crop: Crop, where: BoolArray, method: Method, opacity: float | None, visible: float) -> Region:
    rows, columns = np.nonzero(where)
    box = Box(
        crop.box.left + int(columns.min()),
        crop.box.top + int(rows.min()),
        crop.box.left + int(columns.max()) + 1,
        crop.box.top + int(rows.max()) + 1,
    )
    return Region(box, method, opacity, float(np.clip(1 - visible, 0, 1)))


def _leave(crop: Crop) -> Removal:
    return Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ())
