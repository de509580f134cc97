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


def ssim(first: NDArray[Any], second: NDArray[Any], peak: float | None = None) -> float:
    """Mean structural similarity of two pictures, in [-1, 1]; channels are compared apart and averaged.

    first, second: (H, W) or (H, W, C), of one shape, at least 11 pixels each way; a margin of 5 pixels, where
    the window would reach over the edge, does not count. peak: as in `psnr`.
    Raises ValueError where the shapes differ or are too small.

    >>> ssim(np.eye(16), np.eye(16))
    1.0
    """
    if first.shape != second.shape:
        raise ValueError(f"the pictures have shapes {first.shape} and {second.shape}; give two of one shape")
    if min(first.shape[:2]) < 2 * WINDOW_RADIUS_PX + 1:
        raise ValueError(f"the pictures have shape {first.shape}; SSIM needs 11 pixels each way")
    if peak is None:
        peak = float(np.iinfo(first.dtype).max) if np.issubdtype(first.dtype, np.integer) else 1.0
    channels = first.shape[2] if first.ndim == 3 else 1
    stacked = (first.reshape(*first.shape[:2], channels), second.reshape(*second.shape[:2], channels))
    scores = [
        _compare_planes(stacked[0][..., c].astype(np.float64), stacked[1][..., c].astype(np.float64), peak)
        for c in range(channels)
    ]
    return float(np.mean(scores))


def _compare_planes(x: NDArray[np.float64], y: NDArray[np.float64], peak: float) -> float:
    c1, c2 = (LUMINANCE_CONSTANT * peak) ** 2, (CONTRAST_CONSTANT * peak) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2)
    )
    inner = slice(WINDOW_RADIUS_PX, -WINDOW_RADIUS_PX)
    return float(similarity[inner, inner].mean())


def _blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    edge = 2 * WINDOW_RADIUS_PX + 1
    blurred = cv2.GaussianBlur(plane, (edge, edge), WINDOW_SIGMA_PX, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float64)
