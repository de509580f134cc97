"""Inverting a known layer, and doing it where matte and layer are known only about.

All pictures are (h, w, 3) float32 in [0, 1], planes (h, w) float32. A layer is a plane `opacity` (alpha of
the mark where its matte is 1) and a picture `tint` (alpha*W).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.remove.compression import Compression
from cleanplate.remove.estimate import PIXEL_NOISE
from cleanplate.remove.halving import Halving, divide_halved
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.shrinkage import shrink_noise
from cleanplate.structures import BoolArray, FloatArray

#: The least that is divided by: what is left of the photograph under 2 % is noise.
LEAST_KEPT = 0.02
#: Candidates for how far the matte's edges are off, in half of the matte's range in a 3 x 3 window.
EDGE_ERRORS = (0.05, 0.1, 0.25, 0.5, 1.0)
#: What a matte may be off anywhere near an edge.
MATTE_NOISE = 0.02
FREEDOM = 4
#: What a value outside of the picture's range, squared, counts as error: noise reaches there too.
BEYOND_RANGE = 0.5
#: Cleaning works with blocks so many pixels apart. Source: 112 crops of validation photographs; with 1 it
#: gains 0.147 dB inside marks instead of 0.141 and takes four times as long.
CLEANING_STRIDE = 2
#: So far round the layer is cleaned too: what is faint of a mark's edge lies outside its matte.
RIM_PX = 1
#: An inverse that counts less than this is not cleaned by less.
LEAST_WEIGHT = 1e-3


@dataclass(frozen=True, eq=False)
class Layer:
    """What lies over a crop: matte, opacity and tint (see the module), and what they may be off by.

    matte_variance, opacity_variance, tint_variance: squared errors to expect, (h, w) or one for all.
    """

    matte: FloatArray
    opacity: FloatArray
    tint: FloatArray
    matte_variance: FloatArray | float = 0.0
    opacity_variance: FloatArray | float = 0.0
    tint_variance: FloatArray | float = 0.0


def unblend(marked: FloatArray, layer: Layer) -> FloatArray:
    """Invert a layer: `I = (J - m*tint) / (1 - m*opacity)`; unclipped. Where hardly anything is left, noise.

    >>> one = np.ones((1, 1), np.float32)
    >>> layer = Layer(matte=one, opacity=0.5 * one, tint=np.full((1, 1, 3), 0.5, np.float32))
    >>> float(unblend(np.full((1, 1, 3), 0.75, np.float32), layer)[0, 0, 0])
    0.5
    """
    kept = np.maximum(1 - layer.matte * layer.opacity, LEAST_KEPT)
    return np.asarray((marked - layer.matte[..., None] * layer.tint) / kept[..., None], np.float32)


def measure_range(matte: FloatArray) -> FloatArray:
    """Largest less smallest matte in each pixel's 3 x 3 window: 0 inside and outside, up to 1 at edges."""
    window = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(matte, window) - cv2.erode(matte, window), np.float32)


def refine_matte(
    marked: FloatArray, fill: FloatArray, fill_variance: FloatArray, layer: Layer, where: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """(matte, variance) with the matte's edges moved to where the pixels say they are.

    Near an edge the fill is good, so each pixel shows how much of the mark lies on it. That sight and the
    given matte are weighed by their variances; how far the given one may be off is chosen by likelihood.

    where: the pixels of this layer. Outside it the matte comes back as given, with variance 0.
    """
    contrast = layer.tint - layer.opacity[..., None] * fill
    squared = (contrast**2).sum(axis=2) + 1e-6
    sight = ((marked - fill) * contrast).sum(axis=2) / squared
    kept = 1 - layer.matte * layer.opacity
    sight_variance = (kept**2 * fill_variance + PIXEL_NOISE**2) / squared
    spread = measure_range(layer.matte)
    edge = where & (spread > 0.15)
    error = _choose_edge_error(sight[edge] - layer.matte[edge], sight_variance[edge], spread[edge])
    given_variance = (0.5 * error * spread) ** 2 + MATTE_NOISE**2 * (spread > 0.05)
    trust = np.where(where, given_variance / (given_variance + sight_variance), 0)
    matte = np.clip(layer.matte + trust * (sight - layer.matte), 0, 1)
    return matte.astype(np.float32), (trust * sight_variance).astype(np.float32)


def merge(marked: FloatArray, fill: FloatArray, fill_variance: FloatArray, layer: Layer) -> FloatArray:
    """The inverted layer and the fill, weighed by what each may be wrong by; in [0, 1].

    Inverting amplifies pixel noise and the layer's errors; where little of the photograph is left, or the
    layer is known badly, the fill takes over by itself.
    """
    inverted = unblend(marked, layer)
    return _mix(inverted, fill, _weigh_inverse(inverted, fill, fill_variance, layer))


def merge_compressed(
    marked: FloatArray,
    fill: FloatArray,
    fill_variance: FloatArray,
    layer: Layer,
    compression: Compression,
    origin: tuple[int, int] = (0, 0),
) -> FloatArray:
    """`merge` for a file of which it is known how it was compressed.

    Colours are divided by what was stored of the layer's, and of the result what is no more than the file's
    grown rounding is taken out: less of it where the fill has taken over. origin: (left, top) of `marked` on
    the photograph, in the file's blocks of colour.

    >>> picture, plane = np.full((8, 8, 3), 0.75, np.float32), np.ones((8, 8), np.float32)
    >>> layer = Layer(matte=plane, opacity=0.5 * plane, tint=np.full((8, 8, 3), 0.5, np.float32))
    >>> nearly = Compression(np.full((3, 8, 8), 1e-6, np.float32))
    >>> fill = np.full((8, 8, 3), 0.5, np.float32)
    >>> round(float(merge_compressed(picture, fill, plane, layer, nearly)[4, 4, 0]), 3)
    0.5
    """
    alpha = layer.matte * layer.opacity
    halving = Halving(compression.halved, *origin)
    inverted, changed = divide_halved(marked, alpha, layer.matte[..., None] * layer.tint, halving)
    weight = _weigh_inverse(inverted, fill, fill_variance, layer)
    kept = np.maximum(1 - alpha, LEAST_KEPT) / np.maximum(weight, LEAST_WEIGHT)
    merged = _mix(inverted, fill, weight)
    del inverted  # cleaning takes the most memory
    where = dilate(changed, RIM_PX)
    return shrink_noise(merged, kept, where, compression.rounding, stride=CLEANING_STRIDE)


def _weigh_inverse(
    inverted: FloatArray, fill: FloatArray, fill_variance: FloatArray, layer: Layer
) -> FloatArray:
    """(h, w) in [0, 1]: what the inverse counts beside the fill, by what each may be wrong by."""
    kept = np.maximum(1 - layer.matte * layer.opacity, LEAST_KEPT)
    contrast = np.mean((layer.tint - layer.opacity[..., None] * fill) ** 2, axis=2)
    error = layer.matte_variance * contrast + layer.matte**2 * (
        layer.opacity_variance * contrast / np.maximum(layer.opacity, 0.05) ** 2 + layer.tint_variance
    )
    beyond = np.mean((inverted - np.clip(inverted, 0, 1)) ** 2, axis=2)
    variance = (PIXEL_NOISE**2 + error) / kept**2 + BEYOND_RANGE * beyond
    return np.asarray(fill_variance / (fill_variance + variance), np.float32)


def _mix(inverted: FloatArray, fill: FloatArray, weight: FloatArray) -> FloatArray:
    merged = weight[..., None] * inverted + (1 - weight[..., None]) * fill
    return np.asarray(np.clip(merged, 0, 1), np.float32)


def _choose_edge_error(residual: FloatArray, variance: FloatArray, spread: FloatArray) -> float:
    if len(residual) < 20:
        return 0.25
    likelihoods = []
    for error in EDGE_ERRORS:
        total = variance + MATTE_NOISE**2 + (0.5 * error * spread) ** 2
        surprise = np.log1p(residual**2 / total / FREEDOM)
        likelihoods.append(float((-0.5 * np.log(total) - 0.5 * (FREEDOM + 1) * surprise).mean()))
    return EDGE_ERRORS[int(np.argmax(likelihoods))]
