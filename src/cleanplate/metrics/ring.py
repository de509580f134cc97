"""What is left of a mark's outline: a measure of ghosts, in the ring along its edges.

A removal that misses the mark's soft edge by a pixel leaves a thin bright or dark line there. Over all of a
mark's pixels it hardly counts, but it is what an eye sees first, for it has the mark's shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.structures import BoolArray, FloatArray

#: Half the ring's width: so far from the mark's border, inside and outside, a pixel belongs to it.
RING_PX = 4
#: An opacity at least so high counts as mark, where its border is drawn.
BORDER_OPACITY = 0.02
#: A residual that varies by less than this part of the range has no shape to speak of.
LEAST_RESIDUAL = 1e-6


@dataclass(frozen=True, slots=True)
class RingFigures:
    """The residual in the ring.

    correlation: of its size with the steepness of the mark's edge, in [-1, 1]: 0 where it knows nothing of
    the mark's outline, near 1 where it is the outline. rmse: its root mean square, in the pictures' unit.
    """

    correlation: float
    rmse: float


def measure_ring(
    result: NDArray[Any], truth: NDArray[Any], opacity: FloatArray, peak: float | None = None
) -> RingFigures:
    """How much of a mark's outline a result still shows.

    result, truth: (H, W, 3), of one shape and unit. opacity: (H, W) in [0, 1], the mark's, at every pixel.
    peak: as in `psnr`. The correlation is Pearson's, over the ring's pixels, of the residual's root mean
    square over the channels with the length of the opacity's gradient. Both are NaN where there is no mark.
    Raises ValueError where the shapes differ.

    >>> opacity = np.zeros((32, 32), np.float32)
    >>> opacity[8:24, 8:24] = 0.5
    >>> truth = np.full((32, 32, 3), 0.5)
    >>> outline = cv2.morphologyEx(opacity, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))[..., None]
    >>> measure_ring(truth + 0.1 * outline, truth, opacity).correlation > 0.8
    True
    >>> measure_ring(truth, truth, opacity)
    RingFigures(correlation=0.0, rmse=0.0)
    """
    if result.shape != truth.shape or opacity.shape != truth.shape[:2]:
        shapes = f"{result.shape}, {truth.shape} and {opacity.shape}"
        raise ValueError(f"result, truth and opacity have shapes {shapes}; give three of one size")
    ring = find_ring(opacity)
    if not ring.any():
        return RingFigures(float("nan"), float("nan"))
    if peak is None:
        peak = float(np.iinfo(truth.dtype).max) if np.issubdtype(truth.dtype, np.integer) else 1.0
    difference = result[ring].astype(np.float64) - truth[ring].astype(np.float64)
    squares = (difference**2).mean(axis=1)
    rmse = float(np.sqrt(squares.mean()))
    across = cv2.Sobel(opacity, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(opacity, cv2.CV_32F, 0, 1)
    steepness = np.hypot(across, down)[ring].astype(np.float64)
    residual = np.sqrt(squares)
    if residual.std() < LEAST_RESIDUAL * peak or steepness.std() == 0:
        return RingFigures(0.0, rmse)
    return RingFigures(float(np.corrcoef(residual, steepness)[0, 1]), rmse)


def find_ring(opacity: FloatArray, width_px: int = RING_PX) -> BoolArray:
    """(H, W) bool: the pixels at most `width_px` from the border of the mark, inside or outside.

    >>> opacity = np.zeros((9, 9), np.float32)
    >>> opacity[4, 4] = 1
    >>> int(find_ring(opacity, 1).sum())
    5
    """
    inside = (opacity > BORDER_OPACITY).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width_px + 1, 2 * width_px + 1))
    # a mark that touches the photograph's edge has no border there: what lies beyond counts as both
    return np.asarray(cv2.dilate(inside, disc) > cv2.erode(inside, disc), bool)
