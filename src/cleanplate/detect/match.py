"""Finding a known mark on a photograph: any place, scale 0.5 to 2, to a fraction of a pixel.

The mark's outline is compared with the photograph's gradients (`outlines`), coarse to fine: at a size where
the mark is some hundred pixels wide at every place and scale, then near the best places at the photograph's
own resolution. How far the best place stands out from all others on the same photograph tells a mark that is
there from one that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from cleanplate.detect.outlines import (
    CLOSE_SOFT,
    SOFT,
    Manner,
    choose_weights,
    correlate,
    correlate_closely,
    draw_field,
    draw_outline,
    find_rise,
    measure_spread,
)
from cleanplate.marks.place import scale_mark, trim_mark
from cleanplate.structures import FloatArray, Mark, Placement

#: The scales that are tried, and the step between two at the coarse size.
LEAST_SCALE, MOST_SCALE = 0.5, 2.0
SCALE_STEP = 1.045
#: The mark's longer and shorter edge at the coarse size.
COARSE_LONG_PX, COARSE_SHORT_PX = 112, 14
#: The mark's longer edge at the sizes of the refinement; a mark that is no larger is looked at as it is.
CLOSE_PX = (224, 640)
#: Empty pixels that are kept round a mark: half of an edge lies outside it.
ROOM_PX = 3
#: Scales are told apart by so much at the ends of the mark, in pixels at that size.
FINEST_PX = 0.2
#: The mark may reach over the photograph's edges by this part of its size.
OVERHANG = 0.25
#: A mark is there where its cosine stands out by so many standard deviations of all places' cosines, and is
#: at least so large.
LEAST_DEVIATIONS = 6.8
LEAST_COSINE = 0.2
#: Of many scales one may look right by chance: there the mark must stand out by so much more.
OTHER_SCALE_DEVIATIONS = 0.7
#: So surely found at its own scale, the mark is looked for at no other.
SURE_DEVIATIONS = 9.0
#: Further places on the same photograph (a tiled mark), and their cosine against the best one's.
MOST_PLACES = 400
LEAST_OF_BEST = 0.6
#: Two places are at least so far from each other, by the mark's size.
LEAST_APART = 0.6
#: Opacities up to this are no part of the outline's box.
EMPTY = 0.02
#: Marks are put down at whole pixels and in their own size, unless the cosine says otherwise by this part.
PREFER_WHOLE = 0.03


@dataclass(frozen=True, slots=True)
class _Peak:
    """A place at the coarse size. deviations: how far its cosine stands out.

    coarse: what it was found in, where that is the mark's own scale at the size where it is looked for first;
    of several peaks the highest alone keeps it.
    """

    place: Placement
    deviations: float
    manner: Manner
    coarse: _Coarse | None = None


def find_mark(
    rgb: FloatArray,
    mark: Mark,
    *,
    other_scales: bool = True,
    several: bool = True,
    least_deviations: float = LEAST_DEVIATIONS,
) -> list[Placement]:
    """Where a mark lies on (H, W, 3) float32 `rgb` in [0, 1], surest first; empty where it does not.

    other_scales: whether scales besides its own are tried. several: whether more than one place is looked
    for. least_deviations: how far the best place must stand out; with less than the usual, whoever asks must
    look closer. `Placement.score` is the cosine between outline and gradients at that place.

    >>> rng = np.random.default_rng(0)
    >>> photograph = cv2.GaussianBlur(rng.random((90, 120, 3), np.float32), (0, 0), 2)
    >>> find_mark(photograph, Mark(np.eye(40, dtype=np.float32), np.ones((40, 40, 3), np.float32)))
    []
    """
    trimmed, left, top = _cut_out(mark)
    peak = _search(rgb, trimmed, least_deviations, other_scales=other_scales)
    if peak is None:
        return []
    reach_px = None if other_scales else _find_reach(trimmed, peak.place)
    best = replace(refine_place(rgb, trimmed, peak.place, peak.manner, reach_px), deviations=peak.deviations)
    found = [best, *(_find_others(rgb, trimmed, best, peak) if several else [])]
    return [_move(place, -left, -top) for place in found]


def find_near(
    rgb: FloatArray, mark: Mark, expected: Placement, reach_px: int, *, least_cosine: float = LEAST_COSINE
) -> Placement | None:
    """The mark at about the expected place and scale, or None: what `find_mark` finds, in less time."""
    trimmed, left, top = _cut_out(mark)
    start = _move(expected, left, top)
    found = max(
        (refine_place(rgb, trimmed, start, manner, reach_px) for manner in _list_manners(rgb, trimmed)),
        key=lambda place: place.score,
    )
    return _move(found, -left, -top) if found.score >= least_cosine else None


def _cut_out(mark: Mark) -> tuple[Mark, int, int]:
    """The mark with `ROOM_PX` of nothing round it; how many columns and rows were cut before it."""
    trimmed, left, top = trim_mark(mark, EMPTY)
    rooms = ((ROOM_PX, ROOM_PX), (ROOM_PX, ROOM_PX))
    alpha, rgb = np.pad(trimmed.alpha, rooms), np.pad(trimmed.rgb, (*rooms, (0, 0)), mode="edge")
    padded = replace(trimmed, alpha=alpha, rgb=rgb)
    return padded, left - ROOM_PX, top - ROOM_PX


def _move(place: Placement, right: float, down: float) -> Placement:
    """A place of the mark's upper left corner from that of a point in the mark, in the mark's pixels."""
    return replace(place, left=place.left + right * place.scale, top=place.top + down * place.scale)


def _list_manners(rgb: FloatArray, mark: Mark) -> tuple[Manner, Manner]:
    """Both ways of drawing outlines: which one tells more depends on what is behind the mark."""
    weights = choose_weights(mark, rgb[::4, ::4].mean(axis=(0, 1), dtype=np.float32))
    return Manner(signed=True, weights=weights), Manner(signed=False, weights=weights)


def _search(rgb: FloatArray, mark: Mark, least_deviations: float, *, other_scales: bool) -> _Peak | None:
    """The best place at the coarse size, if any; a large mark of small parts is looked for in larger ones."""
    peaks: list[_Peak] = []
    for long_px in COARSE_LONG_PX * np.array([1, 2, 4]):
        peaks = _add(peaks, _peaks(rgb, mark, [1.0], int(long_px)))
        best = max((peak.deviations for peak in peaks), default=0.0)
        if long_px >= max(mark.alpha.shape) or best >= SURE_DEVIATIONS:
            break
    if other_scales and max((peak.deviations for peak in peaks), default=0) < SURE_DEVIATIONS:
        peaks = _add(peaks, _peaks(rgb, mark, _list_scales()))
    likely = [
        peak
        for peak in peaks
        if peak.deviations >= least_deviations + (OTHER_SCALE_DEVIATIONS if peak.place.scale != 1 else 0)
        and peak.place.score >= LEAST_COSINE
    ]
    return max(likely, key=lambda peak: peak.deviations, default=None)


def _add(peaks: list[_Peak], more: Iterable[_Peak]) -> list[_Peak]:
    """All of them, what the highest was found in kept: such planes are as large as a photograph."""
    for peak in more:
        if all(peak.deviations > other.deviations for other in peaks):
            peaks = [*(replace(other, coarse=None) for other in peaks), peak]
        else:
            peaks = [*peaks, replace(peak, coarse=None)]
        del peak  # before the next is looked for
    return peaks


def _list_scales() -> list[float]:
    steps = int(np.floor(np.log(MOST_SCALE) / np.log(SCALE_STEP)))
    return [LEAST_SCALE, *(SCALE_STEP**k for k in range(-steps, steps + 1) if k), MOST_SCALE]


def _peaks(
    rgb: FloatArray, mark: Mark, scales: list[float], coarse_px: int = COARSE_LONG_PX
) -> Iterator[_Peak]:
    """The best place at each scale. The photograph is shrunk so that the mark has one size at all of them."""
    manners = _list_manners(rgb, mark)
    drawn, drawn_at = mark, 1.0  # a mark of several megapixels is not drawn anew for every scale
    for scale in scales:
        reduced = _Reduced.make(rgb, mark, scale, coarse_px)
        if not reduced.holds(mark):
            continue
        if reduced.factor != drawn_at:
            drawn, drawn_at = scale_mark(mark, reduced.factor), reduced.factor
        for manner in manners:
            coarse = reduced.look(drawn, manner)
            if coarse is None:
                continue
            row, column = np.unravel_index(int(coarse.cosine.argmax()), coarse.cosine.shape)
            place = coarse.place(int(row), int(column))
            kept = coarse if scale == 1 and coarse_px == COARSE_LONG_PX else None
            yield _Peak(place, place.score / measure_spread(coarse.cosine), manner, kept)
            del coarse, kept


@dataclass(frozen=True, eq=False)
class _Coarse:
    """A photograph looked at in a small size: cosines for every place of a mark that reaches over its edges.

    across, down: pixels of the photograph to one of the small size. over: (rows, columns) that the mark may
    reach over the edges. outline: its rows and columns.
    """

    cosine: FloatArray
    scale: float
    across: float
    down: float
    over: tuple[int, int]
    outline: tuple[int, int]

    def place(self, row: int, column: int) -> Placement:
        """A place in the cosines as one on the photograph."""
        left, top = (column - self.over[1]) * self.across, (row - self.over[0]) * self.down
        return Placement(left, top, self.scale, float(self.cosine[row, column]))


@dataclass(frozen=True, eq=False)
class _Reduced:
    """A photograph in the size in which a mark of one scale is looked for.

    rgb: (h, w, 3) float32. across, down: pixels of the photograph to one of this. factor: of the mark's size.
    behind: the photograph's mean colour.
    """

    rgb: FloatArray
    scale: float
    across: float
    down: float
    factor: float
    behind: FloatArray

    @classmethod
    def make(cls, rgb: FloatArray, mark: Mark, scale: float, coarse_px: int = COARSE_LONG_PX) -> _Reduced:
        """As small as leaves the mark as large as it must be."""
        height, width = rgb.shape[:2]
        wanted = max(coarse_px / max(mark.alpha.shape), COARSE_SHORT_PX / min(mark.alpha.shape))
        factor = min(1.0, wanted / scale)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = rgb if factor == 1 else cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        behind = rgb[::4, ::4].mean(axis=(0, 1), dtype=np.float32)
        across, down = width / size[0], height / size[1]
        return cls(np.asarray(small, np.float32), scale, across, down, min(scale, wanted), behind)

    def holds(self, mark: Mark) -> bool:
        """Whether the mark can be there at all: told before it is drawn."""
        sizes = zip(self.rgb.shape[:2], mark.alpha.shape, strict=True)
        return all((1 - 2 * OVERHANG) * self.factor * own <= edge + 2 for edge, own in sizes)

    def look(self, drawn: Mark, manner: Manner) -> _Coarse | None:
        """Cosines for every place of the mark, drawn at this factor; None where it does not fit."""
        outline = draw_outline(drawn, self.behind, manner)
        over = (round(OVERHANG * outline.shape[0]), round(OVERHANG * outline.shape[1]))
        field = np.pad(draw_field(self.rgb, manner), ((over[0], over[0]), (over[1], over[1]), (0, 0)))
        if not _fits(field, outline):
            return None
        cosine = correlate(field, outline)
        return _Coarse(cosine, self.scale, self.across, self.down, over, outline.shape[:2])


def refine_place(
    rgb: FloatArray, mark: Mark, start: Placement, manner: Manner, reach_px: int | None = None
) -> Placement:
    """The place nearest to `start` where the outline agrees best, to a fraction of a pixel and of the scale.

    mark: with room round it. reach_px: how far it may be at that very scale; None: as far as a coarse search
    leaves open. Its score is a cosine over the outline's pixels.
    """
    long_px = start.scale * max(mark.alpha.shape)
    finest = _Close(rgb, mark, min(1.0, CLOSE_PX[-1] / long_px), manner)
    if reach_px is not None:
        return finest.rate(finest.climb(start, start.scale, reach_px))
    reach = _find_reach(mark, start)
    best, step = start, SCALE_STEP**0.5
    for size_px in CLOSE_PX:
        close = _Close(rgb, mark, min(1.0, size_px / long_px), manner)
        while step > 1 + FINEST_PX / (close.reduced * long_px):
            scales = (best.scale / step, best.scale, best.scale * step)
            best = max((close.climb(best, s, reach) for s in scales), key=lambda place: place.score)
            step, reach = step**0.5, max(3, reach // 2)
        if close.reduced == 1:
            break
    if abs(best.scale - 1) < SCALE_STEP - 1:
        own = finest.climb(best, 1.0, 3)
        best = own if own.score >= (1 - PREFER_WHOLE) * best.score else best
    return finest.rate(best)


def _find_reach(mark: Mark, start: Placement) -> int:
    """Pixels that a coarse search leaves open."""
    return int(np.ceil(2 * max(1.0, start.scale * max(mark.alpha.shape) / COARSE_LONG_PX))) + 1


@dataclass(frozen=True, eq=False)
class _Close:
    """Looks closely at a mark on a photograph, both shrunk to `reduced`."""

    rgb: FloatArray
    mark: Mark
    reduced: float
    manner: Manner

    def climb(self, start: Placement, scale: float, reach_px: int) -> Placement:
        """The best place within `reach_px` of the start (their centres compared) at a scale."""
        height, width = self.mark.alpha.shape
        left = start.left + (start.scale - scale) * width / 2
        top = start.top + (start.scale - scale) * height / 2
        field, outline, first_x, first_y = self._draw(left, top, scale, reach_px, CLOSE_SOFT)
        if not _fits(field, outline):
            return Placement(left, top, scale, -1.0)
        cosine = correlate_closely(field, outline)
        row, column = (int(i) for i in np.unravel_index(int(cosine.argmax()), cosine.shape))
        right, down = _find_vertex(cosine, row, column)
        return Placement(
            first_x + (column + right) / self.reduced,
            first_y + (row + down) / self.reduced,
            scale,
            float(cosine[row, column]),
        )

    def rate(self, place: Placement) -> Placement:
        """The place with its cosine over the outline's pixels."""
        field, outline, *_ = self._draw(place.left, place.top, place.scale, 1, SOFT)
        score = float(correlate(field, outline).max()) if _fits(field, outline) else -1.0
        return replace(place, score=score)

    def _draw(
        self, left: float, top: float, scale: float, reach_px: int, soft: float
    ) -> tuple[FloatArray, FloatArray, int, int]:
        """(field, outline, the column and row of the photograph where the field begins)."""
        height, width = self.mark.alpha.shape
        first_x, first_y = int(np.floor(left)) - reach_px, int(np.floor(top)) - reach_px
        last_x = int(np.ceil(left + scale * width)) + reach_px
        last_y = int(np.ceil(top + scale * height)) + reach_px
        window = _cut(self.rgb, first_x, first_y, last_x, last_y)
        behind = window.mean(axis=(0, 1), dtype=np.float32)
        if self.reduced < 1:
            high, wide = (max(1, round(edge * self.reduced)) for edge in window.shape[:2])
            window = np.asarray(cv2.resize(window, (wide, high), interpolation=cv2.INTER_AREA), np.float32)
        manner = replace(self.manner, soft=soft)
        outline = draw_outline(scale_mark(self.mark, scale * self.reduced), behind, manner)
        return draw_field(window, manner), outline, first_x, first_y


def _fits(field: FloatArray, outline: FloatArray) -> bool:
    smaller = outline.shape[0] <= field.shape[0] and outline.shape[1] <= field.shape[1]
    return smaller and bool(outline.any())


def _cut(rgb: FloatArray, left: int, top: int, right: int, bottom: int) -> FloatArray:
    """The part of a photograph, its edges repeated where it reaches over them."""
    height, width = rgb.shape[:2]
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    columns = np.clip(np.arange(left, right), 0, width - 1)
    return np.ascontiguousarray(rgb[rows[:, None], columns[None]])


def _find_vertex(cosine: FloatArray, row: int, column: int) -> tuple[float, float]:
    """How far from its highest sample the peak lies, (right, down), each within half a pixel."""
    right = find_rise(cosine[row, max(0, column - 1) : column + 2])
    down = find_rise(cosine[max(0, row - 1) : row + 2, column])
    whole = max(abs(right[0]), abs(down[0])) <= 0.5 and right[1] + down[1] < PREFER_WHOLE * max(
        1e-6, float(cosine[row, column])
    )
    return (0.0, 0.0) if whole else (right[0], down[0])


def _find_others(rgb: FloatArray, mark: Mark, best: Placement, peak: _Peak) -> list[Placement]:
    """Further places at the same scale, as a tiled mark has them."""
    coarse = peak.coarse if best.scale == 1 else None
    if coarse is None:
        reduced = _Reduced.make(rgb, mark, best.scale)
        coarse = reduced.look(scale_mark(mark, reduced.factor), peak.manner)
    if coarse is None:
        return []
    cosine = coarse.cosine
    least = max(LEAST_OF_BEST * float(cosine.max()), LEAST_COSINE, LEAST_DEVIATIONS * measure_spread(cosine))
    clear_y, clear_x = (max(1, round(LEAST_APART * edge)) for edge in coarse.outline)
    row, column = (
        round(best.top / coarse.down) + coarse.over[0],
        round(best.left / coarse.across) + coarse.over[1],
    )
    found: list[Placement] = []
    for _ in range(MOST_PLACES):
        rows = slice(max(0, row - clear_y), max(0, row + clear_y + 1))
        cosine[rows, max(0, column - clear_x) : max(0, column + clear_x + 1)] = -1
        row, column = (int(i) for i in np.unravel_index(int(cosine.argmax()), cosine.shape))
        start = coarse.place(row, column)
        if start.score < least:
            break
        near = refine_place(rgb, mark, start, peak.manner, reach_px=int(np.ceil(2 * coarse.across)) + 1)
        if near.score >= LEAST_OF_BEST * best.score:
            found.append(near)
    return found
