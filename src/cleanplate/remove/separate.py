"""A crop taken apart: which layer lies where, and the photograph that follows from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.compression import Compression
from cleanplate.remove.estimate import PIXEL_NOISE, LayerFit, Pixels
from cleanplate.remove.groups import Group, fit_groups, label_groups
from cleanplate.remove.inpaint import dilate, estimate_fill_variance, fill_with_membrane
from cleanplate.remove.unblend import Layer, measure_range, merge, merge_compressed, refine_matte
from cleanplate.structures import BoolArray, FloatArray

#: A matte under this is no mark.
MATTE_FLOOR = 0.02
#: The fill starts this far outside the matte.
MARGIN_PX = 1
#: No opacity is known better than this.
LEAST_OPACITY_ERROR = 0.005
#: How much of the variance of neighbouring tints a pixel's own may be off by.
TINT_DOUBT = 1.0
#: A squared residual over its variance from which on a pixel's tint is decided by itself, so that an outline
#: one pixel wide is not outvoted; and what its neighbours count where it is not.
DECISIVE = 200.0
NEIGHBOURS_SAY = 4.0


@dataclass(frozen=True, eq=False)
class Separation:
    """A crop taken apart.

    labels: (h, w) int32, the group of each marked pixel, 0 elsewhere. groups: their fits. layer: what lies
    over the crop, its matte refined, with the variance of that. fill, fill_variance: from the surroundings
    alone. mask: the pixels that may be rewritten. photograph: (h, w, 3), what was behind; the input outside
    the mask.
    """

    labels: NDArray[np.int32]
    groups: tuple[Group, ...]
    layer: Layer
    fill: FloatArray
    fill_variance: FloatArray
    mask: BoolArray
    photograph: FloatArray


def separate(
    marked: FloatArray,
    matte: FloatArray,
    opacity_hint: FloatArray | None = None,
    *,
    compression: Compression | None = None,
    origin: tuple[int, int] = (0, 0),
) -> Separation:
    """Take a crop apart by the shape of its marks.

    marked: (h, w, 3) float32 in [0, 1]. matte: (h, w) float32 in [0, 1]. opacity_hint: (h, w), what a network
    thinks the opacity where the matte is 1 would be, or None. compression: what was done to the file, None
    where that is not known. origin: (left, top) of `marked` on the photograph.
    """
    support = matte > MATTE_FLOOR
    mask = dilate(support, MARGIN_PX)
    fill = fill_with_membrane(marked, mask)
    variance = estimate_fill_variance(marked, mask)
    labels, count = label_groups(support)
    pixels = Pixels(
        marked[support], fill[support], matte[support], variance[support], measure_range(matte)[support]
    )
    hints = opacity_hint[support] if opacity_hint is not None else None
    groups = fit_groups(pixels, labels[support], count, hints)
    layer = _spread_fits(marked, fill, variance, matte, labels, groups)
    refined, matte_variance = _refine(marked, fill, variance, layer, labels, groups)
    layer = dataclasses.replace(layer, matte=refined, matte_variance=matte_variance)
    if compression is None:
        photograph = merge(marked, fill, variance, layer)
    else:
        photograph = merge_compressed(marked, fill, variance, layer, compression, origin)
    photograph = np.where(mask[..., None], photograph, marked).astype(np.float32)
    return Separation(labels, tuple(groups), layer, fill, variance, mask, photograph)


def _spread_fits(
    marked: FloatArray,
    fill: FloatArray,
    variance: FloatArray,
    matte: FloatArray,
    labels: NDArray[np.int32],
    groups: list[Group],
) -> Layer:
    """The layer's planes from the groups' fits. A group without a fit counts as opaque: it is filled."""
    opacity = np.where(labels > 0, 1, 0).astype(np.float32)
    tint = marked.copy()
    opacity_variance, tint_variance = np.zeros_like(opacity), np.zeros_like(opacity)
    for fit, members in _by_fit(groups):
        inside = np.isin(labels, members)
        opacity[inside] = fit.opacity
        opacity_variance[inside] = max(fit.opacity_error, LEAST_OPACITY_ERROR) ** 2
        tint[inside] = fit.tints[0]
        if len(fit.tints) > 1:
            nearest, mixed = _choose_tints(marked, fill, variance, matte, fit, inside)
            tint[inside], tint_variance[inside] = nearest[inside], mixed[inside]
    return Layer(matte, opacity, tint, opacity_variance=opacity_variance, tint_variance=tint_variance)


def _choose_tints(
    marked: FloatArray,
    fill: FloatArray,
    variance: FloatArray,
    matte: FloatArray,
    fit: LayerFit,
    inside: BoolArray,
) -> tuple[FloatArray, FloatArray]:
    """Each pixel's nearest tint of a fit, decided with its neighbours, lest texture speckle it; its variance.

    Where two tints meet, pixels have a mixture of both; the variance there is that of the neighbours' tints.
    """
    kept = 1 - matte * fit.opacity
    rest = marked - kept[..., None] * fill
    expected = kept**2 * variance + PIXEL_NOISE**2
    costs = []
    for tint in fit.tints:
        squares = ((rest - matte[..., None] * tint) ** 2).sum(axis=2) / expected
        own = np.where(inside, np.minimum(squares, DECISIVE), 0).astype(np.float32)
        costs.append(own + NEIGHBOURS_SAY * cv2.blur(own, (3, 3)))
    nearest = fit.tints[np.argmin(np.stack(costs, axis=2), axis=2)].astype(np.float32)
    count = np.maximum(cv2.blur(inside.astype(np.float32), (3, 3)), 1e-3)[..., None]
    own = np.where(inside[..., None], nearest, 0)
    mean, mean_square = cv2.blur(own, (3, 3)) / count, cv2.blur(own**2, (3, 3)) / count
    mixed = np.clip(mean_square - mean**2, 0, None).mean(axis=2)
    return nearest, (TINT_DOUBT * mixed).astype(np.float32)


def _refine(
    marked: FloatArray,
    fill: FloatArray,
    variance: FloatArray,
    layer: Layer,
    labels: NDArray[np.int32],
    groups: list[Group],
) -> tuple[FloatArray, FloatArray]:
    matte, matte_variance = layer.matte, np.zeros_like(layer.matte)
    for _, members in _by_fit(groups):
        where = np.isin(labels, members)
        refined, own_variance = refine_matte(marked, fill, variance, layer, where)
        matte = np.where(where, refined, matte)
        matte_variance = np.where(where, own_variance, matte_variance)
    return matte, matte_variance


def _by_fit(groups: list[Group]) -> list[tuple[LayerFit, list[int]]]:
    """The different fits, each with the labels of the groups that share it."""
    shared: dict[int, tuple[LayerFit, list[int]]] = {}
    for group in groups:
        if group.fit is not None:
            shared.setdefault(id(group.fit), (group.fit, []))[1].append(group.label)
    return list(shared.values())
