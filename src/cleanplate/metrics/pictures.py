"""Differences of two pictures: root mean square error and signal-to-noise ratio, whole or in a mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanplate.structures import BoolArray

Picture = NDArray[Any]

#: The papers on visible watermarks give root mean square errors in this part of the full range.
PAPERS_UNIT = 256.0


def rmse(first: Picture, second: Picture) -> float:
    """Root of the mean squared difference of two arrays of one shape, in their own unit.

    Raises ValueError where the shapes differ or nothing is there.

    >>> rmse(np.zeros((2, 2, 3)), np.full((2, 2, 3), 0.5))
    0.5
    """
    _want_same_shape(first, second)
    if first.size == 0:
        raise ValueError("the pictures are empty, so they have no mean difference")
    difference = first.astype(np.float64) - second.astype(np.float64)
    return float(np.sqrt(np.mean(difference * difference)))


def masked_rmse(first: Picture, second: Picture, mask: BoolArray) -> float:
    """`rmse` over the pixels where `mask` (H, W) is true; NaN where it is nowhere true.

    >>> masked_rmse(np.zeros((1, 2, 3)), np.ones((1, 2, 3)), np.array([[True, False]]))
    1.0
    """
    _want_same_shape(first, second)
    if mask.shape != first.shape[: mask.ndim]:
        raise ValueError(f"the mask has shape {mask.shape}, the pictures {first.shape}")
    chosen = mask.astype(bool)
    return rmse(first[chosen], second[chosen]) if chosen.any() else float("nan")


def watermark_rmse(first: Picture, second: Picture, mask: BoolArray, *, channels: int = 3) -> float:
    """RMSEw as the papers on visible watermarks give it: inside the mask, in 256ths of the full range.

    first, second: (H, W, 3) floats in [0, 1]. mask: (H, W) bool. channels: what the summed squares are
    divided by besides the mask's pixels: 3 gives the mean over pixels and channels, 1 the mean over pixels of
    the channels' sum, larger by the square root of 3. NaN where the mask is empty.
    Source: `compute_RMSE` in evaluation.py of SLBR's code (bcmi/SLBR-Visible-Watermark-Removal), which takes
    256ths; it comes to 3, for its mean runs over three channels and its mask has one.

    >>> whole = np.ones((2, 2), bool)
    >>> watermark_rmse(np.zeros((2, 2, 3)), np.full((2, 2, 3), 0.5), whole)
    128.0
    >>> round(watermark_rmse(np.zeros((2, 2, 3)), np.full((2, 2, 3), 0.5), whole, channels=1), 1)
    221.7
    """
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels}; wanted: 1 or 3")
    return PAPERS_UNIT * float(np.sqrt(3 / channels)) * masked_rmse(first, second, mask)


def psnr(first: Picture, second: Picture, peak: float | None = None) -> float:
    """Peak signal-to-noise ratio in dB; infinite where the pictures are equal.

    peak: the largest value a pixel can have; None: the largest of an integer dtype, 1.0 for floats.

    >>> round(psnr(np.zeros((4, 4)), np.full((4, 4), 0.1)), 3)
    20.0
    """
    return _to_decibels(rmse(first, second), _find_peak(first, peak))


def masked_psnr(first: Picture, second: Picture, mask: BoolArray, peak: float | None = None) -> float:
    """`psnr` over the pixels where `mask` (H, W) is true; NaN where it is nowhere true."""
    return _to_decibels(masked_rmse(first, second, mask), _find_peak(first, peak))


def _to_decibels(error: float, peak: float) -> float:
    if np.isnan(error):
        return error
    return float("inf") if error == 0 else float(20 * np.log10(peak / error))


def _find_peak(picture: Picture, peak: float | None) -> float:
    if peak is not None:
        return peak
    return float(np.iinfo(picture.dtype).max) if np.issubdtype(picture.dtype, np.integer) else 1.0


def _want_same_shape(first: Picture, second: Picture) -> None:
    if first.shape != second.shape:
        raise ValueError(f"the pictures have shapes {first.shape} and {second.shape}; give two of one shape")
