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

import cv2
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
from cleanplate.detect.outlines import draw_field
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.place import trim_mark
from cleanplate.models.request import Attempt, Request
from cleanplate.remove.shared import estimate_shared_mark
from cleanplate.remove.stamped import fit_mark, lay_under
from cleanplate.structures import BoolArray, Box, Detection, FloatArray, Mark, Photo, Placement

#: Photographs that are looked at first; pieces that are held at most; photographs that must share a mark.
FIRST_LOOK = 24
MOST_PIECES = 300
LEAST_SHARING = 6
#: Of the photographs that are looked at, so many must carry the mark.
LEAST_SHARE = 0.3
#: Pixels of all pieces together: what the estimate takes a minute for on two cores. But never fewer pieces.
MOST_PIXELS = 8_000_000
FEWEST_PIECES = 16
#: Boxes of the finder that are tried as templates, and how much of a photograph they may cover.
MOST_TEMPLATES = 10
MOST_BOX_SHARE = 0.5
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
#: A mark that lets less than this through gains nothing by being known; frames and letterboxes look like one.
MOST_OPACITY = 0.93
#: Opacities under this are what the estimate was wrong by.
LEAST_OPACITY = 0.03
#: What an estimate is wrong by, times the root of the count of photographs. Source: 7 to 24 photographs.
DOUBT = 0.35
#: A mark's soft edge reaches so far.
EDGE_PX = 2
#: A piece no pixel of which is more opaque than this part of the mark does not belong to it.
FAINT = 0.4
#: Photographs that are checked against the estimate, and how many of them it must explain.
MOST_CHECKED = 24
LEAST_EXPLAINED = 0.6
#: Host bytes by pixel of a piece: itself, its scale, and the sums that all share.
BYTES_BY_PIXEL = 24

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
    pixels of a piece to one of that size.
    """

    outline: FloatArray
    scaled: str | None
    wanted: float
    expected: Consistent | None
    own_px: float

    def factor(self, height: int, width: int) -> float:
        """What a photograph of this size is scaled by."""
        if self.scaled is None:
            return self.wanted
        return self.wanted / (width if self.scaled == "width" else max(height, width))

    def locate(self, small_u8: NDArray[np.uint8]) -> Place | None:
        """Where it lies on a photograph of that size, if it does."""
        if self.expected is None:
            field = draw_field(small_u8.astype(np.float32) / np.float32(255))
            return locate_anywhere(field, self.outline)
        return locate_near(small_u8, self.outline, self.expected.place(*small_u8.shape[:2]), reach_px=3)


def find_shared_mark(
    paths: Sequence[Path],
    *,
    read: ReadPhoto,
    look: Look,
    attempt: Attempt,
    is_stopping: Callable[[], bool] = lambda: False,
) -> SharedMark | None:
    """The mark that most of the photographs share, or None; None also when it was stopped.

    read: a photograph, None where it cannot be read. look: what the finder finds in photographs. attempt:
    what the estimate runs in.
    """
    if len(paths) < LEAST_SHARING:
        return None
    sample = _read_sample(paths, read, is_stopping)
    if len(sample) < LEAST_SHARING or is_stopping():
        return None
    lead = _find_by_gradients(sample) or _find_by_boxes(sample, look)
    if lead is None or is_stopping():
        return None
    pieces = _Gatherer(read, lead, is_stopping).gather_all(paths)
    if pieces is None or is_stopping():
        return None
    mark = estimate_mark(pieces.crops, pieces.mask, attempt)
    for _ in range(0 if mark is None or lead.scaled is None else REALIGNED):
        assert mark is not None  # the range is empty then
        pieces = replace(pieces, crops=[_realign(crop, mark) for crop in pieces.crops])
        mark = estimate_mark(pieces.crops, pieces.mask, attempt) or mark
    if mark is None or not explains(mark, pieces.crops):
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


def _read_sample(paths: Sequence[Path], read: ReadPhoto, is_stopping: Callable[[], bool]) -> list[Sampled]:
    """(photograph, no longer than WORKING_PX; its own size) of the first look."""
    sample = []
    for path in spread_evenly(paths, FIRST_LOOK):
        photo = None if is_stopping() else read(path)
        if photo is not None:
            by = min(1.0, WORKING_PX / max(photo.width, photo.height))
            sample.append((shrink(photo.rgb_u8, by), (photo.height, photo.width)))
    return sample


def _find_by_gradients(sample: Sequence[Sampled]) -> _Lead | None:
    best: tuple[Consistent, _Lead] | None = None
    for scaled, rules in list_rules([size for _, size in sample]).items():
        small, wanted = shrink_together(sample, scaled)
        found = find_consistent(small, rules)
        if found is not None and (best is None or found.strength > best[0].strength):
            lead = _Lead(found.field, scaled, wanted, found, 1 / wanted)
            best = found, replace(lead, own_px=_choose_own_px(lead, [size for _, size in sample]))
    return None if best is None else best[1]


def _find_by_boxes(sample: Sequence[Sampled], look: Look) -> _Lead | None:
    small, wanted = shrink_together(sample, None)
    found = look([Photo(Path(str(at)), rgb, None) for at, rgb in enumerate(small)])
    fields = [draw_field(rgb.astype(np.float32) / np.float32(255)) for rgb in small]
    best, most = None, max(LEAST_SHARING, int(np.ceil(LEAST_SHARE * len(sample)))) - 1
    for at, box in _list_templates(found):
        outline, places = gather_around(fields, np.ascontiguousarray(fields[at][box.slices]))
        count = sum(place is not None for place in places)
        if count > most:
            best, most = outline, count
        if most >= 0.7 * len(sample):
            break
    return None if best is None else _Lead(best, None, wanted, None, 1 / wanted)


def _choose_own_px(lead: _Lead, sizes: Sequence[tuple[int, int]]) -> float:
    """Where marks are scaled, pieces are larger than the largest of them, so that none loses its edges; but
    not so large that the smallest one would be looked for in less than half that size."""
    if lead.scaled is None:
        return 1 / lead.wanted
    own = sorted(1 / lead.factor(*size) for size in sizes)
    return max(own[len(own) // 2], min(SHARPER * own[-1], own[0] / SMALLEST_SCALE))


def _list_templates(found: Sequence[Detection | None]) -> list[tuple[int, Box]]:
    """(photograph, box) of the surest detections."""
    boxes = [
        (detection.score, at, box.grown(4, detection.mask.shape[1], detection.mask.shape[0]))
        for at, detection in enumerate(found)
        if detection is not None
        for box in detection.boxes[:2]
        if box.area <= MOST_BOX_SHARE * detection.mask.size
    ]
    return [(at, box) for _, at, box in sorted(boxes, key=lambda entry: -entry[0])[:MOST_TEMPLATES]]


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Aligned crops, where the mark may lie in them, and how many photographs were looked at."""

    crops: list[NDArray[np.uint8]]
    mask: BoolArray
    looked_at: int


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
            windows.append(self._cut(photo.rgb_u8, place, by, reach_px))
        if self.is_stopping() or len(windows) < max(LEAST_SHARING, LEAST_SHARE * looked_at):
            return None
        crops, mask = lay_on_each_other(windows, reach_px, whole=self.lead.scaled is None)
        enough = len(crops) >= LEAST_SHARING and mask.any()
        return _Pieces(crops, mask, looked_at) if enough else None

    def _cut(self, rgb_u8: NDArray[np.uint8], place: Place, by: float, reach_px: int) -> Window:
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
            cut_window(rgb_u8, round(left), round(top), *own),
            cut_inside(rgb_u8.shape[0], rgb_u8.shape[1], round(left), round(top), *own),
        )
        return window if own == size else resize_window(window, size)


def count_most_pieces(area_px: int) -> int:
    """How many pieces of so many pixels are held."""
    return int(np.clip(MOST_PIXELS // area_px, FEWEST_PIECES, MOST_PIECES))


def _touches_edge(mask: BoolArray) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def estimate_mark(crops: Sequence[NDArray[np.uint8]], mask: BoolArray, attempt: Attempt) -> Mark | None:
    """The mark on aligned crops; None where there is none, or it is opaque."""
    (answer,) = attempt(
        Request(
            stage="estimate",
            network=None,
            items=[crops],
            shape=lambda batch, _tile: (batch, 3, *mask.shape),
            run=lambda items, _tile: [estimate_shared_mark(item, mask) for item in items],
            item_bytes=BYTES_BY_PIXEL * mask.size * len(crops),
        )
    )
    if isinstance(answer, Exception):
        raise answer
    alpha = drop_faint(answer.alpha, len(crops))
    body = alpha[alpha > 0.3 * float(alpha.max(initial=0))]
    if not alpha.any() or float(np.median(body)) > MOST_OPACITY:
        return None
    return Mark(alpha, answer.rgb, answer.kind)


def _realign(crop_u8: NDArray[np.uint8], mark: Mark) -> NDArray[np.uint8]:
    laid = lay_under(crop_u8.astype(np.float32) / np.float32(255), mark)
    return np.asarray(np.rint(laid * 255), np.uint8)


def drop_faint(alpha: FloatArray, count: int) -> FloatArray:
    """The opacity without what an estimate from so many photographs may be wrong by, away from the mark.

    >>> drop_faint(np.array([[0.5, 0.1, 0.1, 0.1, 0.1]], np.float32), 9).round(1).tolist()
    [[0.5, 0.10000000149011612, 0.10000000149011612, 0.0, 0.0]]
    """
    least = max(LEAST_OPACITY, DOUBT / np.sqrt(count))
    surely = (alpha > 2 * least).astype(np.uint8)
    near = cv2.dilate(surely, np.ones((2 * EDGE_PX + 1,) * 2, np.uint8)) > 0
    kept = (alpha > LEAST_OPACITY) & (near | (alpha > least))
    labels = cv2.connectedComponents(kept.astype(np.uint8))[1]
    strong = np.zeros(int(labels.max()) + 1, bool)
    if kept.any():
        strong[np.unique(labels[alpha > FAINT * float(np.percentile(alpha[kept], 90))])] = True
    return np.where(kept & strong[labels], alpha, 0).astype(np.float32)


def explains(mark: Mark, crops: Sequence[NDArray[np.uint8]]) -> bool:
    """Whether most of the pieces speak for the mark."""
    checked = crops[:: max(1, len(crops) // MOST_CHECKED)]
    fits = [fit_mark(crop.astype(np.float32) / np.float32(255), mark, Placement(0, 0)) for crop in checked]
    good = sum(fit is not None and fit.is_there for fit in fits)
    return good >= LEAST_EXPLAINED * len(checked)
