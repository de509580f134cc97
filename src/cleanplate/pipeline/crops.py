"""Cutting crops round the found marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cleanplate.images.tiles import even_windows, merge_overlapping, windows
from cleanplate.remove.base import Crop
from cleanplate.structures import BoolArray, Box, Detection, FloatArray, Photo

#: More boxes than this are merged where they overlap, whatever area that adds.
MOST_BOXES = 200
#: Crops of photographs with a shorter long side are shown to a restorer as if it were so long, at most so
#: many times enlarged: letters of small photographs are small. Source: on 77 crops of validation photographs
#: of up to 600 pixels mattes are off by 0.77 of their sum at twice the size, by 0.89 at their own (marks of
#: less than 1000 pixels: 1.10 and 1.36); on 24 crops of photographs over 1300 pixels by 0.69 and 0.59.
ENLARGED_TO_PX, MOST_ENLARGED = 1024, 2.0


@dataclass(frozen=True, kw_only=True)
class CropRule:
    """How crops are placed.

    context_px, context_share, most_context_px: context round a group of marks, at least so many pixels or
    this part of the group's longer edge, at most so many. longest_px: of a crop's edges; larger ones are cut
    into windows that share `overlap_px`. align_px: edges are made multiples of it with more of the
    photograph, where there is more, so that networks see few different sizes (64: of 24 marked photographs of
    1 megapixel it makes crops 5 % larger, and 13 sizes 10). saves_area: whether two crops that overlap are
    made one only if that is no more area; then some may overlap, and windows are as small as goes with their
    number.
    """

    context_px: int = 48
    context_share: float = 0.15
    most_context_px: int = 160
    longest_px: int = 2048
    overlap_px: int = 128
    align_px: int = 64
    saves_area: bool = False


def cut_crops(photo: Photo, detection: Detection, rule: CropRule | None = None) -> list[Crop]:
    """The crops of one photograph, at native resolution, in the order of their places."""
    return list(iterate_crops(photo, detection, rule))


def iterate_crops(photo: Photo, detection: Detection, rule: CropRule | None = None) -> Iterator[Crop]:
    """The same one after the other, each cut when it is asked for."""
    rule = rule or CropRule()
    boxes = [
        box
        for box in place_crops(detection.boxes, photo.height, photo.width, rule)
        if detection.mask[box.slices].any()
    ]
    owned = share_out(boxes)
    enlarged = choose_enlargement(photo.height, photo.width)
    for box, own in zip(boxes, owned, strict=True):
        yield Crop(
            rgb=_cut(photo, box),
            probability=np.array(detection.probability[box.slices], np.float32),
            mask=np.ascontiguousarray(detection.mask[box.slices]),
            box=box,
            given=detection.given,
            own=own,
            quantisation=photo.quantisation,
            enlarged=enlarged,
        )


def choose_enlargement(height: int, width: int) -> float:
    """How many times enlarged a restorer sees the crops of a photograph of that size.

    >>> choose_enlargement(600, 800), choose_enlargement(3000, 4000)
    (1.28, 1.0)
    """
    return float(np.clip(ENLARGED_TO_PX / max(width, height), 1, MOST_ENLARGED))


def place_crops(
    boxes: Sequence[Box],
    height: int,
    width: int,
    rule: CropRule = CropRule(),  # frozen
) -> list[Box]:
    """Boxes grown by context and to multiples of `align_px`, those that overlap made one, large ones cut.

    >>> place_crops([Box(100, 100, 110, 110), Box(120, 100, 130, 110)], 300, 300)
    [Box(left=51, top=41, right=179, bottom=169)]
    """
    rule = rule or CropRule()
    saves_area = rule.saves_area and len(boxes) <= MOST_BOXES
    merge = merge_where_smaller if saves_area else merge_overlapping
    placed = merge([box.grown(_choose_context(box, rule), width, height) for box in boxes])
    while (aligned := [box.aligned(rule.align_px, width, height) for box in placed]) != placed:
        placed = merge(aligned)  # what two make together has to be aligned again
    cut = []
    for box in placed:
        for window in _cut_up(box, rule):
            cut.append(
                Box(
                    box.left + window.left,
                    box.top + window.top,
                    box.left + window.right,
                    box.top + window.bottom,
                )
            )
    return list(dict.fromkeys(cut))


def _cut_up(box: Box, rule: CropRule) -> tuple[Box, ...]:
    """The windows over a box, inside it; smaller ones where the area counts."""
    most, overlap = rule.longest_px, rule.overlap_px
    if rule.saves_area:
        return even_windows(box.height, box.width, most=most, overlap=overlap, multiple=rule.align_px)
    return windows(box.height, box.width, tile=most, overlap=overlap)


def merge_where_smaller(boxes: Sequence[Box]) -> list[Box]:
    """Boxes of which no two would make a union of no more than their areas' sum.

    >>> merge_where_smaller([Box(0, 0, 4, 4), Box(1, 0, 5, 4), Box(3, 3, 9, 9)])
    [Box(left=0, top=0, right=5, bottom=4), Box(left=3, top=3, right=9, bottom=9)]
    """
    merged: list[Box] = []
    waiting = sorted(set(boxes))
    while waiting:
        current = waiting.pop()
        partner = next((b for b in merged if b.union(current).area <= b.area + current.area), None)
        if partner is None:
            merged.append(current)
        else:
            merged.remove(partner)
            waiting.append(partner.union(current))
    return sorted(merged)


def share_out(boxes: Sequence[Box]) -> list[BoolArray | None]:
    """For each box the pixels that are deepest inside it, (h, w) bool; None where it overlaps no other.

    >>> one, other = share_out([Box(0, 0, 6, 5), Box(2, 0, 8, 5)])
    >>> one[2].tolist(), other[2].tolist()
    ([True, True, True, True, False, False], [False, False, True, True, True, True])
    """
    owned: list[BoolArray | None] = []
    for at, box in enumerate(boxes):
        others = [(i, other) for i, other in enumerate(boxes) if i != at and other.overlaps(box)]
        if not others:
            owned.append(None)
            continue
        own = np.ones((box.height, box.width), bool)
        for i, other in others:
            common = Box(
                max(box.left, other.left),
                max(box.top, other.top),
                min(box.right, other.right),
                min(box.bottom, other.bottom),
            )
            mine, theirs = _depth(box, common), _depth(other, common)
            here = Box(
                common.left - box.left, common.top - box.top, common.right - box.left, common.bottom - box.top
            )
            own[here.slices] &= (mine > theirs) | ((mine == theirs) & (at < i))
        owned.append(own)
    return owned


def _depth(box: Box, part: Box) -> FloatArray:
    """How far the pixels of a part of a box are from leaving it."""
    across = np.arange(part.left, part.right)
    down = np.arange(part.top, part.bottom)
    wide = np.minimum(across - box.left, box.right - 1 - across)
    high = np.minimum(down - box.top, box.bottom - 1 - down)
    return np.minimum(wide[None, :], high[:, None]).astype(np.float32)


def _cut(photo: Photo, box: Box) -> FloatArray:
    peak = np.float32(np.iinfo(photo.rgb.dtype).max)
    return np.asarray(photo.rgb[box.slices].astype(np.float32) / peak)


def _choose_context(box: Box, rule: CropRule) -> int:
    wanted = rule.context_share * max(box.width, box.height)
    return int(np.clip(wanted, rule.context_px, rule.most_context_px))
