"""A mark that is repeated over a photograph: where a finder sees some of the copies, the others follow.

The copies of a tiled mark lie on a lattice: every whole multiple of two vectors. They show in how the
finder's probabilities correlate with themselves, moved; and what lies at the same place of many copies can be
told far better than what lies in one. A copy over texture that the finder missed is found this way, and what
it took for a mark once only is no part of the pattern.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.mask import Group, find_groups
from cleanplate.detect.outlines import find_top
from cleanplate.images.tensor import resize_to_long_side
from cleanplate.structures import Box, FloatArray

Vectors = NDArray[np.float64]

#: A pattern shows at least so many pieces that are this probable.
FEWEST_PIECES, PIECE_STRONG, PIECE_WEAK = 3, 0.5, 0.3
#: They lie all over a photograph: the box round them is at least this part of it. Source: 0.57 and more on
#: all 68 tiled training and validation triples where a lattice was found.
LEAST_SPREAD = 0.25
#: The longer edge at which vectors are looked for.
SEARCH_PX = 512
#: A move is looked at where at least this part of the photograph still overlaps with itself.
LEAST_OVERLAP = 0.2
#: The least correlation that counts, and how many of the largest are looked at.
LEAST_PEAK, MOST_PEAKS = 0.15, 32
#: Copies lie at least so many pixels apart, and no two directions are closer than this (sine of the angle).
LEAST_STEP_PX, LEAST_SINE = 10.0, 0.2
#: What is usual round a correlation is its mean in a square with this edge.
USUAL_PX = 31
#: Fewer moves than this are no pattern. Source: with the mean below, the tiled marks of the validation split
#: (8 of 9, the ninth is seen nowhere) and none of its other photographs.
FEWEST_MOVES = 5
#: The correlation of all moves must be so much above what is usual round them, on the mean.
LEAST_MEAN = 0.13
#: A denser lattice has more moves; their mean is weighed by their number to a power. Every second row is
#: missed where it is low, rows between are invented where it is high; those are not believed afterwards.
DENSITIES = (0.5, 0.3)
#: The pattern at a place is the mean of this part of the copies, the most probable ones.
TOLD_BY = 0.5
#: A copy is seen where its part of the pattern is so probable on the mean; so many must be, and this part.
SEEN, FEWEST_SEEN, LEAST_SEEN_SHARE = 0.25, 4, 0.4
#: Samples of a cell by pixel of its edges.
CELL_DENSITY = 1.5


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where copies lie: at whole multiples of `first` and `second`, (2,) float64 each, right and down."""

    first: Vectors
    second: Vectors

    def scaled(self, right: float, down: float) -> Lattice:
        """The same on a photograph so many times as wide and as high."""
        return Lattice(self.first * (right, down), self.second * (right, down))

    def cut_cells(self, plane: FloatArray) -> FloatArray:
        """(n, b, a) float32: an (h, w) plane in each of its cells, NaN where a cell reaches outside.

        a, b: samples along the two vectors, CELL_DENSITY of them a pixel.
        """
        across, down = (
            int(np.ceil(np.linalg.norm(vector) * CELL_DENSITY)) for vector in (self.first, self.second)
        )
        return np.stack(list(_cut_cells(plane, self, across, down)))


def complete_pattern(probability: FloatArray) -> FloatArray:
    """The (h, w) float32 probabilities with a tiled mark's missed copies; the same array where none is tiled.

    >>> float(complete_pattern(np.zeros((64, 64), np.float32)).max())
    0.0
    """
    _, groups = find_groups(probability, strong=PIECE_STRONG, weak=PIECE_WEAK)
    if len(groups) < FEWEST_PIECES or _find_spread(groups) < LEAST_SPREAD * probability.size:
        return probability
    lattice = find_lattice(probability)
    pattern = _complete(probability, lattice) if lattice is not None else None
    return probability if pattern is None else np.maximum(probability, pattern)


def _find_spread(groups: Sequence[Group]) -> int:
    """Pixels in the box round all groups."""
    return reduce(Box.union, (group.box for group in groups)).area


def find_lattice(probability: FloatArray) -> Lattice | None:
    """The lattice that (h, w) probabilities repeat on; None where they do not."""
    height, width = probability.shape
    small = np.asarray(resize_to_long_side(probability, SEARCH_PX), np.float32)
    correlation = correlate_moves(small)
    usual = np.asarray(cv2.blur(correlation, (USUAL_PX, USUAL_PX)), np.float32)
    for chosen in _choose_lattices(correlation, usual):
        lattice = fit_lattice(correlation, chosen)
        if lattice is None:
            continue
        moves = list_moves(lattice, correlation.shape)[1]
        if len(moves) >= FEWEST_MOVES and _rise_above_usual(correlation, usual, moves) >= LEAST_MEAN:
            return lattice.scaled(width / small.shape[1], height / small.shape[0])
    return None


def correlate_moves(plane: FloatArray) -> FloatArray:
    """(2h - 1, 2w - 1) float32: how a plane correlates with itself moved by every (down, right).

    No move is in the middle. Each is normalised by the part that still overlaps; 0 where that is too little.
    """
    height, width = plane.shape
    size = (cv2.getOptimalDFTSize(2 * height), cv2.getOptimalDFTSize(2 * width))

    def transform(values: FloatArray) -> NDArray[np.complex128]:
        return np.fft.rfft2(values, size)

    rows, columns = np.arange(1 - height, height), np.arange(1 - width, width)

    def correlate(one: NDArray[np.complex128], other: NDArray[np.complex128]) -> NDArray[np.float64]:
        return np.asarray(np.fft.irfft2(one.conj() * other, size)[np.ix_(rows, columns)])

    values, squares, ones = transform(plane), transform(plane**2), transform(np.ones_like(plane))
    count = np.outer(height - np.abs(rows), width - np.abs(columns)).astype(np.float64)
    still = correlate(values, ones)
    moved = still[::-1, ::-1]  # what the plane's own part is, moved the other way
    covariance = correlate(values, values) - still * moved / count
    variances = np.maximum(correlate(squares, ones) - still**2 / count, 1e-3)
    variances = variances * variances[::-1, ::-1]
    least = 0.02 * float(plane.std()) * plane.size + 1e-6
    correlation = covariance / np.maximum(np.sqrt(variances), least)
    correlation[count < LEAST_OVERLAP * plane.size] = 0
    return np.asarray(correlation, np.float32)


def _choose_lattices(correlation: FloatArray, usual: FloatArray) -> list[Lattice]:
    """Of the lattices that two peaks span, those whose moves all correlate, the best by each density."""
    # Where peaks lie exactly is fitted later: two pixels off are no loss here.
    near = np.asarray(cv2.dilate(correlation, np.ones((5, 5), np.uint8)), np.float32)
    rated: list[tuple[Lattice, float, int]] = []
    for lattice in list_lattices(correlation):
        moves = list_moves(lattice, correlation.shape)[1]
        if len(moves) >= FEWEST_MOVES:
            rated.append((lattice, _rise_above_usual(near, usual, moves), len(moves)))
    chosen = []
    for density in DENSITIES if rated else ():
        best = max(rated, key=lambda found: found[1] * found[2] ** density)
        if best[0] not in chosen:
            chosen.append(best[0])
    return chosen


def list_lattices(
    correlation: FloatArray, least: float = LEAST_PEAK, least_px: float = LEAST_STEP_PX
) -> Iterator[Lattice]:
    """The lattices that two peaks of a correlation span, none twice (to two pixels).

    least: of a correlation that counts. least_px: how far copies are apart at least.
    """
    seen: set[tuple[int, ...]] = set()
    for first, second in combinations(_find_peaks(correlation, least, least_px), 2):
        if not _spans(first, second, least_px):
            continue
        lattice = _reduce(first, second)
        key = tuple(round(float(x) / 2) for vector in (lattice.first, lattice.second) for x in vector)
        if key not in seen and _spans(lattice.first, lattice.second, least_px):
            seen.add(key)
            yield lattice


def _find_peaks(correlation: FloatArray, least: float, least_px: float) -> Vectors:
    """(n, 2) moves, right and down, that correlate better than all round them, the best first."""
    middle_row, middle_column = (edge // 2 for edge in correlation.shape)
    smooth = cv2.GaussianBlur(correlation, (0, 0), 1)
    highest = cv2.dilate(smooth, np.ones((9, 9), np.uint8))
    rows, columns = np.nonzero((smooth == highest) & (smooth > least))
    moves = np.stack([columns - middle_column, rows - middle_row], axis=1).astype(np.float64)
    onward = (moves[:, 1] > 0) | (
        (moves[:, 1] == 0) & (moves[:, 0] > 0)
    )  # of every move and its opposite one
    far = np.hypot(moves[:, 0], moves[:, 1]) >= least_px
    chosen = np.flatnonzero(onward & far)
    order = chosen[np.argsort(-smooth[rows[chosen], columns[chosen]], kind="stable")]
    return moves[order[:MOST_PEAKS]]


def _spans(first: Vectors, second: Vectors, least_px: float = LEAST_STEP_PX) -> bool:
    area = abs(first[0] * second[1] - first[1] * second[0])
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return bool(area >= least_px**2 and area >= LEAST_SINE * lengths)


def _reduce(first: Vectors, second: Vectors) -> Lattice:
    """The shortest two vectors that span the same lattice (Lagrange's reduction)."""
    while True:
        if first @ first > second @ second:
            first, second = second, first
        multiple = round(float((first @ second) / (first @ first)))
        if multiple == 0:
            return Lattice(first, second)
        second = second - multiple * first


def list_moves(lattice: Lattice, shape: tuple[int, ...]) -> tuple[Vectors, Vectors]:
    """((n, 2) multiples, (n, 2) moves) of a lattice that leave enough overlap, one of each pair of opposites.

    shape: of the correlation.
    """
    height, width = ((edge + 1) // 2 for edge in shape)
    reach = int(np.ceil(np.hypot(height, width) / np.linalg.norm(lattice.first)))
    across, down = (axis.ravel() for axis in np.meshgrid(*[np.arange(-reach, reach + 1)] * 2))
    onward = (down > 0) | ((down == 0) & (across > 0))
    multiples = np.stack([across, down], axis=1)[onward].astype(np.float64)
    moves = multiples @ np.stack([lattice.first, lattice.second])
    left = np.clip(width - np.abs(moves[:, 0]), 0, None) * np.clip(height - np.abs(moves[:, 1]), 0, None)
    inside = (np.abs(moves[:, 0]) < width - 4) & (np.abs(moves[:, 1]) < height - 4)
    enough = inside & (left >= LEAST_OVERLAP * height * width)
    return multiples[enough], moves[enough]


def _rise_above_usual(correlation: FloatArray, usual: FloatArray, moves: Vectors) -> float:
    """The mean over moves of their correlation less what is usual round them; 0 for none."""
    if len(moves) == 0:
        return 0.0
    middle_row, middle_column = (edge // 2 for edge in correlation.shape)
    columns = np.round(moves[:, 0]).astype(int) + middle_column
    rows = np.round(moves[:, 1]).astype(int) + middle_row
    return float((correlation[rows, columns] - np.maximum(usual[rows, columns], 0)).mean())


def fit_lattice(correlation: FloatArray, lattice: Lattice, least: float = LEAST_PEAK) -> Lattice | None:
    """The vectors that fit all peaks near a lattice's moves, to fractions of a pixel; None for too few.

    least: of a correlation that counts.
    """
    for _ in range(3):
        multiples, moves = list_moves(lattice, correlation.shape)
        found = [
            (multiple, *peak)
            for multiple, move in zip(multiples, moves, strict=True)
            if (peak := _peak_near(correlation, move, least)) is not None
        ]
        if len(found) < 2:
            return None
        steps = np.array([multiple for multiple, _, _ in found])
        if np.linalg.matrix_rank(steps) < 2:
            return None
        weight = np.sqrt(np.array([height for _, _, height in found]))[:, None]
        targets = np.array([move for _, move, _ in found])
        vectors = np.linalg.lstsq(steps * weight, targets * weight, rcond=None)[0]
        lattice = Lattice(vectors[0], vectors[1])
        if not _spans(lattice.first, lattice.second):
            return None
    return lattice


def _peak_near(correlation: FloatArray, move: Vectors, least: float) -> tuple[Vectors, float] | None:
    """(move, correlation) of the highest place within three pixels of a move, by parabolas."""
    middle = np.array([correlation.shape[1] // 2, correlation.shape[0] // 2])
    column, row = (int(x) for x in np.round(move).astype(int) + middle)
    window = correlation[row - 3 : row + 4, column - 3 : column + 4]
    if window.shape != (7, 7) or window.max() < least:
        return None
    down, across = np.unravel_index(int(window.argmax()), window.shape)
    row, column = row - 3 + int(down), column - 3 + int(across)
    if not (0 < row < correlation.shape[0] - 1 and 0 < column < correlation.shape[1] - 1):
        return None
    right = find_top(correlation[row, column - 1 : column + 2])
    below = find_top(correlation[row - 1 : row + 2, column])
    place = np.array([column + right, row + below]) - middle
    return place, float(correlation[row, column])


def _complete(probability: FloatArray, lattice: Lattice) -> FloatArray | None:
    """(h, w) float32: the pattern that the copies show together; None where too few of them show it."""
    copies = lattice.cut_cells(probability)
    count = np.isfinite(copies).sum(axis=0)
    told_by = np.maximum(1, np.ceil(count * TOLD_BY)).astype(np.intp)
    ranked = -np.sort(-np.nan_to_num(copies, nan=0.0), axis=0)
    told = np.take_along_axis(np.cumsum(ranked, axis=0), told_by[None] - 1, axis=0)[0] / told_by
    cell = np.where(count > 1, told, 0).astype(np.float32)
    if not _is_seen(copies, cell):
        return None
    across, down = cell.shape[::-1]
    parts = _divide(lattice, *probability.shape)
    maps = [
        ((x - np.floor(x)) * edge).astype(np.float32) for x, edge in zip(parts, (across, down), strict=True)
    ]
    wrapped = np.pad(cell, ((0, 1), (0, 1)), mode="wrap")
    return np.asarray(cv2.remap(wrapped, maps[0], maps[1], cv2.INTER_LINEAR), np.float32)


def fold(
    lattice: Lattice, height: int, width: int, cut: Vectors
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(x, y), each (height, width): for every pixel the place that is the same in one and the same cell.

    cut: (2,) where that cell begins, in parts of the vectors.

    >>> x, _ = fold(Lattice(np.array([4.0, 0]), np.array([0, 3.0])), 1, 6, np.zeros(2))
    >>> x[0].round(6).tolist()
    [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]
    """
    parts = _divide(lattice, height, width)
    across, down = (part - np.floor(part - at) for part, at in zip(parts, cut, strict=True))
    x, y = (across * lattice.first[axis] + down * lattice.second[axis] for axis in (0, 1))
    return x, y


def _divide(lattice: Lattice, height: int, width: int) -> list[NDArray[np.float64]]:
    """How often each vector goes into the place of every pixel, two (height, width) planes."""
    places = np.linalg.inv(np.stack([lattice.first, lattice.second], axis=1))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    return [places[axis, 0] * columns + places[axis, 1] * rows for axis in (0, 1)]


def _cut_cells(plane: FloatArray, lattice: Lattice, across: int, down: int) -> Iterator[FloatArray]:
    """(down, across) float32 of every cell of the lattice on the plane, NaN outside of it."""
    height, width = plane.shape
    places = np.linalg.inv(np.stack([lattice.first, lattice.second], axis=1))
    corners = places @ np.array([[0, width, 0, width], [0, 0, height, height]], np.float64)
    starts, ends = np.floor(corners.min(axis=1)).astype(int), np.ceil(corners.max(axis=1)).astype(int)
    part_across, part_down = np.meshgrid(np.arange(across) / across, np.arange(down) / down)
    for row in range(starts[1], ends[1]):
        for column in range(starts[0], ends[0]):
            places_there = [
                (column + part_across) * lattice.first[axis] + (row + part_down) * lattice.second[axis]
                for axis in (0, 1)
            ]
            x, y = (np.asarray(place, np.float32) for place in places_there)
            inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
            if inside.any():
                seen = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                yield np.where(inside, seen, np.nan).astype(np.float32)


def _is_seen(copies: FloatArray, cell: FloatArray) -> bool:
    """Whether enough copies show the cell's pattern, each by itself: a line's letters fill one row only."""
    inside = cell > PIECE_STRONG
    if not inside.any():
        return False
    shown = np.isfinite(copies[:, inside])
    whole = shown.mean(axis=1) > 0.5
    sums = np.nan_to_num(copies[:, inside], nan=0.0).sum(axis=1)
    seen = (sums / np.maximum(shown.sum(axis=1), 1))[whole] > SEEN
    return bool(seen.sum() >= FEWEST_SEEN and seen.mean() >= LEAST_SEEN_SHARE)
