"""The copies of a tiled mark at the photograph's own size: where they lie exactly, cut out, and laid back.

All copies look alike, so what is cut out of one photograph at each of them is what a folder of photographs
with one mark would give (`remove/shared`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.lattice import Lattice, Vectors, find_lattice, fold
from cleanplate.detect.outlines import CLOSE_SOFT, Manner, correlate_closely, draw_field, find_top
from cleanplate.structures import BoolArray, Box, FloatArray

#: What of the pattern is the mark: pixels that this much of half of the copies say.
MARKED = 0.35
#: Pixels round the mark that are cut out with it.
MARGIN_PX = 10
#: Fewer copies than this, whole on the photograph, tell nothing of what lies behind them.
FEWEST_WHOLE = 4
#: A copy counts as whole from this part on.
WHOLE = 0.95
#: Rounds of moving the lattice to where the copies' outlines agree best, and by how many pixels of a
#: photograph of SEARCHED_PX they may be off before.
ROUNDS, REACH_PX, SEARCHED_PX = 2, 3, 1024
#: Copies this far from all others' lattice are no witnesses.
LEAST_WITNESSES, MOST_OFF_PX = 4, 2.0

Picture = TypeVar("Picture", NDArray[np.uint8], FloatArray)


@dataclass(frozen=True, eq=False)
class Copies:
    """Windows round the copies of a mark.

    left, top: of one window, in pixels of the photograph; the others lie `lattice` from it. width, height: of
    a window. cut: (2,) the lines, in parts of the vectors, that divide a copy from its neighbours.
    """

    lattice: Lattice
    left: float
    top: float
    width: int
    height: int
    cut: Vectors

    def list_windows(self, height: int, width: int, least: float) -> tuple[Vectors, Vectors]:
        """((n, 2) multiples of the lattice, (n, 2) left and top) of windows of which `least` is inside.

        height, width: of the photograph. least: a part of the window, in [0, 1].
        """
        vectors = np.stack([self.lattice.first, self.lattice.second])
        reach = int(np.ceil(2 * np.hypot(height, width) / np.linalg.norm(vectors, axis=1).min())) + 1
        across, down = (axis.ravel() for axis in np.meshgrid(*[np.arange(-reach, reach + 1)] * 2))
        multiples = np.stack([across, down], axis=1).astype(np.float64)
        places = multiples @ vectors + (self.left, self.top)
        right, bottom = places[:, 0] + self.width, places[:, 1] + self.height
        inside = np.clip(np.minimum(right, width) - np.maximum(places[:, 0], 0), 0, None)
        inside *= np.clip(np.minimum(bottom, height) - np.maximum(places[:, 1], 0), 0, None)
        chosen = inside >= max(1.0, least * self.width * self.height)
        return multiples[chosen], places[chosen]

    def cut_out(self, picture: Picture, places: Vectors, *, repeated: bool = True) -> list[Picture]:
        """(height, width[, c]) pieces of an (H, W[, c]) picture at (left, top), fractions allowed.

        repeated: whether its edges go on beyond it; else there is 0.
        """
        rows, columns = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        return [
            np.asarray(
                cv2.remap(
                    picture,
                    columns + np.float32(left),
                    rows + np.float32(top),
                    cv2.INTER_CUBIC if picture.dtype == np.uint8 else cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE if repeated else cv2.BORDER_CONSTANT,
                )
            )
            for left, top in places
        ]

    def lay(self, planes: FloatArray, height: int, width: int) -> FloatArray:
        """(height, width, c): the planes of a window, (h, w, c), at every copy, up to its neighbours."""
        x, y = fold(self.lattice, height, width, self.cut)
        at_x, at_y = (x - self.left).astype(np.float32), (y - self.top).astype(np.float32)
        return np.asarray(
            cv2.remap(planes, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32
        )

    def boxes(self, height: int, width: int) -> list[Box]:
        """The windows on a photograph, those that reach over its edges cut off there."""
        _, places = self.list_windows(height, width, 0.0)
        boxes = [
            Box(
                max(0, round(left)),
                max(0, round(top)),
                min(width, round(left) + self.width),
                min(height, round(top) + self.height),
            )
            for left, top in places
        ]
        return [box for box in boxes if box.width > 0 and box.height > 0]


def find_copies(probability: FloatArray) -> tuple[Copies, BoolArray] | None:
    """(the copies, (h, w) bool where the mark is in a window of theirs), None where no mark is tiled.

    probability: (H, W) float32 of the photograph at its own size, its pattern complete (`lattice`).
    """
    lattice = find_lattice(probability)
    if lattice is None:
        return None
    copies = _frame(probability, lattice)
    if copies is None:
        return None
    height, width = probability.shape
    _, places = copies.list_windows(height, width, WHOLE)
    if len(places) < FEWEST_WHOLE:
        return None
    told = np.median(np.stack(copies.cut_out(probability, places)), axis=0)
    grow = round(3 * max(1.0, max(height, width) / SEARCHED_PX))
    mask = cv2.dilate((told > MARKED).astype(np.uint8), np.ones((2 * grow + 1,) * 2, np.uint8)) > 0
    return (copies, np.asarray(mask, bool)) if mask.any() else None


def settle_copies(rgb_u8: NDArray[np.uint8], copies: Copies, mask: BoolArray) -> Copies:
    """The same copies with their lattice where the mark's outlines in `rgb_u8`, (H, W, 3), say it is.

    mask: (h, w) bool, where the mark is in a window.
    """
    height, width = rgb_u8.shape[:2]
    reach = round(REACH_PX * max(1.0, max(height, width) / SEARCHED_PX))
    weight = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))[..., None].astype(np.float32)
    for _ in range(ROUNDS):
        multiples, places = copies.list_windows(height, width, WHOLE)
        fields = [_draw(piece) for piece in copies.cut_out(rgb_u8, places)]
        shared = np.mean(fields, axis=0) * weight
        wide = replace(copies, width=copies.width + 2 * reach, height=copies.height + 2 * reach).cut_out(
            rgb_u8, places - reach
        )
        moves, trust = [], []
        for piece, own in zip(wide, fields, strict=True):
            others = (shared - own * weight / len(fields)).astype(np.float32)
            move, cosine = _find_move(_draw(piece), others, reach)
            moves.append(move)
            trust.append(max(0.0, cosine))
        settled = _fit(copies, multiples, places + np.array(moves), np.array(trust))
        if settled is None:
            break
        copies = settled
    return copies


def _frame(probability: FloatArray, lattice: Lattice) -> Copies | None:
    """The window round one copy, cut from its neighbours where least of the mark is."""
    copies = lattice.cut_cells(probability)
    told = np.nan_to_num(np.nanmedian(np.where(np.isfinite(copies).sum(axis=0) > 0, copies, 0), axis=0))
    marked = told > MARKED
    if not marked.any():
        return None
    down, across = marked.shape
    column = int(np.argmin(_sum_near(marked.sum(axis=0))))
    row = int(np.argmin(_sum_near(marked.sum(axis=1))))
    rows, columns = np.nonzero(np.roll(marked, (-row, -column), (0, 1)))
    parts = np.stack([(columns + column) / across, (rows + row) / down], axis=1)
    points = parts @ np.stack([lattice.first, lattice.second])
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return Copies(
        lattice,
        float(left) - MARGIN_PX,
        float(top) - MARGIN_PX,
        int(np.ceil(right - left)) + 2 * MARGIN_PX,
        int(np.ceil(bottom - top)) + 2 * MARGIN_PX,
        np.array([column / across, row / down]),
    )


def _sum_near(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over a ring of five, so that a cut keeps away from the mark on both sides."""
    return np.asarray(sum(np.roll(sums, by) for by in range(-2, 3)), np.float64)


def _draw(piece: NDArray[np.uint8]) -> FloatArray:
    return draw_field(piece.astype(np.float32) / np.float32(255), Manner(soft=CLOSE_SOFT))


def _find_move(field: FloatArray, outline: FloatArray, reach: int) -> tuple[Vectors, float]:
    """((right, down) from where it was thought to be, cosine) of an outline in a field larger by `reach`."""
    cosine = correlate_closely(field, outline)
    row, column = (int(i) for i in np.unravel_index(int(cosine.argmax()), cosine.shape))
    move = np.array([column, row], np.float64) - reach
    if 0 < row < cosine.shape[0] - 1 and 0 < column < cosine.shape[1] - 1:
        move += (find_top(cosine[row, column - 1 : column + 2]), find_top(cosine[row - 1 : row + 2, column]))
    return move, float(cosine[row, column])


def _fit(copies: Copies, multiples: Vectors, places: Vectors, trust: Vectors) -> Copies | None:
    """The copies with the lattice and the first place that fit where they were found; None for too few."""
    steps = np.column_stack([multiples, np.ones(len(multiples))])
    good = trust >= 0.5 * float(np.median(trust))
    vectors = None
    for _ in range(2):
        if good.sum() < LEAST_WITNESSES or np.linalg.matrix_rank(steps[good]) < 3:
            return None
        weight = np.sqrt(trust[good])[:, None]
        vectors = np.linalg.lstsq(steps[good] * weight, places[good] * weight, rcond=None)[0]
        good &= np.hypot(*(steps @ vectors - places).T) <= MOST_OFF_PX
    assert vectors is not None
    lattice = Lattice(vectors[0], vectors[1])
    return replace(copies, lattice=lattice, left=float(vectors[2, 0]), top=float(vectors[2, 1]))
