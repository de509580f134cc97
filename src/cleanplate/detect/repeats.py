"""A tiled mark told by a photograph's own outlines, where a finder sees too little of it.

What one faint copy hides in the scene, all copies show together: fields of gradients, in which strong edges
count little more than weak ones, agree with themselves moved by whole steps of the pattern. Scenes hardly
ever do so exactly and everywhere. The copies laid on each other then show where the mark is in each.

Arrays in, arrays out.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.consistent import cover_outline, extend_outline, find_outline, shrink
from cleanplate.detect.copies import Copies
from cleanplate.detect.lattice import LEAST_OVERLAP, Lattice, fit_lattice, list_lattices, list_moves
from cleanplate.detect.outlines import Manner, draw_field
from cleanplate.images.tensor import resize
from cleanplate.structures import BoolArray, FloatArray

#: The longer edge at which a photograph is compared with itself.
SEARCH_PX = 768
#: So faint a rise is pressed to one half. Source: 72 tiled marks on training photographs, opacity 0.15 to
#: 0.6; 0.002, 0.005 and 0.02 find 46, 47 and 45 of them, gradients over what is usual round them 41 to 46.
MANNER = Manner(soft=0.005)
#: It is looked for where a finder suspects so much in so many of GRID x GRID parts of a photograph. Source:
#: 69 of those 72 and none of 60 photographs without a mark.
SUSPECTED, FEWEST_SUSPECTED, GRID = 0.1, 6, 6
#: What is usual round a correlation is taken from a square with this edge, and never spreads less than this.
USUAL_PX, LEAST_SPREAD = 41, 0.0008
#: A move is looked at where it stands out so far, in standard deviations of what is usual round it; and how
#: far copies are apart at least.
LEAST_PEAK, LEAST_STEP_PX = 2.5, 24.0
#: How far half of a lattice's moves stand out at least, and times the root of their number. Source: by
#: outlines alone 52 of those 72 reach 2.9 and 12, none of 265 marked otherwise or not at all, and one of 900
#: training photographs without a mark; where a finder suspects as much as above, less is enough.
LEAST_MEDIAN, LEAST_TOGETHER, FEWEST_MOVES = 2.5, 9.5, 4
#: A copy of which so much is on the photograph takes part; and how many are needed at a place.
LEAST_INSIDE, FEWEST_COPIES = 0.1, 4
#: How probable the mark is where its copies show it.
TOLD = 0.9
#: Gaps in its outline that are closed, and what its inside is grown by, at SEARCH_PX.
CLOSE_PX, GROW_PX = 2, 0


def complete_repeats(rgb_u8: NDArray[np.uint8], probability: FloatArray) -> FloatArray:
    """The (h, w) float32 probabilities with the mark that is tiled over a photograph; the same array where
    none is, or hardly anything is suspected.

    rgb_u8: (H, W, 3), the photograph, of any size.

    >>> nothing = np.zeros((64, 64), np.float32)
    >>> complete_repeats(np.zeros((64, 64, 3), np.uint8), nothing) is nothing
    True
    """
    if not is_suspected_widely(probability):
        return probability
    small = shrink(rgb_u8, min(1.0, SEARCH_PX / max(rgb_u8.shape[:2])))
    picture = small.astype(np.float32) / np.float32(255)
    suspected = np.asarray(resize(probability, *picture.shape[:2]), np.float32)
    for lattice in find_repeats(picture, suspected):
        told = draw_repeated(picture, lattice)
        if told is not None:
            return np.maximum(probability, np.asarray(resize(told, *probability.shape), np.float32))
    return probability


def is_suspected_widely(probability: FloatArray) -> bool:
    """Whether a finder suspects something all over a photograph.

    >>> corner = np.zeros((60, 60), np.float32)
    >>> corner[:10, :10] = 0.9
    >>> is_suspected_widely(corner), is_suspected_widely(corner + 0.2)
    (False, True)
    """
    height, width = probability.shape
    parts = np.asarray(cv2.dilate(probability, np.ones((-(-height // GRID), -(-width // GRID)), np.uint8)))
    rows, columns = (((2 * np.arange(GRID) + 1) * edge) // (2 * GRID) for edge in (height, width))
    return int((parts[np.ix_(rows, columns)] > SUSPECTED).sum()) >= FEWEST_SUSPECTED


def find_repeats(picture: FloatArray, suspected: FloatArray) -> list[Lattice]:
    """The lattices on which a picture may repeat, the likeliest first: by its outlines, by what a finder
    suspects, and by both.

    picture: (h, w, 3) in [0, 1]. suspected: (h, w) probabilities.
    """
    outlines = _stand_out(*_correlate(draw_field(picture, MANNER)))
    told = _stand_out(*_correlate((suspected - suspected.mean())[..., None]))
    found = [
        _find_best(standing) for standing in (outlines, told, (outlines + told) / np.float32(np.sqrt(2)))
    ]
    ranked = sorted((best for best in found if best is not None), key=lambda best: -best[0])
    return [lattice for _, lattice in ranked]


def _find_best(standing: FloatArray) -> tuple[float, Lattice] | None:
    """(how far a lattice's moves stand out together, the lattice) where they do so the most."""
    near = np.asarray(cv2.dilate(standing, np.ones((3, 3), np.uint8)), np.float32)
    best: tuple[float, Lattice] | None = None
    for lattice in list_lattices(standing, LEAST_PEAK, LEAST_STEP_PX):
        median, count = _rate(near, lattice)
        if median > LEAST_MEDIAN and median * count**0.5 > max(LEAST_TOGETHER, best[0] if best else 0):
            best = (median * count**0.5, lattice)
    fitted = None if best is None else fit_lattice(standing, best[1], LEAST_MEDIAN)
    return None if best is None or fitted is None else (best[0], fitted)


def _rate(near: FloatArray, lattice: Lattice) -> tuple[float, int]:
    """(how far half of a lattice's moves stand out, their number); (0, 0) where they are too few."""
    moves = list_moves(lattice, near.shape)[1]
    if len(moves) < FEWEST_MOVES:
        return 0.0, 0
    columns = np.round(moves[:, 0]).astype(int) + near.shape[1] // 2
    rows = np.round(moves[:, 1]).astype(int) + near.shape[0] // 2
    return float(np.median(near[rows, columns])), len(moves)


def draw_repeated(picture: FloatArray, lattice: Lattice) -> FloatArray | None:
    """(h, w): TOLD where the copies on a lattice, laid on each other, show a mark; None where they do not.

    picture: (h, w, 3) in [0, 1]. What fewer than four of them show is nothing.
    """
    height, width = picture.shape[:2]
    corners = np.array([(0, 0), lattice.first, lattice.second, lattice.first + lattice.second])
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    size = (int(np.ceil(right - left)) + 1, int(np.ceil(bottom - top)) + 1)
    copies = Copies(lattice, float(left), float(top), *size, np.zeros(2))
    _, places = copies.list_windows(height, width, LEAST_INSIDE)
    fields = copies.cut_out(draw_field(picture, MANNER), places, repeated=False)
    inside = copies.cut_out(np.ones((height, width), np.float32), places, repeated=False)
    outline = find_outline(fields, inside) & (np.sum(inside, axis=0) >= FEWEST_COPIES)
    if not outline.any():
        return None
    covered = cover_outline(extend_outline(outline, fields, inside), CLOSE_PX, GROW_PX)
    return copies.lay(TOLD * covered[..., None].astype(np.float32), height, width)


def _correlate(field: FloatArray) -> tuple[FloatArray, BoolArray]:
    """(how an (h, w, 2) field agrees with itself moved, (2h - 1, 2w - 1); where enough of it overlaps)."""
    height, width = field.shape[:2]
    size = (cv2.getOptimalDFTSize(2 * height), cv2.getOptimalDFTSize(2 * width))
    power = np.zeros((size[0], size[1] // 2 + 1), np.float32)
    for plane in np.moveaxis(field, 2, 0):
        transformed = np.fft.rfft2(plane, size)
        power += (transformed.real**2 + transformed.imag**2).astype(np.float32)
    together = np.fft.irfft2(power, size)
    rows, columns = np.arange(1 - height, height), np.arange(1 - width, width)
    count = np.outer(height - np.abs(rows), width - np.abs(columns)).astype(np.float32)
    energy = max(float((field * field).sum()) / (height * width), 1e-9)
    agreement = together[np.ix_(rows, columns)].astype(np.float32) / (count * energy)
    overlaps = count >= LEAST_OVERLAP * height * width
    return np.where(overlaps, agreement, 0).astype(np.float32), overlaps


def _stand_out(agreement: FloatArray, overlaps: BoolArray) -> FloatArray:
    """How far each move stands out from those round it, in their standard deviations."""
    counted = overlaps.astype(np.float32)
    square = (USUAL_PX, USUAL_PX)
    share = np.maximum(cv2.blur(counted, square), 1e-3)
    apart = (agreement - cv2.blur(agreement, square) / share) * counted
    spread = np.sqrt(np.maximum(cv2.blur(apart * apart, square), 0) / share) + LEAST_SPREAD
    return np.asarray(apart / spread, np.float32)
