"""Whether strokes look laid over a photograph, by what the estimate of a mark's opacity says of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.separate import separate
from cleanplate.structures import BoolArray, FloatArray

#: A layer of one opacity and few colours must explain the strokes better than the surroundings alone by so
#: many nats a pixel, and to so many times the expected error. Source: RapidOCR's boxes on 140 marked
#: validation photographs: these keep both overlays of which the finder had but a hint, and one of five texts
#: of the scene. By themselves they say little: a number plate is even and crisp too.
LEAST_EVIDENCE = 4.5
MOST_MISFIT = 4.0
#: Context round the strokes: their own height, within these.
LEAST_CONTEXT_PX, MOST_CONTEXT_PX = 16, 48
FEWEST_INNER_PX = 12


def looks_laid_over(rgb_u8: NDArray[np.uint8], strokes: BoolArray) -> bool:
    """Whether one layer, see-through or opaque and even, explains the strokes.

    rgb_u8: (H, W, 3), the photograph. strokes: (H, W) bool.

    >>> rng = np.random.default_rng(0)
    >>> picture = cv2.GaussianBlur(rng.integers(0, 256, (60, 90, 3)).astype(np.uint8), (0, 0), 3)
    >>> strokes = np.zeros((60, 90), bool)
    >>> strokes[20:40, 20:26] = strokes[20:40, 50:56] = strokes[28:34, 20:56] = True
    >>> marked = np.where(strokes[..., None], 0.4 * picture + 0.6 * 255, picture).astype(np.uint8)
    >>> looks_laid_over(marked, strokes), looks_laid_over(picture, strokes)
    (True, False)
    """
    if not strokes.any():
        return False
    part = _choose_part(strokes)
    matte = _soften(strokes[part])
    apart = separate((rgb_u8[part] / np.float32(255)).astype(np.float32), matte)
    sizes = np.bincount(apart.labels.ravel(), minlength=len(apart.groups) + 1)
    largest = max(apart.groups, key=lambda group: int(sizes[group.label]), default=None)
    if largest is None or largest.fit is None:
        return False
    return largest.fit.evidence >= LEAST_EVIDENCE and largest.fit.misfit <= MOST_MISFIT


def _choose_part(strokes: BoolArray) -> tuple[slice, slice]:
    rows, columns = np.nonzero(strokes)
    size = int(min(np.ptp(rows), np.ptp(columns))) + 1
    context = min(max(size, LEAST_CONTEXT_PX), MOST_CONTEXT_PX)
    return (
        slice(max(0, int(rows.min()) - context), int(rows.max()) + context + 1),
        slice(max(0, int(columns.min()) - context), int(columns.max()) + context + 1),
    )


def _soften(strokes: BoolArray) -> FloatArray:
    """A matte of strokes that are drawn one pixel too wide, unless too little would be left of them."""
    thin = cv2.erode(strokes.astype(np.uint8), np.ones((3, 3), np.uint8))
    drawn = thin if np.count_nonzero(thin) >= FEWEST_INNER_PX else strokes.astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 0.7), np.float32)
