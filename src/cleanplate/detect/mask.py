"""From a probability at every pixel to what is marked: masks, boxes and the share of the photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.structures import BoolArray, Box, Detection, FloatArray

#: A marked region holds a pixel this probable, and reaches as far as pixels this probable.
STRONG = 0.5
WEAK = 0.33
#: Regions smaller than this part of the photograph (and than so many pixels) are specks.
LEAST_REGION_SHARE = 1.5e-5
LEAST_REGION_PX = 6
#: Two regions belong together where the gap is less than this part of the smaller one's lesser edge,
#: plus this part of the photograph's longer edge.
GAP_BY_SIZE = 1.0
GAP_BY_PHOTO = 0.006
#: Only so many regions are grouped, the largest.
MOST_REGIONS = 2000
#: Rows of the table of all pairs of regions that are looked at together, and bytes that it all takes.
ROWS_TOGETHER = 128
GROUPING_BYTES = 24_000_000
#: A group less probable than this on the mean is taken for part of the scene. Source: finder-16 on 75 marked
#: validation triples, 69 marked photographs of signs and other kinds and 180 clean ones (offline, with
#: `remove/choose`): from 0.42 and from 0.5 on 57.3 and 60.9 % repaired, 5.3 and 11.6 % made worse, 15 clean
#: ones changed; from 0.57 on 57.3 and 58.0, 5.3 and 11.6, and 14.
LEAST_SCORE = 0.5


def detect_from_probability(
    probability: FloatArray, *, strong: float = STRONG, weak: float = WEAK
) -> Detection:
    """A Detection from (H, W) float32 probabilities in [0, 1].

    >>> detect_from_probability(np.zeros((8, 8), np.float32)).boxes
    ()
    """
    mask, groups = find_groups(probability, strong=strong, weak=weak)
    boxes = tuple(group.box for group in groups if group.score >= LEAST_SCORE)
    mask &= cover(boxes, *mask.shape)
    score = float(probability[mask].mean()) if boxes else 0.0
    return Detection(probability, mask, boxes, cover_share(boxes, *mask.shape), score)


@dataclass(frozen=True)
class Group:
    """Neighbouring regions: the box round them, and the mean probability of their pixels."""

    box: Box
    score: float


def find_groups(
    probability: FloatArray, *, strong: float, weak: float
) -> tuple[BoolArray, tuple[Group, ...]]:
    """(the mask of `threshold_mask`, its groups of neighbouring regions, largest first)."""
    mask = threshold_mask(probability, strong=strong, weak=weak)
    scored = (
        Group(box, float(probability[box.slices][mask[box.slices]].mean())) for box in group_boxes(mask)
    )
    return mask, tuple(scored)


def threshold_mask(probability: FloatArray, *, strong: float = STRONG, weak: float = WEAK) -> BoolArray:
    """(H, W) bool: connected pixels above `weak` that hold one above `strong`, without specks.

    >>> row = np.array([[0.6, 0.9, 0.6, 0.1, 0.6]] * 3, np.float32)
    >>> threshold_mask(row)[0].tolist()
    [True, True, True, False, False]
    """
    mask = np.asarray(probability > weak, bool)
    near = _find_marked(mask)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask[near.slices].astype(np.uint8))
    keep = np.zeros(count, bool)
    keep[np.unique(labels[probability[near.slices] > strong])] = True
    keep &= stats[:, cv2.CC_STAT_AREA] >= max(LEAST_REGION_PX, LEAST_REGION_SHARE * probability.size)
    keep[0] = False
    mask[near.slices] = keep[labels]
    return mask


def _find_marked(mask: BoolArray) -> Box:
    """The box round all that is marked: most photographs are clean, or marked in one corner. A pixel of
    nothing where nothing is."""
    return Box.around(mask) or Box(0, 0, min(1, mask.shape[1]), min(1, mask.shape[0]))


def group_boxes(mask: BoolArray) -> tuple[Box, ...]:
    """A box round each group of neighbouring regions (the letters of a line), largest first."""
    near = _find_marked(mask)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask[near.slices].astype(np.uint8))
    if count < 2:
        return ()
    regions = stats[1:].astype(np.int64)
    regions[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]] += near.left, near.top
    regions = regions[np.argsort(-regions[:, cv2.CC_STAT_AREA], kind="stable")[:MOST_REGIONS]]
    left, top = regions[:, cv2.CC_STAT_LEFT], regions[:, cv2.CC_STAT_TOP]
    right, bottom = left + regions[:, cv2.CC_STAT_WIDTH], top + regions[:, cv2.CC_STAT_HEIGHT]
    groups = _join(left, top, right, bottom, GAP_BY_PHOTO * max(mask.shape))
    boxes = [
        Box(
            int(left[groups == g].min()),
            int(top[groups == g].min()),
            int(right[groups == g].max()),
            int(bottom[groups == g].max()),
        )
        for g in np.unique(groups)
    ]
    return tuple(sorted(boxes, key=lambda box: (-box.area, box)))


def leave_out(found: Detection, boxes: tuple[Box, ...]) -> Detection:
    """What was found but for groups that lie in any of `boxes` with more than half of their pixels.

    >>> probability = np.zeros((40, 90), np.float32)
    >>> probability[10:20, 10:20] = probability[10:20, 60:70] = 0.9
    >>> leave_out(detect_from_probability(probability), (Box(0, 0, 30, 30),)).boxes
    (Box(left=60, top=10, right=70, bottom=20),)
    """
    covered = cover(boxes, *found.mask.shape)
    kept = tuple(
        box for box in found.boxes if _find_share(found.mask[box.slices], covered[box.slices]) <= 0.5
    )
    if len(kept) == len(found.boxes):
        return found
    mask = found.mask & cover(kept, *found.mask.shape)
    score = float(found.probability[mask].mean()) if kept else 0.0
    return replace(found, mask=mask, boxes=kept, share=cover_share(kept, *mask.shape), score=score)


def _find_share(mask: BoolArray, part: BoolArray) -> float:
    """Which part of the marked pixels lies in another."""
    return int(np.count_nonzero(mask & part)) / max(1, int(np.count_nonzero(mask)))


def join_detections(one: Detection, other: Detection) -> Detection:
    """What was found by either, on one photograph.

    >>> there = detect_from_probability(np.eye(9, dtype=np.float32).repeat(3, 0).repeat(3, 1))
    >>> join_detections(there, there).share == there.share
    True
    """
    boxes = tuple(sorted({*one.boxes, *other.boxes}, key=lambda box: (-box.area, box)))
    mask = one.mask | other.mask
    probability = np.maximum(one.probability.astype(np.float32), other.probability.astype(np.float32))
    return replace(
        one,
        probability=probability,
        mask=mask,
        boxes=boxes,
        share=cover_share(boxes, *mask.shape),
        score=float(probability[mask].mean()) if mask.any() else 0.0,
        notes=(*one.notes, *other.notes),
    )


def cover_share(boxes: tuple[Box, ...], height: int, width: int) -> float:
    """The part of a photograph that boxes cover together, in [0, 1].

    >>> cover_share((Box(0, 0, 2, 2), Box(1, 0, 3, 2)), 4, 4)
    0.375
    """
    return float(np.count_nonzero(cover(boxes, height, width))) / (height * width)


def cover(boxes: tuple[Box, ...], height: int, width: int) -> BoolArray:
    """(height, width) bool: the pixels that lie in any of the boxes."""
    covered = np.zeros((height, width), bool)
    for box in boxes:
        covered[box.slices] = True
    return covered


def _join(
    left: NDArray[np.int64],
    top: NDArray[np.int64],
    right: NDArray[np.int64],
    bottom: NDArray[np.int64],
    gap_px: float,
) -> NDArray[np.int64]:
    """The group of each region: single linkage over the gaps between their boxes."""
    size = np.minimum(right - left, bottom - top)
    parts = [slice(at, at + ROWS_TOGETHER) for at in range(0, len(left), ROWS_TOGETHER)]
    near = np.empty((len(left), len(left)), bool)
    for part in parts:
        across = np.maximum(left[part, None] - right[None], left[None] - right[part, None])
        down = np.maximum(top[part, None] - bottom[None], top[None] - bottom[part, None])
        gap = np.maximum(np.maximum(across, down), 0)
        near[part] = gap <= GAP_BY_SIZE * np.minimum(size[part, None], size[None]) + gap_px
    groups = np.arange(len(left))
    while True:
        rows = (np.where(near[part], groups[None], len(left)).min(axis=1) for part in parts)
        lowest = np.concatenate(list(rows))
        lowest = lowest[lowest]
        if np.array_equal(lowest, groups):
            return groups
        groups = lowest
