"""What a restorer takes for photograph although the mark lies all round it, and it looks like none.

The counters and gaps of a logo's letters are photograph in one mark and part of the next in another, and a
network errs where they are small. A fill is spanned between what is not marked, so that a few white pixels of
a logo, left inside it, spread over all of it as a glow.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.inpaint import dilate, estimate_fill_variance, fill_with_membrane
from cleanplate.structures import BoolArray, FloatArray

#: An island is marked where its squared difference to what the surroundings of the mark would fill it with,
#: over that fill's variance, times the finder's odds for a mark is more than this, and differs by so much.
#: Source: crops of 160 validation photographs, 31 of them under logos with plates and cut-outs (offline, the
#: shipped networks): 17.69 > 17.80 dB inside there, four are better and two worse; 24.11 and 23.01 dB on the
#: others, as before. Half the evidence and 0.15: 17.77, 24.07 and 23.01 dB.
LEAST_EVIDENCE = 8.0
LEAST_DIFFERENCE = 0.2
#: The finder must see a mark there as likely as this.
LEAST_PROBABILITY = 0.15
#: Larger ones the network sees for what they are: one bright window within a letter was lost without this.
MOST_PIXELS = 200


def mark_islands(
    rgb: FloatArray, matte: FloatArray, probability: FloatArray, *, floor: float, margin_px: int
) -> FloatArray:
    """The matte, (h, w) in [0, 1], with small islands in it that are no photograph as marked as the rest.

    rgb: (h, w, 3) in [0, 1]. probability: (h, w), the finder's. floor, margin_px: from which matte on, and
    how far round it, pixels are rewritten.

    >>> logo, grey = np.zeros((40, 40), np.float32), np.full((40, 40, 3), 0.2, np.float32)
    >>> logo[8:32, 8:32], grey[8:32, 8:32] = 1, 0.9
    >>> hole = (slice(16, 24), slice(16, 24))
    >>> logo[hole] = 0
    >>> seen = np.full((40, 40), 0.5, np.float32)
    >>> float(mark_islands(grey, logo, seen, floor=0.02, margin_px=1)[hole].min())
    1.0
    >>> grey[hole] = 0.2  # the same as outside
    >>> float(mark_islands(grey, logo, seen, floor=0.02, margin_px=1)[hole].max())
    0.0
    """
    support = matte > floor
    mask = dilate(support, margin_px)
    labels, islands = _find_islands(mask, probability)
    if not islands.any():
        return matte
    inner = islands[labels]
    hull = mask | inner
    fill = fill_with_membrane(rgb, hull)
    variance = estimate_fill_variance(rgb, hull)
    evidence = ((rgb - fill) ** 2).mean(axis=2) / variance
    likely = np.minimum(_average(probability, labels, inner), 0.999)
    surely = _average(evidence, labels, inner) * likely / (1 - likely) > LEAST_EVIDENCE
    far = _average(np.abs(rgb - fill).mean(axis=2), labels, inner) > LEAST_DIFFERENCE
    marked = (islands & surely & far)[labels]
    if not marked.any():
        return matte
    return np.where(dilate(marked, margin_px + 1) & ~support, 1, matte).astype(np.float32)


def _find_islands(mask: BoolArray, probability: FloatArray) -> tuple[NDArray[np.int32], BoolArray]:
    """(labels (h, w) of what is not masked, which of them are islands that may be marked)."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    numbers = np.asarray(labels, np.int32)
    islands = stats[:, cv2.CC_STAT_AREA] <= MOST_PIXELS
    islands[0] = False
    for border in (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]):
        islands[border] = False
    inner = islands[numbers]
    islands &= _average(probability, numbers, inner) >= LEAST_PROBABILITY
    return numbers, islands


def _average(plane: FloatArray, labels: NDArray[np.int32], where: BoolArray) -> NDArray[np.float64]:
    """The mean of a plane over each label, of the pixels `where`; 0 for labels without one."""
    found = labels[where]
    length = int(labels.max(initial=0)) + 1
    total = np.bincount(found, weights=plane[where], minlength=length)
    return np.asarray(total / np.maximum(np.bincount(found, minlength=length), 1))
