"""Folder mode's first pass: is there a mark that the photographs share, and what is it?

A sample spread over the folder is looked at in a small size. First for gradients that stay the same, laid on
each other at corners, edges and centres; that takes no network. Where nothing shows, the finder's boxes are
looked for on the other photographs: so marks are found that lie anywhere. Then pieces of more photographs are
gathered at full resolution, few enough to be held together, and the mark is estimated from them. It must
explain the photographs that it came from, or there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.consistent import (
    WORKING_PX,
    Consistent,
    Sampled,
    find_consistent,
    list_rules,
    shrink,
    shrink_together,
)
from cleanplate.detect.gather import (
    Place,
    Window,
    cut_inside,
    cut_window,
    gather_around,
    lay_on_each_other,
    locate_anywhere,
    locate_near,
    resize_window,
)
from cleanplate.detect.outlines import COLOURS, Manner, draw_field
from cleanplate.engine.pieces import MOST_PIECES, count_most_pieces, estimate_mark, explains, realign
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.place import trim_mark
from cleanplate.models.request import Attempt
from cleanplate.structures import BoolArray, Box, Detection, FloatArray, Mark, Photo

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
#: Where marks are scaled with their photographs, pieces are laid under the estimate so often before it is
#: made anew.
REALIGNED = 1
#: Pieces of scaled photographs are so much larger than the largest mark, unless the smallest mark would then
#: have less than this scale.
SHARPER = 1.5
SMALLEST_SCALE = 0.52
#: How often the margin round an outline is doubled because the mark goes on beyond it.
MOST_GROWTHS = 3
#: Round the outline so much is kept: a part of its shorter edge, at least so many pixels.
MARGIN_SHARE, LEAST_MARGIN_PX = 0.3, 20
#: A mark that crosses more than this part of the edge of its pieces goes on beyond them.
MOST_CROSSED = 0.05

ReadPhoto = Callable[[Path], Photo | None]
Look = Callable[[Sequence[Photo]], list[Detection | None]]


@dataclass(frozen=True, eq=False)
class SharedMark:
    """A mark that photographs share. looked_at: photographs; sharing: those of them that carry it."""

    mark: Mark
    looked_at: int
    sharing: int


@dataclass(frozen=True, eq=False)
class _Lead:
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


def find_shared_mark(
    paths: Sequence[Path],
    *,
    read: ReadPhoto,
    look: Look,
    attempt: Attempt,
    is_stopping: Callable[[], bool] = lambda: False,
) -> SharedMark | None:
    """The mark that most of the photographs share, or None; None also when it was stopped.

    read: a photograph, None where it cannot be read. look: what the finder finds in photographs, which are
    asked about again where no mark is shared (`Photo.asked_again`). attempt: what the estimate runs in.
    """
    if len(paths) < LEAST_SHARING:
        return None
    read_paths, sample = _read_sample(paths, read, is_stopping)
    if len(sample) < LEAST_SHARING or is_stopping():
        return None
    lead = _find_by_gradients(sample)
    if lead is None:
        found = _look_at(read_paths, read, look, is_stopping)
        lead = None if is_stopping() else _find_by_boxes(sample, found)
    if lead is None or is_stopping():
        return None
    pieces = _Gatherer(read, lead, is_stopping).gather_all(paths)
    if pieces is None or pieces.is_cut or _goes_on(pieces.mask) or is_stopping():
        return None  # what is left of a mark that goes on is seen more than all of it
    mark = estimate_mark(pieces.crops, pieces.mask, pieces.halved, attempt)
    for _ in range(0 if mark is None or lead.scaled is None else REALIGNED):
        assert mark is not None  # the range is empty then
        pieces = replace(pieces, crops=[realign(crop, mark) for crop in pieces.crops])
        mark = estimate_mark(pieces.crops, pieces.mask, pieces.halved, attempt) or mark
    if mark is None or not explains(mark, pieces.crops, pieces.halved):
        return None
    kind = FIXED_SIZE if lead.scaled is None else mark.kind
    trimmed, _, _ = trim_mark(Mark(mark.alpha, mark.rgb, kind))
    return SharedMark(trimmed, pieces.looked_at, len(pieces.crops))


def spread_evenly(paths: Sequence[Path], count: int) -> list[Path]:
    """So many of the paths, evenly spread.

    >>> spread_evenly([Path(str(n)) for n in range(6)], 3) == [Path("0"), Path("2"), Path("4")]
    True
    """
    if len(paths) <= count:
        return list(paths)
    return [paths[at * len(paths) // count] for at in range(count)]


def _read_sample(
    paths: Sequence[Path], read: ReadPhoto, is_stopping: Callable[[], bool]
) -> tuple[list[Path], list[Sampled]]:
    """Of the first look the paths that can be read, and (photograph, no longer than WORKING_PX; its size)."""
    read_paths, sample = [], []
    for path in spread_evenly(paths, FIRST_LOOK):
        photo = None if is_stopping() else read(path)
        if photo is not None:
            by = min(1.0, WORKING_PX / max(photo.width, photo.height))
            read_paths.append(path)
            sample.append((shrink(photo.rgb_u8, by), (photo.height, photo.width)))
    return read_paths, sample


def _look_at(
    paths: Sequence[Path], read: ReadPhoto, look: Look, is_stopping: Callable[[], bool]
) -> list[tuple[float, int, Box]]:
    """(score, place among the paths, box) of what the finder finds, surest first.

    It is shown the photographs as the run will show them, a few at a time, so that its answers serve there.
    """
    boxes = []
    for start in range(0, len(paths), LOOK_TOGETHER):
        photos = [None if is_stopping() else read(path) for path in paths[start : start + LOOK_TOGETHER]]
        there = [(start + at, photo) for at, photo in enumerate(photos) if photo is not None]
        found = look([replace(photo, asked_again=True) for _, photo in there]) if there else []
        for (at, _), detection in zip(there, found, strict=True):
            if detection is None:
                continue
            most = MOST_BOX_SHARE * detection.mask.size
            boxes += [(detection.score, at, box) for box in detection.boxes[:2] if box.area <= most]
    return sorted(boxes, key=lambda entry: -entry[0])


def _find_by_gradients(sample: Sequence[Sampled]) -> _Lead | None:
    best: tuple[Consistent, _Lead] | None = None
    for scaled, rules in list_rules([size for _, size in sample]).items():
        small, wanted = shrink_together(sample, scaled)
        found = find_consistent(small, rules)
        if found is not None and (best is None or found.strength > best[0].strength):
            lead = _Lead(found.field, scaled, wanted, found, 1 / wanted, found.manner)
            best = found, replace(lead, own_px=_choose_own_px(lead, [size for _, size in sample]))
    return None if best is None else best[1]


def _find_by_boxes(sample: Sequence[Sampled], found: Sequence[tuple[float, int, Box]]) -> _Lead | None:
    """The outline of one of the finder's boxes that lies on most of the photographs: in grey, or, where none
    does, in a colour."""
    if not found:
        return None
    small, wanted = shrink_together(sample, None)
    for manners in ((Manner(),), COLOURS):
        best: _Lead | None = None
        most = max(LEAST_SHARING, int(np.ceil(LEAST_SHARE * len(sample)))) - 1
        for manner in manners:
            fields = [draw_field(rgb.astype(np.float32) / np.float32(255), manner) for rgb in small]
            outline, count = _gather_templates(fields, found, wanted, most)
            if outline is not None:
                best, most = _Lead(outline, None, wanted, None, 1 / wanted, manner), count
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
        template = fields[at][_shrink_box(box, wanted).grown(TEMPLATE_MARGIN_PX, width, height).slices]
        outline, places = gather_around(fields, np.ascontiguousarray(template))
        count = sum(place is not None for place in places)
        if count > most:
            best, most = outline, count
    return best, most


def _choose_own_px(lead: _Lead, sizes: Sequence[tuple[int, int]]) -> float:
    """Where marks are scaled, pieces are larger than the largest of them, so that none loses its edges; but
    not so large that the smallest one would be looked for in less than half that size."""
    if lead.scaled is None:
        return 1 / lead.wanted
    own = sorted(1 / lead.factor(*size) for size in sizes)
    return max(own[len(own) // 2], min(SHARPER * own[-1], own[0] / SMALLEST_SCALE))


def _shrink_box(box: Box, by: float) -> Box:
    """A box on a photograph that was scaled."""
    left, top = int(box.left * by), int(box.top * by)
    return Box(left, top, max(left + 1, round(box.right * by)), max(top + 1, round(box.bottom * by)))


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Aligned crops, where the mark may lie in them, and how many photographs were looked at.

    is_cut: whether many photographs carry more of it than is to be seen here. halved: how most of their files
    hold colours.
    """

    crops: list[NDArray[np.uint8]]
    mask: BoolArray
    looked_at: int
    is_cut: bool
    halved: tuple[bool, bool]


@dataclass(eq=False)
class _Gatherer:
    """Cuts the pieces round a lead out of photographs.

    margin_px: what is kept round the outline; it grows until the mark ends inside, or a piece is larger than
    half of the largest photograph, largest_px.
    """

    read: ReadPhoto
    lead: _Lead
    is_stopping: Callable[[], bool]
    margin_px: int = 0
    largest_px: int = 0

    def gather_all(self, paths: Sequence[Path]) -> _Pieces | None:
        """The pieces of enough photographs; None where too few carry the mark, or it was stopped."""
        first = spread_evenly(paths, FIRST_LOOK)
        pieces = self._gather(first)
        for _ in range(MOST_GROWTHS):
            if pieces is None or not _touches_edge(pieces.mask) or pieces.mask.size > self.largest_px:
                break
            self.margin_px *= 2
            pieces = self._gather(first)
        if pieces is None or len(first) == len(paths):
            return pieces
        if len(pieces.crops) >= count_most_pieces(pieces.mask.size):
            return pieces
        taken = set(first)
        others = spread_evenly([path for path in paths if path not in taken], 2 * MOST_PIECES)
        return self._gather([*first, *others])

    def _gather(self, paths: Sequence[Path]) -> _Pieces | None:
        windows: list[Window] = []
        looked_at, reach_px = 0, 0
        for path in paths:
            if self.is_stopping() or (windows and len(windows) >= count_most_pieces(windows[0].inside.size)):
                break
            photo = self.read(path)
            if photo is None:
                continue
            looked_at += 1
            self.largest_px = max(self.largest_px, photo.width * photo.height // 2)
            by = self.lead.factor(photo.height, photo.width)
            place = self.lead.locate(shrink(photo.rgb_u8, by))
            if place is None:
                continue
            reach_px = int(np.ceil(2 * self.lead.own_px)) + 2
            windows.append(self._cut(photo, place, by, reach_px))
        if self.is_stopping() or len(windows) < max(LEAST_SHARING, LEAST_SHARE * looked_at):
            return None
        manner, whole = self.lead.manner, self.lead.scaled is None
        laid = lay_on_each_other(windows, reach_px, whole=whole, manner=manner)
        enough = len(laid.crops) >= LEAST_SHARING and laid.mask.any()
        return _Pieces(laid.crops, laid.mask, looked_at, laid.is_cut, laid.halved) if enough else None

    def _cut(self, photo: Photo, place: Place, by: float, reach_px: int) -> Window:
        """The piece round an outline. by: what the photograph was scaled by to find it."""
        own_px = self.lead.own_px
        height, width = self.lead.outline.shape[:2]
        least_px = int(MARGIN_SHARE * own_px * min(height, width))
        self.margin_px = self.margin_px or max(LEAST_MARGIN_PX, least_px)
        margin = self.margin_px + reach_px
        size = (int(np.ceil(width * own_px)) + 2 * margin, int(np.ceil(height * own_px)) + 2 * margin)
        to_piece = own_px * by
        left, top = place.left / by - margin / to_piece, place.top / by - margin / to_piece
        own = (max(1, round(size[0] / to_piece)), max(1, round(size[1] / to_piece)))
        window = Window(
            cut_window(photo.rgb_u8, round(left), round(top), *own),
            cut_inside(photo.height, photo.width, round(left), round(top), *own),
            photo.halved,
        )
        return window if own == size else resize_window(window, size)


def _goes_on(mask: BoolArray) -> bool:
    """Whether much of the mask's edge is crossed, as by a pattern."""
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()) > MOST_CROSSED


def _touches_edge(mask: BoolArray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
