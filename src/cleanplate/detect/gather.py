"""Gathering what photographs share: on which of them an outline lies, and their pieces laid on each other.

Pure: arrays in, places and crops out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.consistent import cover_outline, extend_outline, find_outline
from cleanplate.detect.outlines import (
    CLOSE_SOFT,
    COLOURS,
    Manner,
    correlate,
    correlate_closely,
    draw_field,
    find_top,
)
from cleanplate.structures import BoolArray, FloatArray

#: Outlines are looked at in grey, unless it is said otherwise.
GREY = Manner()
#: A photograph carries the outline where its cosine is at least so much, or, looked for everywhere, stands
#: out from all other places by so many standard deviations.
LEAST_COSINE = 0.3
LEAST_DEVIATIONS = 7.0
#: Rounds of laying pieces on each other; the first ones may move them furthest.
ROUNDS = 4
#: Gaps in an outline that are closed, and what its inside is grown by.
CLOSE_PX = 7
GROW_PX = 4
#: Crops of more pixels are asked at half the size where a mark may lie on them.
LARGE_PX = 600_000
#: A mark of which more than this part lies where fewer than half of the photographs have pixels is cut off.
MOST_CUT = 0.05


#: Where something is on a photograph, in whole pixels, and the photograph's size: left, top, width, height.
Seen = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an outline lies on a photograph: left and top in whole pixels, and its cosine there."""

    left: int
    top: int
    cosine: float


def locate_near(
    photo_u8: NDArray[np.uint8],
    outline: FloatArray,
    expected: tuple[int, int],
    reach_px: int,
    manner: Manner = GREY,
) -> Place | None:
    """The outline, (h, w, 2), at about an expected (left, top), or None. manner: in which it was drawn."""
    height, width = outline.shape[:2]
    left, top = expected[0] - reach_px, expected[1] - reach_px
    window = cut_window(photo_u8, left, top, width + 2 * reach_px, height + 2 * reach_px)
    cosine = correlate(draw_field(window.astype(np.float32) / np.float32(255), manner), outline)
    row, column = (int(i) for i in np.unravel_index(int(cosine.argmax()), cosine.shape))
    found = Place(left + column, top + row, float(cosine[row, column]))
    return found if found.cosine >= LEAST_COSINE else None


def locate_anywhere(field: FloatArray, outline: FloatArray) -> Place | None:
    """The outline anywhere in the field of a photograph, where it stands out, or None."""
    if outline.shape[0] > field.shape[0] or outline.shape[1] > field.shape[1] or not outline.any():
        return None
    cosine = correlate(field, outline)
    row, column = (int(i) for i in np.unravel_index(int(cosine.argmax()), cosine.shape))
    spread = max(1e-3, float(np.quantile(np.abs(cosine).ravel()[:: max(1, cosine.size // 20_000)], 0.683)))
    found = Place(column, row, float(cosine[row, column]))
    sure = found.cosine >= LEAST_DEVIATIONS * spread and found.cosine >= 0.6 * LEAST_COSINE
    return found if sure else None


def gather_around(
    fields: Sequence[FloatArray], template: FloatArray
) -> tuple[FloatArray, list[Place | None]]:
    """(the outline that is shared, where it lies on each photograph), starting from one photograph's piece.

    template: (h, w, 2), a piece of one field. What the photographs on which it is found have in common takes
    its place, and is looked for again.
    """
    outline, places = template, [locate_anywhere(field, template) for field in fields]
    for _ in range(2):
        height, width = outline.shape[:2]
        pieces = [
            field[place.top : place.top + height, place.left : place.left + width]
            for field, place in zip(fields, places, strict=True)
            if place is not None
        ]
        if len(pieces) < 3:
            break
        shared = find_outline(pieces)
        if not shared.any():
            return outline, [None] * len(fields)
        outline = np.where(shared[..., None], np.mean(pieces, axis=0), 0).astype(np.float32)
        places = [locate_anywhere(field, outline) for field in fields]
    return outline, places


@dataclass(frozen=True, eq=False)
class Window:
    """A piece of a photograph. rgb_u8: (h, w, 3); inside: (h, w) bool, what the photograph has of it.

    halved: whether its file holds colours at half the resolution, (across, down). seen: where its upper left
    corner is on the photograph, and that one's size; of no meaning where it was scaled.
    """

    rgb_u8: NDArray[np.uint8]
    inside: BoolArray
    halved: tuple[bool, bool] = (False, False)
    seen: Seen = (0, 0, 0, 0)

    def moved(self, right_px: int, down_px: int) -> Seen:
        """Where a point of it is on the photograph, and that one's size."""
        left, top, width, height = self.seen
        return left + right_px, top + down_px, width, height

    def draw_field(self, manner: Manner) -> FloatArray:
        """Its field, zero outside the photograph: pixels that are only repeated look alike everywhere."""
        field = draw_field(self.rgb_u8.astype(np.float32) / np.float32(255), manner)
        return np.where(self.inside[..., None], field, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Laid:
    """Aligned crops of one size, and the mask where their mark may lie.

    is_cut: whether the mark seems to go on where fewer than half of the photographs do, as a pattern does.
    halved: how most of their files hold colours; seen: where each crop is on its photograph (see `Window`).
    kept: the numbers of their windows.
    """

    crops: list[NDArray[np.uint8]]
    mask: BoolArray
    is_cut: bool
    halved: tuple[bool, bool]
    seen: list[Seen]
    kept: list[int]


def lay_on_each_other(
    windows: Sequence[Window],
    reach_px: int,
    *,
    whole: bool,
    manner: Manner = GREY,
    check_stop: Callable[[], None] = lambda: None,
) -> Laid:
    """Pieces of photographs, aligned. Windows that do not fit the others are left out.

    windows: of one size, each off by up to `reach_px`; crops are smaller by that on every side.
    whole: whether marks were put at whole pixels, so that windows are only moved by those. manner: in which
    their outline shows. check_stop: called for every window and step; what it raises ends the work.
    """
    close = replace(manner, soft=CLOSE_SOFT)
    fields = [window.draw_field(close) for window in _checked(windows, check_stop)]
    height, width = fields[0].shape[0] - 2 * reach_px, fields[0].shape[1] - 2 * reach_px
    offsets = [(float(reach_px), float(reach_px))] * len(fields)
    cosines, settled = [1.0] * len(fields), False
    for turn in range(ROUNDS):
        is_last = settled or turn == ROUNDS - 1
        before = list(offsets)
        total = np.zeros((height, width, 2), np.float32)
        pieces = []
        for field, (left, top) in zip(fields, offsets, strict=True):
            piece = field[round(top) : round(top) + height, round(left) : round(left) + width]
            pieces.append(piece)
            total += piece
        outline = find_outline(pieces)[..., None]
        if not outline.any():
            outline = np.ones_like(outline)
        for at, (field, piece) in enumerate(zip(fields, pieces, strict=True)):
            check_stop()
            others = np.where(outline, (total - piece) / max(1, len(fields) - 1), 0).astype(np.float32)
            offsets[at], cosines[at] = _find_offset(field, others, whole=whole or not is_last)
        settled = offsets == before
        if is_last or (whole and settled):
            break  # another round would find the same
    typical = float(np.median(cosines))
    kept = [at for at, cosine in enumerate(cosines) if cosine >= 0.4 * typical]
    crops = [_cut_at(windows[at], *offsets[at], width, height) for at in kept]
    mask = _find_mask(crops, check_stop)
    there = np.mean([crop.inside for crop in crops], axis=0)
    # Photographs of other sizes end a pixel earlier or later: that is no part in which they go on.
    beyond = cv2.erode(((there > 0) & (there <= 0.5)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    is_cut = float((mask & beyond).sum()) > MOST_CUT * float(mask.sum())
    halved, _ = Counter(crop.halved for crop in crops).most_common(1)[0]
    pictures, seen = [crop.rgb_u8 for crop in crops], [crop.seen for crop in crops]
    return Laid(pictures, mask & (there > 0.5), is_cut, halved, seen, kept)


def _checked(windows: Sequence[Window], check_stop: Callable[[], None]) -> Iterator[Window]:
    """The windows, one by one as long as nothing speaks against it."""
    for window in windows:
        check_stop()
        yield window


def _find_mask(crops: Sequence[Window], check_stop: Callable[[], None]) -> BoolArray:
    """Where a mark may lie on aligned crops; of large ones it is asked at half the size.

    Lettering whose colour is as light as what is behind it has no outline in grey, but has one in colours.
    """
    height, width = crops[0].inside.shape
    if height * width > LARGE_PX:
        half = (width // 2, height // 2)
        small = _find_mask([resize_window(crop, half) for crop in _checked(crops, check_stop)], check_stop)
        return cv2.resize(small.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    grey = [crop.draw_field(Manner()) for crop in _checked(crops, check_stop)]
    outline = find_outline(grey)
    for manner in COLOURS:
        outline |= find_outline([crop.draw_field(manner) for crop in _checked(crops, check_stop)])
    return cover_outline(extend_outline(outline, grey), CLOSE_PX, GROW_PX)


def cut_inside(
    height: int, width: int, left: int, top: int, window_width: int, window_height: int
) -> BoolArray:
    """(window_height, window_width) bool: what a photograph has of a window, without its outermost pixels.

    >>> cut_inside(5, 5, 3, -1, 3, 3).astype(int).tolist()
    [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    """
    rows, columns = np.arange(top, top + window_height), np.arange(left, left + window_width)
    inner_rows, inner_columns = (rows > 0) & (rows < height - 1), (columns > 0) & (columns < width - 1)
    return np.asarray(inner_rows[:, None] & inner_columns[None], bool)


def cut_window(
    photo_u8: NDArray[np.uint8], left: int, top: int, width: int, height: int
) -> NDArray[np.uint8]:
    """A window of a photograph, its edge pixels repeated where it reaches over them."""
    first_row, first_column = max(0, top), max(0, left)
    there = photo_u8[first_row : max(0, top + height), first_column : max(0, left + width)]
    if not there.size:
        rows = np.clip(np.arange(top, top + height), 0, photo_u8.shape[0] - 1)
        columns = np.clip(np.arange(left, left + width), 0, photo_u8.shape[1] - 1)
        return np.ascontiguousarray(photo_u8[rows[:, None], columns[None]])
    above, before = first_row - top, first_column - left
    below, after = height - there.shape[0] - above, width - there.shape[1] - before
    window = cv2.copyMakeBorder(there, above, below, before, after, cv2.BORDER_REPLICATE)
    return np.asarray(window, np.uint8)


def resize_window(window: Window, size: tuple[int, int]) -> Window:
    """A window at another (width, height)."""
    smaller = size[0] < window.rgb_u8.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    rgb_u8 = np.asarray(cv2.resize(window.rgb_u8, size, interpolation=interpolation), np.uint8)
    inside = cv2.resize(window.inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return Window(rgb_u8, np.asarray(inside, bool), window.halved, window.seen)


def _find_offset(field: FloatArray, outline: FloatArray, *, whole: bool) -> tuple[tuple[float, float], float]:
    """((left, top) of the outline in the field, cosine)."""
    cosine = correlate_closely(field, outline)
    row, column = (int(i) for i in np.unravel_index(int(cosine.argmax()), cosine.shape))
    value = float(cosine[row, column])
    if whole or not (0 < row < cosine.shape[0] - 1 and 0 < column < cosine.shape[1] - 1):
        return (float(column), float(row)), value
    right = find_top(cosine[row, column - 1 : column + 2])
    down = find_top(cosine[row - 1 : row + 2, column])
    return (column + right, row + down), value


def _cut_at(window: Window, left: float, top: float, width: int, height: int) -> Window:
    rows = slice(round(top), round(top) + height)
    columns = slice(round(left), round(left) + width)
    inside, seen = window.inside[rows, columns], window.moved(round(left), round(top))
    if left == round(left) and top == round(top):
        return Window(np.ascontiguousarray(window.rgb_u8[rows, columns]), inside, window.halved, seen)
    affine = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
    flags = cv2.INTER_CUBIC
    moved = cv2.warpAffine(
        window.rgb_u8, affine, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return Window(np.asarray(moved, np.uint8), inside, window.halved, seen)
