"""What is done to each region of a crop: unblend, restore, fill, or leave alone.

The candidates are made for the whole crop (`remove/candidates`), then each group of marked pixels becomes one
of them, by a rule, or a mixture of them, by what the chooser says.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.bleeding import take_back_colours
from cleanplate.remove.candidates import (
    Candidates,
    Pictures,
    Prediction,
    find_boxes,
    find_candidates,
    find_matte,
)
from cleanplate.remove.estimate import LayerFit
from cleanplate.remove.groups import label_groups
from cleanplate.remove.inpaint import dilate, estimate_fill_variance, fill_with_membrane
from cleanplate.remove.judge import SURROUNDINGS_PX, MatteEdges, Visibility, judge_visibility
from cleanplate.remove.separate import MARGIN_PX, MATTE_FLOOR
from cleanplate.structures import BoolArray, Box, FloatArray, Method, Region

#: From this opacity on nothing of the photograph is left to invert.
OPAQUE = 0.9
#: What is still seen of a mark, squared, may be so many times the squared error to expect of a fill.
#: Source: chosen on training photographs under true, shifted, dilated and noisy mattes.
MOST_SEEN = 2.0
#: A candidate must show at most this part of the mark that the input shows.
MOST_VISIBLE = 0.75
#: The network's own photograph at most this part: an unsure network gives the input back.
MOST_VISIBLE_RESTORED = 0.5
#: What a chooser's shares stand for, in their order.
METHODS = (Method.LEFT, Method.UNBLENDED, Method.RESTORED, Method.FILLED)
#: A group is left where more of it is to be left than this part of how sure the finder is of it, both weighed
#: by the matte: both doubt it.
MOST_LEFT_OF_SURE = 0.7
#: A group is left, too, of which the finder, weighed by the matte, is less sure than this on the mean. What
#: is large and taken for a mark wrongly does the most harm: of a group of more pixels than LARGE_PX the
#: finder must be surer. And the fit must say that something was laid over the photograph, by so many nats a
#: pixel. Source of these and of MOST_LEFT_OF_SURE: groups of 90 marked validation triples, of 69 marked
#: photographs of signs and other kinds and of 267 clean ones (offline, finder-19's mean, restorer-9, the
#: chooser that ships; patterns left out), among 767 other choices: 97 repaired, 3 made worse, 23.83 dB
#: inside, 14 clean ones changed; with 0.6, 0.5, 0.7 and 0.75, as before, 95, 5, 23.80 and 16; 0.65 for large
#: ones 97, 3, 23.91 and 17, 0.75 96, 3, 23.77 and 13.
LEAST_SURE, LARGE_PX, LEAST_SURE_OF_LARGE, LEAST_EVIDENCE = 0.6, 8000, 0.7, 1.0
#: A mark of several layers fits no single one: of what finder and chooser are so sure, little need speak.
#: Source: as above, finder-19 alone and 0.65 for large ones: 96 repaired and 23.89 dB inside, without it 95
#: and 23.83, the same made worse and changed.
SURE_UNSHOWN, MOST_LEFT_UNSHOWN = 0.9, 0.2


#: Where the network's photograph is taken without another beside it, what is seen there may be no more than
#: this part of a fill's squared error. Source: chosen on 24 validation photographs, opacity 0.2, 0.4, 0.7 and
#: 1: 24.2, 22.3, 20.9 and 20.9 dB inside the mark; with half of that error 24.6, 22.1, 20.2 and 18.7; always
#: that photograph 23.8, 20.5, 17.6 and 15.3; never 21.1 each.
MOST_SEEN_UNASKED = 0.1


def restore_crop(crop: Crop, prediction: Prediction) -> Removal:
    """Take the marks off a crop, each group of marked pixels in the way that a rule finds best."""
    found = find_candidates(crop, prediction)
    return leave(crop) if found is None else choose_by_rule(found)


def choose_by_rule(found: Candidates) -> Removal:
    """Each group takes the first candidate that leaves hardly more of its mark to be seen than a fill is
    expected to be wrong by; one in which nothing makes the mark less visible, or for whose mark nothing
    speaks, keeps its pixels."""

    def choose(near: Box, where: BoolArray, fit: LayerFit | None) -> tuple[Method, FloatArray, float]:
        return _choose(found.pictures.cut(near), found.matte[near.slices], where, fit)

    return _put_together(found, choose)


def choose_by_shares(found: Candidates, shares: FloatArray) -> Removal:
    """Each group becomes a mixture of the candidates; one that is more to stay as it is than the finder is
    sure of it, of which the finder is hardly sure, or for which little speaks (unless both are very sure),
    does so wholly.

    shares: (h, w, 4) float32 from the chooser (`models/nets/chooser`).
    """
    changes = shares * np.array([0, 1, 1, 1], np.float32)
    changes /= np.maximum(changes.sum(axis=2, keepdims=True), 1e-6)

    def choose(near: Box, where: BoolArray, fit: LayerFit | None) -> tuple[Method, FloatArray, float]:
        pictures, own = found.pictures.cut(near), shares[near.slices]
        matte, probability = found.matte[near.slices], found.crop.probability[near.slices]
        weight = np.maximum(matte[where], MATTE_FLOOR)
        mean = np.average(own[where], axis=0, weights=weight)
        sure = float(np.average(probability[where], weights=weight))
        stays = float(mean[METHODS.index(Method.LEFT)])
        least = LEAST_SURE_OF_LARGE if np.count_nonzero(where) > LARGE_PX else LEAST_SURE
        shown = fit is None or fit.evidence >= LEAST_EVIDENCE or found.crop.given
        undoubted = sure >= SURE_UNSHOWN and stays <= MOST_LEFT_UNSHOWN
        if stays > MOST_LEFT_OF_SURE * sure or sure < least or not (shown or undoubted):
            return Method.LEFT, pictures.marked, 1.0
        mixed = pictures.mix(changes[near.slices])
        edges = MatteEdges.find(matte, where)
        seen = _share(edges.judge(mixed), edges.judge(pictures.marked))
        return METHODS[1 + int(mean[1:].argmax())], mixed, seen

    return _put_together(found, choose)


def _put_together(
    found: Candidates, choose: Callable[[Box, BoolArray, LayerFit | None], tuple[Method, FloatArray, float]]
) -> Removal:
    """A crop of which every group has become what `choose` says: (box, where in it, fit) -> (method, picture
    of the box, part of the mark that is still visible)."""
    crop, owner = found.crop, found.owner
    rgb = crop.rgb.copy()
    changed, filled = np.zeros(owner.shape, bool), np.zeros(owner.shape, bool)
    regions = []
    boxes = find_boxes(owner)
    height, width = owner.shape
    for group in found.apart.groups:
        box = boxes[group.label]
        near = box.grown(SURROUNDINGS_PX + 2, width, height)
        where = owner[near.slices] == group.label
        method, picture, visible = choose(near, where, group.fit)
        if method is not Method.LEFT:
            rgb[near.slices][where] = picture[where]
            changed[near.slices] |= where
        opacity = group.fit.opacity if group.fit is not None else None
        if method is Method.UNBLENDED and opacity is not None and opacity >= OPAQUE:
            method = Method.FILLED
        if method is Method.FILLED:
            filled[near.slices] |= where
        if method is Method.LEFT:
            del boxes[group.label]
        regions.append(Region(box.moved(crop.box.left, crop.box.top), method, opacity, 1 - visible))
    rgb = np.clip(rgb, 0, 1)
    rgb, coloured = take_back_colours(crop, rgb, found.matte, owner, boxes, filled)
    return Removal(rgb, changed | coloured, tuple(regions), filled)


def fill_crop(crop: Crop, prediction: Prediction, *, with_network: bool) -> Removal:
    """Fill all marked pixels: from the surroundings, or with the network's photograph where no mark is seen.

    Which they are says the network's matte, or the mask itself where it was given. Where next to nothing
    shows through, the network often gives the mark back: such groups are filled from the surroundings.
    """
    matte = crop.mask.astype(np.float32) if crop.given else find_matte(crop, prediction)
    support = matte > MATTE_FLOOR
    if not support.any():
        return leave(crop)
    mask = support if crop.given else dilate(support, MARGIN_PX)
    filled = fill_with_membrane(crop.rgb, mask)
    if with_network:
        background = np.clip(prediction.background, 0, 1)
        gone = _find_gone(crop.rgb, background, support, mask)
        filled = np.where(gone[..., None], background, filled)
    labels, _ = label_groups(support)
    boxes = sorted(find_boxes(labels).items())
    regions = tuple(
        Region(box.moved(crop.box.left, crop.box.top), Method.FILLED, None, 1.0) for _, box in boxes
    )
    rgb = np.where(mask[..., None], np.clip(filled, 0, 1), crop.rgb).astype(np.float32)
    owner, _ = label_groups(mask)
    rgb, coloured = take_back_colours(crop, rgb, matte, owner, find_boxes(owner), mask)
    return Removal(rgb, mask | coloured, regions)


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


def _choose(
    candidates: Pictures, matte: FloatArray, where: BoolArray, fit: LayerFit | None
) -> tuple[Method, FloatArray, float]:
    """(method, picture, part of the mark that is still visible)."""
    edges = MatteEdges.find(matte, where)
    before = edges.judge(candidates.marked)
    allowed = MOST_SEEN * float(candidates.fill_variance[where].mean())
    if fit is not None and fit.evidence > 0:
        seen = edges.judge(candidates.unblended)
        if seen.squared <= allowed and seen.total <= MOST_VISIBLE * before.total:
            return Method.UNBLENDED, candidates.unblended, _share(seen, before)
    seen = edges.judge(candidates.restored)
    if seen.squared <= allowed and seen.total <= MOST_VISIBLE_RESTORED * before.total:
        return Method.RESTORED, candidates.restored, _share(seen, before)
    seen = edges.judge(candidates.filled)
    speaks_against = fit is not None and fit.evidence <= 0
    if speaks_against or seen.total > MOST_VISIBLE * before.total:
        return Method.LEFT, candidates.marked, 1.0
    return Method.FILLED, candidates.filled, _share(seen, before)


def _share(seen: Visibility, before: Visibility) -> float:
    return float(np.clip(seen.total / max(before.total, 1e-6), 0, 1))


def leave(crop: Crop) -> Removal:
    """A crop of which nothing is changed."""
    return Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ())
