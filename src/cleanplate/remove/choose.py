"""What is done to each region of a crop: unblend, restore, fill, or leave alone.

The candidates are made for the whole crop, then each group of marked pixels takes the first that leaves
hardly more of its mark to be seen than a fill is expected to be wrong by. A group in which nothing makes the
mark less visible, or for whose mark nothing speaks, keeps its pixels.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.estimate import LayerFit
from cleanplate.remove.groups import label_groups
from cleanplate.remove.inpaint import dilate, estimate_fill_variance, fill_with_membrane
from cleanplate.remove.judge import SURROUNDINGS_PX, Visibility, judge_visibility
from cleanplate.remove.separate import MARGIN_PX, MATTE_FLOOR, Separation, separate
from cleanplate.structures import BoolArray, Box, FloatArray, Method, Region

#: A matte counts as far from the finder's mask as this.
REACH_PX = 12
#: Mattes under this are the network's doubt, not a mark.
LEAST_MATTE = 0.08
#: From this opacity on nothing of the photograph is left to invert.
OPAQUE = 0.9
#: What is still seen of a mark, squared, may be so many times the squared error to expect of a fill.
#: Source: chosen on training photographs under true, shifted, dilated and noisy mattes.
MOST_SEEN = 2.0
#: A candidate must show at most this part of the mark that the input shows.
MOST_VISIBLE = 0.75
#: The network's own photograph at most this part: an unsure network gives the input back.
MOST_VISIBLE_RESTORED = 0.5


#: Where the network's photograph is taken without another beside it, what is seen there may be no more than
#: this part of a fill's squared error. Source: chosen on 24 validation photographs, opacity 0.2, 0.4, 0.7 and
#: 1: 24.2, 22.3, 20.9 and 20.9 dB inside the mark; with half of that error 24.6, 22.1, 20.2 and 18.7; always
#: that photograph 23.8, 20.5, 17.6 and 15.3; never 21.1 each.
MOST_SEEN_UNASKED = 0.1


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the restorer says about a crop.

    matte: (h, w) in [0, 1]. opacity: (h, w) in [0, 1], alpha at each pixel. background: (h, w, 3), about
    [0, 1].
    """

    matte: FloatArray
    opacity: FloatArray
    background: FloatArray


@dataclass(frozen=True, eq=False)
class _Candidates:
    """What a piece of a crop could become: (h, w, 3) pictures, and what a fill's squared error is, (h, w)."""

    marked: FloatArray
    unblended: FloatArray
    restored: FloatArray
    filled: FloatArray
    fill_variance: FloatArray

    def cut(self, box: Box) -> _Candidates:
        """The same for a part of the piece."""
        return _Candidates(*(getattr(self, field.name)[box.slices] for field in dataclasses.fields(self)))


def restore_crop(crop: Crop, prediction: Prediction) -> Removal:
    """Take the marks off a crop, each group of marked pixels the way that suits it."""
    matte = clean_matte(prediction.matte, crop.mask)
    if not (matte > MATTE_FLOOR).any():
        return _leave(crop)
    hint = np.clip(prediction.opacity / np.maximum(matte, 0.1), 0.05, 1).astype(np.float32)
    apart = separate(crop.rgb, matte, hint)
    background = np.clip(prediction.background, 0, 1)
    candidates = _Candidates(crop.rgb, apart.photograph, background, apart.fill, apart.fill_variance)
    rgb = crop.rgb.copy()
    changed, filled = np.zeros(matte.shape, bool), np.zeros(matte.shape, bool)
    regions = []
    owner = _spread_labels(apart)
    boxes = find_boxes(owner)
    height, width = matte.shape
    for group in apart.groups:
        box = boxes[group.label]
        near = box.grown(SURROUNDINGS_PX + 2, width, height)
        where = owner[near.slices] == group.label
        method, picture, visible = _choose(candidates.cut(near), matte[near.slices], where, group.fit)
        if method is not Method.LEFT:
            rgb[near.slices][where] = picture[where]
            changed[near.slices] |= where
        opacity = group.fit.opacity if group.fit is not None else None
        if method is Method.UNBLENDED and opacity is not None and opacity >= OPAQUE:
            method = Method.FILLED
        if method is Method.FILLED:
            filled[near.slices] |= where
        regions.append(Region(_move(box, crop.box), method, opacity, 1 - visible))
    return Removal(np.clip(rgb, 0, 1), changed, tuple(regions), filled)


def fill_crop(crop: Crop, prediction: Prediction, *, with_network: bool) -> Removal:
    """Fill all marked pixels: from the surroundings, or with the network's photograph where no mark is seen.

    Which they are says the network's matte, or the mask itself where it was given. Where next to nothing
    shows through, the network often gives the mark back: such groups are filled from the surroundings.
    """
    support = crop.mask if crop.given else clean_matte(prediction.matte, crop.mask) > MATTE_FLOOR
    if not support.any():
        return _leave(crop)
    mask = support if crop.given else dilate(support, MARGIN_PX)
    filled = fill_with_membrane(crop.rgb, mask)
    labels, _ = label_groups(support)
    if with_network:
        background = np.clip(prediction.background, 0, 1)
        gone = _find_gone(crop.rgb, background, support, mask)
        filled = np.where(gone[..., None], background, filled)
    regions = tuple(
        Region(_move(box, crop.box), Method.FILLED, None, 1.0)
        for _, box in sorted(find_boxes(labels).items())
    )
    rgb = np.where(mask[..., None], np.clip(filled, 0, 1), crop.rgb).astype(np.float32)
    return Removal(rgb, mask, regions)


def _find_gone(rgb: FloatArray, background: FloatArray, support: BoolArray, mask: BoolArray) -> BoolArray:
    """(h, w) bool: the pixels of `mask` whose marks are no longer to be seen in the background."""
    matte = np.asarray(cv2.GaussianBlur(support.astype(np.float32), (0, 0), 0.8), np.float32)
    variance = estimate_fill_variance(rgb, mask)
    gone = np.zeros(mask.shape, bool)
    labels, _ = label_groups(mask)
    for label, box in find_boxes(labels).items():
        near = box.grown(SURROUNDINGS_PX + 2, mask.shape[1], mask.shape[0])
        where, soft = labels[near.slices] == label, matte[near.slices]
        seen = judge_visibility(background[near.slices], soft, where)
        if seen.squared <= MOST_SEEN_UNASKED * float(variance[near.slices][where].mean()):
            gone[near.slices] |= where
    return gone


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


def find_boxes(labels: NDArray[np.int32]) -> dict[int, Box]:
    """The box round each label but 0 in an (h, w) plane.

    >>> find_boxes(np.array([[0, 2, 2], [0, 2, 0]], np.int32))
    {2: Box(left=1, top=0, right=3, bottom=2)}
    """
    rows, columns = np.nonzero(labels)
    found = labels[rows, columns]
    count = int(found.max(initial=0)) + 1
    first = np.full((2, count), np.iinfo(np.int64).max)
    last = np.full((2, count), -1)
    for axis, places in enumerate((columns, rows)):
        np.minimum.at(first[axis], found, places)
        np.maximum.at(last[axis], found, places)
    return {
        label: Box(
            int(first[0, label]), int(first[1, label]), int(last[0, label]) + 1, int(last[1, label]) + 1
        )
        for label in range(1, count)
        if last[0, label] >= 0
    }


def _choose(
    candidates: _Candidates, matte: FloatArray, where: BoolArray, fit: LayerFit | None
) -> tuple[Method, FloatArray, float]:
    """(method, picture, part of the mark that is still visible)."""
    before = judge_visibility(candidates.marked, matte, where)
    allowed = MOST_SEEN * float(candidates.fill_variance[where].mean())
    if fit is not None and fit.evidence > 0:
        seen = judge_visibility(candidates.unblended, matte, where)
        if seen.squared <= allowed and seen.total <= MOST_VISIBLE * before.total:
            return Method.UNBLENDED, candidates.unblended, _share(seen, before)
    seen = judge_visibility(candidates.restored, matte, where)
    if seen.squared <= allowed and seen.total <= MOST_VISIBLE_RESTORED * before.total:
        return Method.RESTORED, candidates.restored, _share(seen, before)
    seen = judge_visibility(candidates.filled, matte, where)
    speaks_against = fit is not None and fit.evidence <= 0
    if speaks_against or seen.total > MOST_VISIBLE * before.total:
        return Method.LEFT, candidates.marked, 1.0
    return Method.FILLED, candidates.filled, _share(seen, before)


def _share(seen: Visibility, before: Visibility) -> float:
    return float(np.clip(seen.total / max(before.total, 1e-6), 0, 1))


def _spread_labels(apart: Separation) -> NDArray[np.int32]:
    """The group of every pixel that may be rewritten: its own, or the nearest one's in the margin."""
    labels = apart.labels
    grown = cv2.dilate(labels.astype(np.float32), np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8)).astype(
        np.int32
    )
    return np.where(apart.mask, np.where(labels > 0, labels, grown), 0).astype(np.int32)


def _move(box: Box, crop: Box) -> Box:
    """A box in a crop as a box in the photograph."""
    return Box(box.left + crop.left, box.top + crop.top, box.right + crop.left, box.bottom + crop.top)


def _leave(crop: Crop) -> Removal:
    return Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ())
