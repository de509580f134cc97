"""The first guess at a shared mark: marked pixels of many photographs regressed on fills of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.inpaint import estimate_fill_variance, fill_with_membrane
from cleanplate.structures import BoolArray, FloatArray

#: What is left of a photograph, `b`, is never guessed to be less.
LEAST_KEPT = 0.04
#: A fill's squared error is never taken for less; it keeps single smooth photographs from deciding alone.
LEAST_VARIANCE = 1e-3
#: Channel values beyond these are saturated and say nothing of a slope.
DARKEST, BRIGHTEST = 0.004, 0.996


def regress_on_fills(crops_u8: Iterable[NDArray[np.uint8]], mask: BoolArray) -> tuple[FloatArray, FloatArray]:
    """(a, b) of `J = a + b*I` at every pixel, from photographs that carry the same mark in the same place.

    crops_u8: (h, w, 3) each, gone through once. mask: (h, w), where the mark may lie; outside it `a` is 0 and
    `b` is 1. a: (h, w, 3), an intercept a channel; b: (h, w), one slope for all channels.

    >>> a, b = regress_on_fills([np.full((8, 8, 3), 90, np.uint8)] * 3, np.zeros((8, 8), bool))
    >>> float(a.max()), float(b.min())
    (0.0, 1.0)
    """
    sums = np.zeros((5, *mask.shape, 3), np.float32)
    for crop in crops_u8:
        marked = np.asarray(crop, np.float32) / np.float32(255)
        fill = fill_with_membrane(marked, mask)
        weight = 1 / (estimate_fill_variance(marked, mask) + LEAST_VARIANCE)
        usable = ((marked > DARKEST) & (marked < BRIGHTEST)).all(axis=2)
        weight = np.where(usable, weight, 0.05 * weight)[..., None]
        terms = (np.ones_like(fill), fill, marked, fill * fill, fill * marked)
        for total, term in zip(sums, terms, strict=True):
            total += weight * term
    count, fills, marks, squares, products = sums
    count = np.maximum(count, 1e-6)
    mean_fill, mean_marked = fills / count, marks / count
    covariance = (products - count * mean_fill * mean_marked).sum(axis=2)
    variance = (squares - count * mean_fill**2).sum(axis=2)
    kept = np.where(mask, np.clip(covariance / np.maximum(variance, 1e-6), LEAST_KEPT, 1), 1)[..., None]
    added = np.where(mask[..., None], np.clip(mean_marked - kept * mean_fill, 0, 1 - kept), 0)
    return added.astype(np.float32), kept[..., 0].astype(np.float32)
