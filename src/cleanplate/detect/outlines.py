"""Outlines of pictures and marks as fields of gradients, and how well two of them agree.

A field is (h, w, 2) float32: the grey picture's rise to the right and downwards, with its length pressed into
[0, 1): `g / (|g| + SOFT)`. So a strong edge of the scene counts little more than a mark's faint one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.structures import FloatArray, Mark

#: A rise that is pressed to one half, for looking everywhere and for looking closely.
SOFT = 0.02
CLOSE_SOFT = 0.08
#: A pixel of a mark's field shorter than this part of its longest is no outline.
LEAST_OUTLINE = 0.15
#: A mark whose colour differs by less from what is behind it is looked at in grey.
LEAST_APART = 0.1
#: What takes part in a photograph's energy whatever it shows: a flat one must not be divided by nothing.
LEAST_LENGTH = 0.08


@dataclass(frozen=True, slots=True)
class Manner:
    """How fields are drawn. soft: a rise (of the picture's range, a pixel) that is pressed to one half.

    weights: of red, green and blue in what is looked at, absolute values adding up to one.
    signed: whether it matters which side of an edge is the lighter one. A mark of middling colour is lighter
    than one part of a photograph and darker than another; then directions are doubled, which makes both one.
    """

    soft: float = SOFT
    signed: bool = True
    weights: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)


#: One channel against the two others: grey edges cancel.
COLOURS = tuple(
    Manner(weights=weights) for weights in ((0.5, -0.25, -0.25), (-0.25, 0.5, -0.25), (-0.25, -0.25, 0.5))
)


def choose_weights(mark: Mark, behind: FloatArray) -> tuple[float, float, float]:
    """Weights of the channels under which a mark stands out most from a colour `behind` (3,).

    A cyan mark is told best by how much less red it is than it is green and blue: edges of the scene, which
    are grey for the most part, cancel.

    >>> white = Mark(np.ones((1, 1), np.float32), np.ones((1, 1, 3), np.float32))
    >>> [round(weight, 2) for weight in choose_weights(white, np.full(3, 0.5, np.float32))]
    [0.33, 0.33, 0.33]
    """
    share = mark.alpha / max(1e-6, float(mark.alpha.sum()))
    apart = (mark.rgb * share[..., None]).sum(axis=(0, 1)) - behind
    length = float(np.abs(apart).sum())
    if length < LEAST_APART:
        return (1 / 3, 1 / 3, 1 / 3)
    sign = -1 if apart.sum() < 0 else 1
    red, green, blue = (sign * float(value) / length for value in apart)
    return red, green, blue


def draw_field(rgb: FloatArray, manner: Manner = Manner()) -> FloatArray:  # frozen
    """The field of an (h, w, 3) float32 picture in [0, 1].

    >>> draw_field(np.zeros((4, 4, 3), np.float32)).shape
    (4, 4, 2)
    """
    grey = np.ascontiguousarray(rgb @ np.asarray(manner.weights, np.float32))
    right = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    length = np.sqrt(right * right + down * down)
    field = np.empty((*grey.shape, 2), np.float32)
    if manner.signed:
        pressed = 1 / (length + np.float32(manner.soft))
        np.multiply(right, pressed, out=field[..., 0])
        np.multiply(down, pressed, out=field[..., 1])
        return field
    doubled = 1 / np.maximum(length * (length + np.float32(manner.soft)), np.float32(1e-9))
    np.multiply(right * right - down * down, doubled, out=field[..., 0])
    np.multiply(2 * right * down, doubled, out=field[..., 1])
    return field


def draw_outline(
    mark: Mark,
    behind: FloatArray,
    manner: Manner = Manner(),  # frozen
) -> FloatArray:
    """The field of a mark over a plain colour `behind` (3,), zero where it has no outline."""
    alpha = np.pad(mark.alpha, 1)[..., None]
    over = np.pad(mark.rgb, ((1, 1), (1, 1), (0, 0))) * alpha + (1 - alpha) * behind
    field = draw_field(over.astype(np.float32), manner)[1:-1, 1:-1]
    length = np.hypot(field[..., 0], field[..., 1])
    field[length < LEAST_OUTLINE * max(1e-6, float(length.max()))] = 0
    return np.ascontiguousarray(field)


def correlate(field: FloatArray, outline: FloatArray) -> FloatArray:
    """How well an outline agrees with a field at every place: a cosine in [-1, 1] over the outline's pixels.

    field: (H, W, 2), outline: (h, w, 2) and no larger. Returns (H - h + 1, W - w + 1).

    >>> field = draw_field(np.random.default_rng(0).random((20, 20, 3), np.float32))
    >>> cosine = correlate(field, field[4:12, 6:14])
    >>> np.unravel_index(int(cosine.argmax()), cosine.shape) == (4, 6)
    True
    """
    squares = outline[..., 0] ** 2 + outline[..., 1] ** 2
    where = (squares > 0).astype(np.float32)
    lengths = np.maximum(field[..., 0] ** 2 + field[..., 1] ** 2, np.float32(LEAST_LENGTH**2))
    products = cv2.matchTemplate(field, outline, cv2.TM_CCORR)
    energy = cv2.matchTemplate(lengths, where, cv2.TM_CCORR)
    least = LEAST_LENGTH**2 * max(1.0, float(where.sum()))
    together = np.sqrt(np.maximum(energy, least) * max(float(squares.sum()), 1e-6))
    return np.asarray(products / together, np.float32)


def correlate_closely(field: FloatArray, outline: FloatArray) -> FloatArray:
    """The same for places and scales close to each other: a cosine over all of the field.

    It does not favour outlines that leave a part of the photograph's own edges out.
    """
    products = cv2.matchTemplate(field, outline, cv2.TM_CCORR)
    together = np.sqrt(max(float((field * field).sum()) * float((outline * outline).sum()), 1e-9))
    return np.asarray(products / together, np.float32)


def find_top(values: FloatArray) -> float:
    """How far from the middle one of three values their parabola is highest, at most half a step.

    >>> find_top(np.array([0.0, 1.0, 1.0], np.float32))
    0.5
    """
    before, here, after = (float(value) for value in values)
    curve = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / curve, -0.5, 0.5)) if curve < 0 else 0.0


def find_rise(values: FloatArray) -> tuple[float, float]:
    """(where, from the middle of three values, their parabola is highest; how much higher it is there).

    >>> find_rise(np.array([0.0, 1.0, 1.0], np.float32))
    (0.5, 0.125)
    """
    if len(values) < 3:
        return 0.0, 0.0
    at = find_top(values)
    return at, -0.25 * float(values[0] - values[2]) * at


def measure_spread(cosine: FloatArray) -> float:
    """The standard deviation of cosines about zero, whatever a few places have: from their 68 % quantile.

    >>> measure_spread(np.full((9, 9), -0.25, np.float32))
    0.25
    """
    sample = np.abs(cosine).ravel()[:: max(1, cosine.size // 20_000)]
    return max(1e-3, float(np.quantile(sample, 0.683))) if cosine.size > 1 else 1.0
