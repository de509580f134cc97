"""A crop in halves, for want of memory, and what was made of them put together again.

Each half sees some of the other. A mark that lies on both is taken apart in each by itself, so its two parts
may be understood differently: what both see fades from one to the other. Better than a photograph that fails.
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
    crop whose regions it tells; seen: the box that it is.
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
    shape = crop.mask.shape
    rgb, changed, filled = np.zeros_like(crop.rgb), np.zeros(shape, bool), np.ones(shape, bool)
    regions = []
    for half, weight, removal in zip(halves, _fade(halves, shape), removals, strict=True):
        seen, told = half.seen.slices, weight[half.seen.slices] > 0
        own = np.where(removal.changed[..., None], removal.rgb, crop.rgb[seen])
        rgb[seen] += weight[seen][..., None] * own
        changed[seen] |= removal.changed & told
        filled[seen] &= ~told if removal.filled is None else removal.filled | ~told
        place = half.core.moved(crop.box.left, crop.box.top)
        regions += [region for region in removal.regions if _holds_middle(place, region.box)]
    return Removal(rgb, changed, tuple(regions), filled & changed)


def _fade(halves: Sequence[Half], shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """How much each half has of every pixel of the crop: all, but for what both see."""
    one, other = (half.seen for half in halves)
    across = one.left != other.left
    begin, end = (other.left, one.right) if across else (other.top, one.bottom)
    along = (np.arange(shape[int(across)], dtype=np.float32) + 0.5 - begin) / (end - begin)
    line = np.clip(along, 0, 1)
    share = np.asarray(np.broadcast_to(line if across else line[:, None], shape), np.float32)
    return np.asarray(1 - share, np.float32), share


def _holds_middle(outer: Box, inner: Box) -> bool:
    across, down = (inner.left + inner.right) // 2, (inner.top + inner.bottom) // 2
    return outer.left <= across < outer.right and outer.top <= down < outer.bottom
