"""Leads of folder mode's first pass: what might be a mark that photographs share, and where to look for it.

A sample of the photographs is looked at in a small size. First for gradients that stay the same, laid on each
other at corners, edges and centres; that takes no network. Where nothing comes of it, the finder is asked:
what it sees at one place on several photographs may be one. Then its boxes are looked for on the other
photographs: so marks are found that lie anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.alike import find_alike
from cleanplate.detect.consistent import (
    WORKING_PX,
    Consistent,
    Rule,
    Sampled,
    find_consistent,
    list_rules,
    shrink,
    shrink_together,
)
from cleanplate.detect.gather import Place, gather_around, locate_anywhere, locate_near
from cleanplate.detect.outlines import COLOURS, Manner, draw_field
from cleanplate.engine.photoset import PhotoSet
from cleanplate.structures import BoolArray, Box, Detection, FloatArray

#: Photographs that are looked at first; photographs that must share a mark.
FIRST_LOOK = 24
LEAST_SHARING = 6
#: Of the photographs that are looked at, so many must carry the mark.
LEAST_SHARE = 0.3
#: Boxes of the finder that are tried as templates, and how much of a photograph they may cover.
MOST_TEMPLATES = 10
MOST_BOX_SHARE = 0.5
TEMPLATE_MARGIN_PX = 4
#: Photographs that are held at once for the finder.
LOOK_TOGETHER = 4
#: Pieces of scaled photographs are so much larger than the largest mark, unless the smallest mark would then
#: have less than this scale.
SHARPER = 1.5
SMALLEST_SCALE = 0.52

_Thing = TypeVar("_Thing")


@dataclass(frozen=True, eq=False)
class Lead:
    """What to look for on further photographs, at the size in which they are compared.

    outline: (h, w, 2). scaled: how photographs are scaled for that (see `consistent`); wanted: the edge that
    they are scaled to, or what they are all scaled by. expected: where it is, or None: anywhere. own_px:
    pixels of a piece to one of that size. manner: how outlines are drawn.
    """

    outline: FloatArray
    scaled: str | None
    wanted: float
    expected: Consistent | None
    own_px: float
    manner: Manner

    def factor(self, height: int, width: int) -> float:
        """What a photograph of this size is scaled by."""
        if self.scaled is None:
            return self.wanted
        return self.wanted / (width if self.scaled == "width" else max(height, width))

    def locate(self, small_u8: NDArray[np.uint8]) -> Place | None:
        """Where it lies on a photograph of that size, if it does."""
        if self.expected is None:
            field = draw_field(small_u8.astype(np.float32) / np.float32(255), self.manner)
            return locate_anywhere(field, self.outline)
        place = self.expected.place(*small_u8.shape[:2])
        return locate_near(small_u8, self.outline, place, reach_px=3, manner=self.manner)


def list_leads(photo_set: PhotoSet, sample: Sequence[Sampled]) -> Iterator[Lead]:
    """The leads, those that take least first; each is looked for when nothing came of those before it.

    photo_set: the photographs of the sample alone, in its order. Raises StoppedError.
    """
    lead = _find_by_gradients(sample)
    if lead is not None:
        yield lead
    seen = _look_at(photo_set)
    for find in (_find_by_sight, _find_by_boxes):
        photo_set.check_stop()
        lead = find(sample, seen)
        if lead is not None:
            yield lead


def spread_evenly(things: Sequence[_Thing], count: int) -> list[_Thing]:
    """So many of the things, evenly spread.

    >>> spread_evenly(range(6), 3)
    [0, 2, 4]
    """
    if len(things) <= count:
        return list(things)
    return [things[at * len(things) // count] for at in range(count)]


def read_sample(photo_set: PhotoSet) -> tuple[PhotoSet, list[Sampled]]:
    """Of the first look the photographs that can be read, and each as (pixels, no longer than WORKING_PX; its
    size). Raises StoppedError.
    """
    readable, sample = [], []
    for path in spread_evenly(photo_set.paths, FIRST_LOOK):
        photo = photo_set.read(path)
        if photo is not None:
            by = min(1.0, WORKING_PX / max(photo.width, photo.height))
            readable.append(path)
            sample.append((shrink(photo.rgb_u8, by), (photo.height, photo.width)))
    return photo_set.only(readable), sample


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the finder sees on a photograph: its score and boxes, and its mask, no longer than WORKING_PX."""

    score: float
    boxes: tuple[Box, ...]
    mask: BoolArray


def _look_at(photo_set: PhotoSet) -> list[_Seen | None]:
    """What the finder sees on each photograph.

    It is shown the photographs as the run will show them, a few at a time, so that its answers serve there.
    """
    seen: list[_Seen | None] = []
    for start in range(0, len(photo_set.paths), LOOK_TOGETHER):
        photos = [photo_set.read(path) for path in photo_set.paths[start : start + LOOK_TOGETHER]]
        there = [replace(photo, asked_again=True) for photo in photos if photo is not None]
        found = iter(photo_set.find(there) if there else [])
        seen += [None if photo is None else _keep_small(next(found)) for photo in photos]
    return seen


def _keep_small(found: Detection | None) -> _Seen | None:
    if found is None:
        return None
    by = min(1.0, WORKING_PX / max(found.mask.shape))
    boxes = tuple(box for box in found.boxes[:2] if box.area <= MOST_BOX_SHARE * found.mask.size)
    return _Seen(found.score, boxes, shrink(found.mask.astype(np.uint8) * 255, by) >= 128)


def _find_by_gradients(sample: Sequence[Sampled]) -> Lead | None:
    return _choose_strongest(sample, find_consistent)


def _find_by_sight(sample: Sequence[Sampled], seen: Sequence[_Seen | None]) -> Lead | None:
    """The outline of what the finder sees at one place on several photographs."""

    def find(small: Sequence[NDArray[np.uint8]], rules: Sequence[Rule]) -> Consistent | None:
        return find_alike(
            small, [_draw(one, photo.shape[:2]) for one, photo in zip(seen, small, strict=True)], rules
        )

    return _choose_strongest(sample, find)


def _choose_strongest(
    sample: Sequence[Sampled],
    find: Callable[[Sequence[NDArray[np.uint8]], Sequence[Rule]], Consistent | None],
) -> Lead | None:
    """Of what is found in all ways of laying the photographs on each other the strongest, or None."""
    best: tuple[Consistent, Lead] | None = None
    for scaled, rules in list_rules([size for _, size in sample]).items():
        small, wanted = shrink_together(sample, scaled)
        found = find(small, rules)
        if found is not None and (best is None or found.strength > best[0].strength):
            lead = Lead(found.field, scaled, wanted, found, 1 / wanted, found.manner)
            best = found, replace(lead, own_px=_choose_own_px(lead, [size for _, size in sample]))
    return None if best is None else best[1]


def _draw(seen: _Seen | None, shape: tuple[int, ...]) -> BoolArray:
    """The mask of what was seen, at another size."""
    if seen is None:
        return np.zeros(shape, bool)
    size = (shape[1], shape[0])
    return np.asarray(cv2.resize(seen.mask.astype(np.uint8), size, interpolation=cv2.INTER_AREA), bool)


def _find_by_boxes(sample: Sequence[Sampled], seen: Sequence[_Seen | None]) -> Lead | None:
    """The outline of one of the finder's boxes that lies on most of the photographs: in grey, or, where none
    does, in a colour."""
    found = [(one.score, at, box) for at, one in enumerate(seen) if one is not None for box in one.boxes]
    found.sort(key=lambda entry: -entry[0])
    if not found:
        return None
    small, wanted = shrink_together(sample, None)
    for manners in ((Manner(),), COLOURS):
        best: Lead | None = None
        most = max(LEAST_SHARING, int(np.ceil(LEAST_SHARE * len(sample)))) - 1
        for manner in manners:
            fields = [draw_field(rgb.astype(np.float32) / np.float32(255), manner) for rgb in small]
            outline, count = _gather_templates(fields, found, wanted, most)
            if outline is not None:
                best, most = Lead(outline, None, wanted, None, 1 / wanted, manner), count
        if best is not None:
            return best
    return None


def _gather_templates(
    fields: Sequence[FloatArray], found: Sequence[tuple[float, int, Box]], wanted: float, most: int
) -> tuple[FloatArray | None, int]:
    """(the outline that lies on most photographs, if on more than `most`; on how many)."""
    best: FloatArray | None = None
    for _, at, box in found[:MOST_TEMPLATES]:
        if most >= 0.7 * len(fields):
            break
        height, width = fields[at].shape[:2]
        template = fields[at][box.scaled(wanted).grown(TEMPLATE_MARGIN_PX, width, height).slices]
        outline, places = gather_around(fields, np.ascontiguousarray(template))
        count = sum(place is not None for place in places)
        if count > most:
            best, most = outline, count
    return best, most


def _choose_own_px(lead: Lead, sizes: Sequence[tuple[int, int]]) -> float:
    """Where marks are scaled, pieces are larger than the largest of them, so that none loses its edges; but
    not so large that the smallest one would be looked for in less than half that size."""
    if lead.scaled is None:
        return 1 / lead.wanted
    own = sorted(1 / lead.factor(*size) for size in sizes)
    return max(own[len(own) // 2], min(SHARPER * own[-1], own[0] / SMALLEST_SCALE))
