"""Structural similarity (SSIM).

Source: Wang, Bovik, Sheikh and Simoncelli 2004, with their Gaussian window (sigma 1.5, 11 pixels).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW_SIGMA_PX = 1.5
WINDOW_RADIUS_PX = 5
LUMINANCE_CONSTANT = 0.01
CONTRAST_CONSTANT = 0.03


def ssim(
    first: NDArray[Any], second: NDArray[Any], peak: float | None = None, *, zero_border: bool = False
) -> float:
    """Mean structural similarity of two pictures, in [-1, 1]; channels are compared apart and averaged.

    first, second: (H, W) or (H, W, C), of one shape, at least 11 pixels each way; a margin of 5 pixels, where
    the window would reach over the edge, does not count. peak: as in `psnr`. zero_border: the pictures go on
    as zeros over their edges, and every pixel counts; so do the papers on watermark removal measure.
    Raises ValueError where the shapes differ or are too small.

    >>> ssim(np.eye(16), np.eye(16))
    1.0
    """
    similarity = map_ssim(first, second, peak, zero_border=zero_border)
    inner = slice(None) if zero_border else slice(WINDOW_RADIUS_PX, -WINDOW_RADIUS_PX)
    return float(similarity[inner, inner].mean())


def map_ssim(
    first: NDArray[Any], second: NDArray[Any], peak: float | None = None, *, zero_border: bool = False
) -> NDArray[np.float64]:
    """(H, W): the structural similarity round every pixel, mean over the channels; see `ssim`.

    Without `zero_border` the pictures go on mirrored over their edges.

    >>> float(map_ssim(np.eye(16), np.eye(16)).min())
    1.0
    """
    if first.shape != second.shape:
        raise ValueError(f"the pictures have shapes {first.shape} and {second.shape}; give two of one shape")
    if min(first.shape[:2]) < 2 * WINDOW_RADIUS_PX + 1:
        raise ValueError(f"the pictures have shape {first.shape}; SSIM needs 11 pixels each way")
    if peak is None:
        peak = float(np.iinfo(first.dtype).max) if np.issubdtype(first.dtype, np.integer) else 1.0
    border = cv2.BORDER_CONSTANT if zero_border else cv2.BORDER_REFLECT
    channels = first.shape[2] if first.ndim == 3 else 1
    stacked = (first.reshape(*first.shape[:2], channels), second.reshape(*second.shape[:2], channels))
    total = np.zeros(first.shape[:2], np.float64)
    for c in range(channels):
        x, y = (picture[..., c].astype(np.float64) for picture in stacked)
        total += _compare_planes(x, y, peak, border)
    return total / channels


def _compare_planes(
    x: NDArray[np.float64], y: NDArray[np.float64], peak: float, border: int
) -> NDArray[np.float64]:
    c1, c2 = (LUMINANCE_CONSTANT * peak) ** 2, (CONTRAST_CONSTANT * peak) ** 2
    mean_x, mean_y = _blur(x, border), _blur(y, border)
    variance_x = _blur(x * x, border) - mean_x * mean_x
    variance_y = _blur(y * y, border) - mean_y * mean_y
    covariance = _blur(x * y, border) - mean_x * mean_y
    return ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2)
    )


def _blur(plane: NDArray[np.float64], border: int) -> NDArray[np.float64]:
    edge = 2 * WINDOW_RADIUS_PX + 1
    blurred = cv2.GaussianBlur(plane, (edge, edge), WINDOW_SIGMA_PX, borderType=border)
    return np.asarray(blurred, np.float64)
