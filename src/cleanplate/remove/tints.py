"""Parts of an estimated mark that have one tint are given it: estimates from few photographs have clouds.

Marks are drawn with few colours, each as opaque all over. So a colour is better known by what has nearly the
same near by than by a pixel alone, and opacity follows from it: what the mark does to the photographs is much
better known than how colour and opacity share in it. Inside flat parts opacity is evened out as well; strokes
that are nowhere wider than their soft edges keep theirs, each of their pixels is covered by another part.
Arrays in, arrays out.

Source: means over what is alike and near are those of a bilateral filter (Tomasi and Manduchi, ICCV 1998).
The constants were chosen on 17 folders of training photographs, twelve of 8 and five of 24 (31.1 and 32.8 dB
inside the mark without; with it, and less doubt of what it gives, 33.6 and 34.6), and on a mark of which
opacity or colour runs from one side to the other, where means in the place of planes lose up to 4 dB of 28.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.structures import BoolArray, FloatArray

#: What opacities may differ by within one tint, times the root of the count of photographs; what colours may
#: under a mark that lets nothing through, as much more as it lets through less.
ALIKE, ALIKE_COLOURS = 0.25, 0.1
#: How far parts of one tint tell of each other.
NEAR_PX = 80.0
#: Pixels that tell of all others, and fewer where these are many.
MOST_TELLING, MOST_PAIRS = 1500, 200_000_000
#: What keeps planes level: it is added to the variance of places, by what is near. Source: with 0.2 flat
#: marks gain 0.2 dB and colours that run lose 1 to 2.6, with 0.02 flat ones lose 0.3.
STEADY = 0.05
#: A pixel is inside a part where no neighbour is less opaque than this share of the most opaque near by.
#: Source: with 0.6 one folder of thin strokes loses 0.7 dB, with 0.8 one of flat ones 3.
LEAST_SHARE, NEIGHBOUR_PX, NEAR_BY_PX = 0.7, 3, 7
#: Opacities up to this have no colour.
LEAST_COLOURED = 0.05
#: A mark's opacity is the median of what has this share of the most; pixels with the other share of it are
#: surely the mark's own.
BODY_SHARE, SURE_SHARE = 0.3, 0.5
#: How far soft edges reach from them, and how far those of a part take over what was changed in it.
EDGE_PX, EDGE_SIGMA_PX = 2, 1.5
#: What a colour differs from the photographs by, squared, in all channels together, before it is believed to
#: tell of opacity.
LEAST_CONTRAST = 0.02
#: The least that is let through.
LEAST_KEPT = 0.04
#: Pixels that are told at once: it bounds the memory, and is as quick as more at once.
TOLD_TOGETHER = 256


def even_out(
    added: FloatArray, kept: FloatArray, crops_u8: Iterable[NDArray[np.uint8]], count: int
) -> tuple[FloatArray, FloatArray]:
    """(a, b) of a mark with one tint where it has one.

    added, kept: (h, w, 3) and (h, w), `a` and `b` as they were estimated from the `count` crops, which are
    (h, w, 3) and gone through once.

    >>> kept = np.ones((20, 20), np.float32)
    >>> kept[4:16, 4:16] = 0.5 + 0.02 * np.random.default_rng(0).standard_normal((12, 12))
    >>> added = np.repeat(1 - kept[..., None], 3, axis=2)
    >>> crops = [np.full((20, 20, 3), grey, np.uint8) for grey in range(40, 120, 10)]
    >>> bool(even_out(added, kept, crops, 8)[1][6:14, 6:14].std() < 0.2 * kept[6:14, 6:14].std())
    True
    """
    return _even_opacity(*_even_colours(added, kept, crops_u8, count), count)


def _even_colours(
    added: FloatArray, kept: FloatArray, crops_u8: Iterable[NDArray[np.uint8]], count: int
) -> tuple[FloatArray, FloatArray]:
    """Colours are those of what is alike and near; opacity is what then changes the photographs as much."""
    alpha = 1 - kept
    seen = _find_coloured(alpha)
    if not seen.any():
        return added, kept
    own, opacity = added[seen], alpha[seen]
    colours = np.clip(own / opacity[:, None], 0, 1)
    means = _find_means(colours, opacity, _find_places(seen), count)
    told = np.full(len(own), LEAST_CONTRAST * count, np.float32)
    tells = told * opacity
    for crop in crops_u8:
        marked = crop[seen].astype(np.float32) / np.float32(255)
        behind = np.clip((marked - own) / np.maximum(kept[seen], LEAST_KEPT)[:, None], 0, 1)
        contrast = means - behind
        told += (contrast**2).sum(axis=1)
        tells += ((own - opacity[:, None] * behind) * contrast).sum(axis=1)
    evened = np.clip(tells / told, 0, 1 - LEAST_KEPT)
    added, kept = added.copy(), kept.copy()
    added[seen] = evened[:, None] * means
    kept[seen] = 1 - evened
    return added, kept


def _find_coloured(alpha: FloatArray) -> BoolArray:
    """The mark's own pixels and their soft edges: what is faint away from them is noise of any colour."""
    surely = _find_own(alpha).astype(np.uint8)
    near = cv2.dilate(surely, np.ones((2 * EDGE_PX + 1,) * 2, np.uint8)) > 0
    return np.asarray((alpha > LEAST_COLOURED) & near, bool)


def _find_own(alpha: FloatArray) -> BoolArray:
    """(h, w) bool: what is so opaque that it is surely the mark's own."""
    body = alpha[alpha > max(LEAST_COLOURED, BODY_SHARE * float(alpha.max()))]
    if not len(body):
        return np.zeros(alpha.shape, bool)
    return np.asarray(alpha > SURE_SHARE * float(np.median(body)), bool)


def _find_means(colours: FloatArray, opacity: FloatArray, places: FloatArray, count: int) -> FloatArray:
    """(n, 3): of each colour the mean of what is alike and near; opaque pixels count for more."""
    step = _find_step(len(colours))
    others, at = colours[::step], places[::step]
    doubt = ALIKE_COLOURS**2 / count / opacity**2
    weight = opacity[::step] ** 2
    means = np.empty_like(colours)
    for part in _part(len(colours)):
        alike = _square_distances(colours[part], others) / 3
        alike /= 0.5 * (doubt[part, None] + doubt[::step])
        weights = np.exp(-0.5 * (alike + _square_distances(places[part], at))) * weight
        means[part] = _mean(others, weights, colours[part], opacity[part, None] ** 2)
    return means


def _even_opacity(added: FloatArray, kept: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Inside flat parts `a` and `b` are those of what is alike and near; soft edges follow."""
    layer = np.dstack([added, 1 - kept]).astype(np.float32)
    inside = _find_inside(layer[..., 3])
    if not inside.any():
        return added, kept
    values = layer[inside]
    change = np.zeros_like(layer)
    change[inside] = (_find_flat(values, _find_places(inside), count) - values) / values[:, 3:]
    near = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), EDGE_SIGMA_PX)
    carried = cv2.GaussianBlur(change, (0, 0), EDGE_SIGMA_PX) / np.maximum(near, 1e-3)[..., None]
    layer += np.where(inside[..., None], change, carried) * layer[..., 3:]
    return np.ascontiguousarray(layer[..., :3]), np.asarray(1 - layer[..., 3], np.float32)


def _find_inside(alpha: FloatArray) -> BoolArray:
    least = cv2.erode(alpha, np.ones((NEIGHBOUR_PX, NEIGHBOUR_PX), np.uint8))
    most = cv2.dilate(alpha, np.ones((NEAR_BY_PX, NEAR_BY_PX), np.uint8))
    return np.asarray(_find_own(alpha) & (least >= LEAST_SHARE * most), bool)


def _find_flat(values: FloatArray, places: FloatArray, count: int) -> FloatArray:
    """(n, 4): of each (a, opacity) what lies on a plane laid through what is alike and near."""
    scale = np.array([1 / np.sqrt(3)] * 3 + [1], np.float32) * np.float32(np.sqrt(count) / ALIKE)
    step = _find_step(len(values))
    others, at = values[::step], places[::step]
    moments = _find_moments(others, at)
    flat = np.empty_like(values)
    for part in _part(len(values)):
        alike = _square_distances(values[part] * scale, others * scale)
        weights = np.exp(-0.5 * (alike + _square_distances(places[part], at)))
        means = _mean(moments, weights, _find_moments(values[part], places[part]), np.float32(1))
        place, square = means[:, 1:3], means[:, 3:7].reshape(-1, 2, 2)
        value, mixed = means[:, 7:11], means[:, 11:].reshape(-1, 2, 4)
        square = square - place[:, :, None] * place[:, None] + STEADY * np.eye(2, dtype=np.float32)
        slopes = np.linalg.solve(square, mixed - place[:, :, None] * value[:, None])
        flat[part] = value + ((places[part] - place)[:, :, None] * slopes).sum(axis=1)
    return flat


def _find_moments(values: FloatArray, places: FloatArray) -> FloatArray:
    """(n, 19): one, the place, its products, the value, and that times both parts of the place."""
    products = (places[:, :, None] * places[:, None]).reshape(-1, 4)
    return np.hstack(
        [
            np.ones_like(places[:, :1]),
            places,
            products,
            values,
            values * places[:, :1],
            values * places[:, 1:],
        ]
    )


def _find_places(where: BoolArray) -> FloatArray:
    """(n, 2): where they are, by what is near."""
    return np.argwhere(where).astype(np.float32) / np.float32(NEAR_PX)


def _find_step(count: int) -> int:
    """Of so many pixels each so manieth tells of all."""
    telling = min(MOST_TELLING, MOST_PAIRS // max(1, count))
    return -(-count // max(1, telling))


def _part(count: int) -> list[slice]:
    return [slice(start, start + TOLD_TOGETHER) for start in range(0, count, TOLD_TOGETHER)]


def _square_distances(values: FloatArray, others: FloatArray) -> FloatArray:
    """(n, m)."""
    squared = (values**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * (values @ others.T)
    return np.asarray(np.maximum(squared, 0), np.float32)


def _mean(
    values: FloatArray, weights: FloatArray, own: FloatArray, own_weights: FloatArray | np.float32
) -> FloatArray:
    """(n, k) of (m, k) values and (n, m) weights; each one's own value, which may not be among them, counts
    once more, so that what is like no other stays as it is."""
    total = weights.sum(axis=1, keepdims=True) + own_weights
    return np.asarray((weights @ values + own * own_weights) / total, np.float32)
