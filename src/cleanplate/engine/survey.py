"""Folder mode's first pass: is there a mark that the photographs share, and what is it?

Every lead (`leads`) is followed until one bears it: pieces of more photographs are gathered at full
resolution, few enough to be held together. What the finder sees at one place in several of them is part of
the mark too, and the mark is estimated. It must explain the photographs that it came from, or it is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.alike import FEWEST_PIECES, find_common
from cleanplate.detect.consistent import shrink
from cleanplate.detect.gather import (
    Place,
    Seen,
    Window,
    cut_inside,
    cut_window,
    lay_on_each_other,
    resize_window,
)
from cleanplate.detect.resemble import find_alike_pieces
from cleanplate.engine.leads import (
    FIRST_LOOK,
    LEAST_SHARE,
    LEAST_SHARING,
    Lead,
    list_leads,
    read_sample,
    spread_evenly,
)
from cleanplate.engine.photoset import FindMarks, PhotoSet
from cleanplate.engine.pieces import MOST_PIECES, count_most_pieces, estimate_mark, explains, realign
from cleanplate.engine.usualplace import choose_place
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.place import trim_mark
from cleanplate.remove.inpaint import dilate
from cleanplate.structures import BoolArray, Box, FloatArray, Mark, Photo

#: Where marks are scaled with their photographs, pieces are laid under the estimate so often before it is
#: made anew.
REALIGNED = 1
#: How often the margin round an outline is doubled because the mark goes on beyond it.
MOST_GROWTHS = 3
#: Round the outline so much is kept: a part of its shorter edge, at least so many pixels.
MARGIN_SHARE, LEAST_MARGIN_PX = 0.3, 20
#: Where a piece has so many pixels to one of the size in which photographs are compared, the margin is first
#: found in that size.
ROUGH = 2.0
#: So many pixels of that size are kept round the mark then.
KEPT_ROUND_PX = 28
#: A mark that crosses more than this part of the edge of its pieces goes on beyond them.
MOST_CROSSED = 0.05
#: Pieces that the finder is shown. Source: of 14 folders of 8 and 24 photographs it sees more than outlines
#: show in one, where on four of seven photographs the mark's lettering is as light as what is behind it.
SHOWN = 8
#: What it sees reaches so far beyond.
SEEN_EDGE_PX = 4
#: Two marks are one where their opacities agree so far (a correlation) at some place.
SAME = 0.7


@dataclass(frozen=True, eq=False)
class SharedMark:
    """A mark that photographs share. looked_at: photographs; sharing: those of them that carry it.

    without: those of them that do not show its outline.
    """

    mark: Mark
    looked_at: int
    sharing: int
    without: tuple[Path, ...] = ()


def find_shared_mark(photo_set: PhotoSet, known: Sequence[Mark] = ()) -> SharedMark | None:
    """The mark that most of the photographs share, or None. Raises StoppedError.

    known: marks that were found before: what has been left of them is none. The finder is asked about
    photographs again where no mark is shared (`Photo.asked_again`).
    """
    if len(photo_set.paths) < LEAST_SHARING:
        return None
    readable, sample = read_sample(photo_set)
    if len(sample) < LEAST_SHARING:
        return None
    for lead in list_leads(readable, sample):
        found = _follow(lead, photo_set)
        if found is not None and not any(_are_same(found.mark, mark) for mark in known):
            return found
    return None


def _are_same(one: Mark, other: Mark) -> bool:
    """Whether two marks are one: what photographs show on which it was not seen before.

    >>> mark = Mark(np.eye(9, dtype=np.float32), np.ones((9, 9, 3), np.float32))
    >>> _are_same(mark, mark), _are_same(mark, replace(mark, alpha=mark.alpha[::-1].copy()))
    (True, False)
    """
    within, small = _pad(one.alpha, other.alpha.shape), other.alpha
    spread = float(np.sqrt((small**2).sum() * (one.alpha**2).sum()))
    together = cv2.matchTemplate(within, small, cv2.TM_CCORR)
    return float(together.max()) > SAME * max(spread, 1e-6)


def _pad(alpha: FloatArray, room: tuple[int, ...]) -> FloatArray:
    """With so much room all round that a plane of that size can lie at every place."""
    return np.pad(alpha, ((room[0], room[0]), (room[1], room[1])))


def _follow(lead: Lead, photo_set: PhotoSet) -> SharedMark | None:
    """The mark that a lead leads to, or None."""
    pieces = _Gatherer(photo_set, lead).gather_all()
    if pieces is None or pieces.is_cut or _goes_on(pieces.mask):
        return None  # what is left of a mark that goes on is seen more than all of it
    pieces = pieces.of_one_mark()
    mark = estimate_mark(pieces.crops, pieces.mask, pieces.halved, photo_set)
    for _ in range(0 if mark is None or lead.scaled is None else REALIGNED):
        assert mark is not None  # the range is empty then
        pieces = replace(pieces, crops=[realign(crop, mark) for crop in pieces.crops])
        mark = estimate_mark(pieces.crops, pieces.mask, pieces.halved, photo_set) or mark
    photo_set.check_stop()
    if mark is None or not explains(mark, pieces.crops, pieces.halved):
        return None
    kind = FIXED_SIZE if lead.scaled is None else mark.kind
    trimmed, left, top = trim_mark(replace(mark, kind=kind))
    if kind == FIXED_SIZE:
        corners = spread_evenly(pieces.seen, FIRST_LOOK)
        seen = [(x + left, y + top, width, height) for x, y, width, height in corners]
        trimmed = replace(trimmed, place=choose_place(seen, trimmed.alpha.shape[::-1]))
    return SharedMark(trimmed, pieces.looked_at, len(pieces.crops), pieces.without)


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Aligned crops, where the mark may lie in them, and how many photographs were looked at.

    is_cut: whether many photographs carry more of it than is to be seen here. halved: how most of their files
    hold colours. seen: where each crop is on its photograph (`detect/gather.Seen`). paths: of the crops.
    without: photographs that do not show the outline.
    """

    crops: list[NDArray[np.uint8]]
    mask: BoolArray
    looked_at: int
    is_cut: bool
    halved: tuple[bool, bool]
    seen: list[Seen]
    paths: list[Path]
    without: tuple[Path, ...]

    def of_one_mark(self) -> _Pieces:
        """Those that carry the mark that the most of them carry: another one may lie at the same place."""
        box = Box.around(self.mask)
        assert box is not None  # there is a mark
        kept = find_alike_pieces(self.crops, box, LEAST_SHARING)
        left = [path for at, path in enumerate(self.paths) if at not in set(kept)]
        return replace(
            self,
            crops=[self.crops[at] for at in kept],
            seen=[self.seen[at] for at in kept],
            paths=[self.paths[at] for at in kept],
            without=(*self.without, *left),
        )


@dataclass(frozen=True, slots=True)
class _Margins:
    """What is kept on each side of an outline, in pixels of a piece."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def even(cls, margin_px: int) -> _Margins:
        """The same on all sides."""
        return cls(margin_px, margin_px, margin_px, margin_px)

    def scaled(self, by: float) -> _Margins:
        """The same in pixels of another size."""
        return _Margins(*(int(np.ceil(side * by)) for side in astuple(self)))

    def trimmed(self, mask: BoolArray) -> _Margins:
        """What is needed round a mask that lies in pieces with these margins: not empty.

        >>> mask = np.zeros((100, 100), bool)
        >>> mask[40:60, 10:60] = True
        >>> _Margins.even(35).trimmed(mask)
        _Margins(left=35, top=28, right=28, bottom=28)
        """
        height, width = mask.shape
        marked = Box.around(mask)
        assert marked is not None
        rooms = (marked.left, marked.top, width - marked.right, height - marked.bottom)
        sides = []
        for side, room in zip(astuple(self), rooms, strict=True):
            spare = max(0, room - KEPT_ROUND_PX)
            sides.append(max(min(side, KEPT_ROUND_PX), side - spare))
        return _Margins(*sides)


@dataclass(eq=False)
class _Gatherer:
    """Cuts the pieces round a lead out of photographs.

    margins: what is kept round the outline; they grow until the mark ends inside, or a piece has more pixels
    than half of the largest photograph, largest_px. Both in a piece's own pixels.
    """

    photo_set: PhotoSet
    lead: Lead
    margins: _Margins | None = None
    largest_px: int = 0

    def gather_all(self) -> _Pieces | None:
        """The pieces of enough photographs; None where too few carry the mark. Raises StoppedError."""
        for _ in range(1 + MOST_GROWTHS):
            pieces = self._gather_enough()
            if pieces is None:
                return None
            seen = replace(pieces, mask=pieces.mask | see_alike(pieces.crops, self.photo_set.find))
            at_edge = _touches_edge(seen.mask) and not _touches_edge(pieces.mask)
            if not at_edge or seen.mask.size > self.largest_px:
                break
            self._grow()  # outlines show a part of it only
        return seen if seen.mask.any() else None

    def _gather_enough(self) -> _Pieces | None:
        paths = self.photo_set.paths
        first = spread_evenly(paths, FIRST_LOOK)
        if self.margins is None and self.lead.own_px >= ROUGH:
            self.margins = self._find_margins(first)
            if self.margins is None:
                return None
        pieces = self._gather_whole(first)
        if pieces is None or len(first) == len(paths):
            return pieces
        if len(pieces.crops) >= count_most_pieces(pieces.mask.size):
            return pieces
        taken = set(first)
        others = spread_evenly([path for path in paths if path not in taken], 2 * MOST_PIECES)
        return self._gather([*first, *others])

    def _gather_whole(self, paths: Sequence[Path]) -> _Pieces | None:
        """The pieces, with as much margin as their mark needs."""
        pieces = self._gather(paths)
        for _ in range(MOST_GROWTHS):
            if pieces is None or not _touches_edge(pieces.mask) or pieces.mask.size > self.largest_px:
                break
            self._grow()
            pieces = self._gather(paths)
        return pieces

    def _find_margins(self, paths: Sequence[Path]) -> _Margins | None:
        """As much as the mark needs, found on smaller pieces; None where too few carry it."""
        rough = _Gatherer(self.photo_set, replace(self.lead, own_px=1.0))
        rough.margins = rough._usual_margins().scaled(2)
        pieces = rough._gather_whole(paths)
        if pieces is None:
            return None
        if not pieces.mask.any():
            return self._usual_margins()
        return rough.margins.trimmed(pieces.mask).scaled(self.lead.own_px)

    def _usual_margins(self) -> _Margins:
        """What is kept as long as nothing is known of the mark but its outline."""
        least_px = MARGIN_SHARE * self.lead.own_px * min(self.lead.outline.shape[:2])
        return _Margins.even(max(LEAST_MARGIN_PX, int(least_px)))

    def _grow(self) -> None:
        """Twice as much on all sides: a slanted mark goes on at one after the other."""
        assert self.margins is not None  # pieces were cut
        self.margins = self.margins.scaled(2)

    def _gather(self, paths: Sequence[Path]) -> _Pieces | None:
        windows: list[Window] = []
        shown: list[Path] = []
        without: list[Path] = []
        looked_at, reach_px = 0, 0
        for path in paths:
            if windows and len(windows) >= count_most_pieces(windows[0].inside.size):
                break
            photo = self.photo_set.read(path)
            if photo is None:
                continue
            looked_at += 1
            by = self.lead.factor(photo.height, photo.width)
            half_px = photo.width * photo.height / 2 * (self.lead.own_px * by) ** 2
            self.largest_px = max(self.largest_px, round(half_px))
            place = self.lead.locate(shrink(photo.rgb_u8, by))
            if place is None:
                without.append(path)
                continue
            reach_px = int(np.ceil(2 * self.lead.own_px)) + 2
            windows.append(self._cut(photo, place, by, reach_px))
            shown.append(path)
        if len(windows) < max(LEAST_SHARING, LEAST_SHARE * looked_at):
            return None
        manner, whole = self.lead.manner, self.lead.scaled is None
        laid = lay_on_each_other(
            windows, reach_px, whole=whole, manner=manner, check_stop=self.photo_set.check_stop
        )
        if len(laid.crops) < LEAST_SHARING:
            return None
        paths = [shown[at] for at in laid.kept]
        return _Pieces(
            laid.crops, laid.mask, looked_at, laid.is_cut, laid.halved, laid.seen, paths, tuple(without)
        )

    def _cut(self, photo: Photo, place: Place, by: float, reach_px: int) -> Window:
        """The piece round an outline. by: what the photograph was scaled by to find it."""
        own_px, kept = self.lead.own_px, self.margins or self._usual_margins()
        self.margins = kept
        height, width = self.lead.outline.shape[:2]
        size = (
            int(np.ceil(width * own_px)) + kept.left + kept.right + 2 * reach_px,
            int(np.ceil(height * own_px)) + kept.top + kept.bottom + 2 * reach_px,
        )
        to_piece = own_px * by
        left = place.left / by - (kept.left + reach_px) / to_piece
        top = place.top / by - (kept.top + reach_px) / to_piece
        own = (max(1, round(size[0] / to_piece)), max(1, round(size[1] / to_piece)))
        window = Window(
            cut_window(photo.rgb_u8, round(left), round(top), *own),
            cut_inside(photo.height, photo.width, round(left), round(top), *own),
            photo.halved,
            (round(left), round(top), photo.width, photo.height),
        )
        return window if own == size else resize_window(window, size)


def see_alike(crops_u8: Sequence[NDArray[np.uint8]], find_marks: FindMarks) -> BoolArray:
    """(h, w) bool: where the finder sees a mark in several of the pieces, which lie on each other.

    Outlines that photographs share show what most of them show; on smooth ground a few show all of it.
    """
    shown = spread_evenly(crops_u8, SHOWN)
    pieces = [Photo(Path(f"piece-{at}.png"), crop, None, glance=True) for at, crop in enumerate(shown)]
    found = find_marks(pieces)
    masks = [detection.mask for detection in found if detection is not None]
    if not masks:
        return np.zeros(crops_u8[0].shape[:2], bool)
    return dilate(find_common(masks, FEWEST_PIECES), SEEN_EDGE_PX)


def _goes_on(mask: BoolArray) -> bool:
    """Whether much of the mask's edge is crossed, as by a pattern."""
    return float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()) > MOST_CROSSED


def _touches_edge(mask: BoolArray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
