"""Working out the mark that photographs of one size share at a place that a person has pointed at.

The same steps as in `survey`, without its search: where to look is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cleanplate.detect.gather import Window, cut_inside, cut_window, lay_on_each_other
from cleanplate.engine.leads import LEAST_SHARE, LEAST_SHARING, spread_evenly
from cleanplate.engine.photoset import PhotoSet
from cleanplate.engine.pieces import count_most_pieces, estimate_mark, explains
from cleanplate.engine.stop import StoppedError
from cleanplate.engine.survey import LEAST_MARGIN_PX, MARGIN_SHARE
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.place import trim_mark
from cleanplate.structures import BoolArray, Box, Mark, Photo, Placement

#: A mark lies so far from its place on another photograph at most.
REACH_PX = 6
#: What a person has painted over may end so much inside the mark's soft edge.
LOOSE_PX = 4


@dataclass(frozen=True, eq=False)
class PlacedMark:
    """A mark that `sharing` of the photographs that were looked at carry, and where it lies on them."""

    mark: Mark
    placement: Placement
    looked_at: int
    sharing: int


def find_mark_at(photo_set: PhotoSet, painted: BoolArray) -> PlacedMark | None:
    """The mark that photographs share under a mask, or None; None also when it was stopped.

    painted: (H, W) bool, of the photographs' size; those of another size are passed over. What they share
    outside it is left alone, and the finder is not asked.
    """
    if len(photo_set.paths) < LEAST_SHARING or not painted.any():
        return None
    try:
        return _find_mark_in(photo_set, painted, _grow(painted))
    except StoppedError:
        return None


def _find_mark_in(photo_set: PhotoSet, painted: BoolArray, box: Box) -> PlacedMark | None:
    windows: list[Window] = []
    for path in spread_evenly(photo_set.paths, count_most_pieces(box.area)):
        photo = photo_set.read(path)
        if photo is not None and (photo.height, photo.width) == painted.shape:
            windows.append(_cut(photo, box, REACH_PX))
    if len(windows) < LEAST_SHARING:
        return None
    laid = lay_on_each_other(windows, REACH_PX, whole=True)
    near = cv2.dilate(painted[box.slices].astype(np.uint8), np.ones((2 * LOOSE_PX + 1,) * 2, np.uint8)) > 0
    crops, shared = laid.crops, laid.mask & near
    if len(crops) < max(LEAST_SHARING, LEAST_SHARE * len(windows)) or not shared.any():
        return None
    mark = estimate_mark(crops, shared, laid.halved, photo_set)
    if mark is None or not explains(mark, crops, laid.halved):
        return None
    trimmed, left, top = trim_mark(replace(mark, kind=FIXED_SIZE))
    return PlacedMark(trimmed, Placement(box.left + left, box.top + top), len(windows), len(crops))


def _grow(painted: BoolArray) -> Box:
    """What is painted, with known pixels round it."""
    rows, columns = np.nonzero(painted)
    box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    margin = max(LEAST_MARGIN_PX, int(MARGIN_SHARE * min(box.width, box.height)))
    return box.grown(margin, painted.shape[1], painted.shape[0])


def _cut(photo: Photo, box: Box, reach_px: int) -> Window:
    place = (box.left - reach_px, box.top - reach_px, box.width + 2 * reach_px, box.height + 2 * reach_px)
    inside = cut_inside(photo.height, photo.width, *place)
    return Window(cut_window(photo.rgb_u8, *place), inside, photo.halved)
