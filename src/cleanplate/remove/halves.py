"""A crop in halves, for want of memory, and what was made of them put together again.

Each half sees some of the other, and answers for its own pixels. A mark that lies on both is taken apart in
each by itself, so its two parts may be understood differently: better than a photograph that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cleanplate.remove.base import Crop, Removal
from cleanplate.structures import Box, FloatArray

#: What a half sees of the other.
SHARED_PX = 64
#: Crops whose longer edge is shorter than two of these are not halved.
LEAST_PX = 192


@dataclass(frozen=True, eq=False)
class Half:
    """A half of a crop. planes: (h, w, n), the half's part of what belongs to the crop. core: the box in the
    crop that it answers for; seen: the box that it is.
    """

    crop: Crop
    planes: FloatArray
    core: Box
    seen: Box


def can_halve(crop: Crop) -> bool:
    """Whether a crop is large enough."""
    return bool(max(crop.mask.shape) >= 2 * LEAST_PX)


def halve(crop: Crop, planes: FloatArray) -> tuple[Half, Half]:
    """Both halves of a crop, along its longer edge. planes: (h, w, n), cut alike.

    >>> plane = np.zeros((8, 400), np.float32)
    >>> crop = Crop(np.dstack([plane] * 3), plane, plane > 0, Box(10, 20, 410, 28))
    >>> first, second = halve(crop, plane[..., None])
    >>> (first.crop.box, second.core)
    (Box(left=10, top=20, right=274, bottom=28), Box(left=200, top=0, right=400, bottom=8))
    """
    height, width = crop.mask.shape
    if width >= height:
        middle = width // 2
        cores = Box(0, 0, middle, height), Box(middle, 0, width, height)
    else:
        middle = height // 2
        cores = Box(0, 0, width, middle), Box(0, middle, width, height)
    first, second = (_cut(crop, planes, core, core.grown(SHARED_PX, width, height)) for core in cores)
    return first, second


def _cut(crop: Crop, planes: FloatArray, core: Box, seen: Box) -> Half:
    piece = replace(
        crop,
        rgb=np.ascontiguousarray(crop.rgb[seen.slices]),
        probability=np.ascontiguousarray(crop.probability[seen.slices]),
        mask=np.ascontiguousarray(crop.mask[seen.slices]),
        box=seen.moved(crop.box.left, crop.box.top),
        own=None,
    )
    return Half(piece, np.ascontiguousarray(planes[seen.slices]), core, seen)


def join(crop: Crop, halves: Sequence[Half], removals: Sequence[Removal]) -> Removal:
    """What became of a crop, from what became of its halves. Of marks on both, each half tells its part."""
    rgb, changed, filled = crop.rgb.copy(), np.zeros(crop.mask.shape, bool), np.zeros(crop.mask.shape, bool)
    regions = []
    for half, removal in zip(halves, removals, strict=True):
        core = half.core
        inner = core.moved(-half.seen.left, -half.seen.top).slices
        rgb[core.slices] = removal.rgb[inner]
        changed[core.slices] = removal.changed[inner]
        if removal.filled is not None:
            filled[core.slices] = removal.filled[inner]
        own = core.moved(crop.box.left, crop.box.top)
        regions += [region for region in removal.regions if _holds_middle(own, region.box)]
    return Removal(rgb, changed, tuple(regions), filled)


def _holds_middle(outer: Box, inner: Box) -> bool:
    across, down = (inner.left + inner.right) // 2, (inner.top + inner.bottom) // 2
    return outer.left <= across < outer.right and outer.top <= down < outer.bottom
