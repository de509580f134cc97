"""What a given mask asks for: who points at a mark wants all of it gone, and nothing else touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.candidates import find_boxes
from cleanplate.remove.groups import label_groups
from cleanplate.remove.inpaint import fill_with_membrane
from cleanplate.structures import Method, Region

#: A connected part of a mask of which less was rewritten counts as left alone: its mark was not understood.
LEAST_REWRITTEN = 0.05


def keep_to_mask(crop: Crop, removal: Removal) -> Removal:
    """A removal that has rewritten nothing off the crop's mask, whatever was seen of a mark there."""
    if not (removal.changed & ~crop.mask).any():
        return removal
    rgb = np.where(crop.mask[..., None], removal.rgb, crop.rgb)
    filled = None if removal.filled is None else removal.filled & crop.mask
    return replace(removal, rgb=rgb, changed=removal.changed & crop.mask, filled=filled)


def fill_what_is_left(crop: Crop, removal: Removal) -> Removal:
    """A removal in which every part of the crop's mask has been dealt with, filled where it had not been."""
    labels, count = label_groups(crop.mask)
    if not count:
        return removal
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    rewritten = np.bincount(labels[removal.changed], minlength=count + 1)
    left = rewritten < LEAST_REWRITTEN * sizes
    left[0] = False
    if not left.any():
        return removal
    where = left[labels]
    filled = fill_with_membrane(removal.rgb, where)
    regions = tuple(region for region in removal.regions if region.method is not Method.LEFT)
    boxes = find_boxes(np.where(where, labels, 0).astype(np.int32))
    added = tuple(
        Region(box.moved(crop.box.left, crop.box.top), Method.FILLED, None, 1.0)
        for _, box in sorted(boxes.items())
    )
    return Removal(
        np.where(where[..., None], filled, removal.rgb).astype(np.float32),
        removal.changed | where,
        (*regions, *added),
        where if removal.filled is None else removal.filled | where,
    )
