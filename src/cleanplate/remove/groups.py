"""Which marked pixels belong to one layer: letters into groups, groups into fits.

A crop can carry several marks of different opacity and colour, and one mark in many pieces. All pieces are
fitted together first; those that a fit of their own explains clearly better leave, and the rest is fitted
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.estimate import (
    HINT_ERROR,
    PIXELS_AS_ONE,
    LayerFit,
    Pixels,
    choose_pixels,
    fit_layer,
    rate_fit,
)
from cleanplate.remove.inpaint import dilate
from cleanplate.structures import BoolArray, FloatArray

#: Pieces closer than this part of their typical height belong together.
GAP_BY_HEIGHT = 0.5
LARGEST_GAP_PX = 24
#: Fewer marked pixels than this are never fitted on their own.
FEWEST_ALONE = 150
#: Nats that a group must gain by a fit of its own to leave the common one.
GAIN_TO_LEAVE = 15.0
MOST_FITS = 12


@dataclass(frozen=True, eq=False)
class Group:
    """Marked pixels that share a layer: their label in the label plane, and the fit if there is one."""

    label: int
    fit: LayerFit | None


def label_groups(support: BoolArray) -> tuple[NDArray[np.int32], int]:
    """(labels (h, w), count): connected marked pixels, near ones joined; 0 where nothing is marked.

    >>> label_groups(np.array([[True, False, True]]))[1]
    1
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(support.astype(np.uint8), connectivity=8)
    heights = np.minimum(stats[1:, cv2.CC_STAT_HEIGHT], stats[1:, cv2.CC_STAT_WIDTH])
    heights = heights[heights >= 3]
    typical = float(np.median(heights)) if len(heights) else 3.0
    gap_px = int(np.clip(round(GAP_BY_HEIGHT * typical), 2, LARGEST_GAP_PX))
    count, labels = cv2.connectedComponents(dilate(support, gap_px).astype(np.uint8), connectivity=8)
    return np.where(support, labels, 0).astype(np.int32), count - 1


def fit_groups(
    pixels: Pixels, labels: NDArray[np.int32], count: int, hints: FloatArray | None = None
) -> list[Group]:
    """A fit for each of `count` groups, common where they agree.

    labels: (n,) the group of every pixel. hints: (n,) opacities that a network thinks of, or None.
    """
    members = list(range(1, count + 1))
    fits: dict[int, LayerFit | None] = {}
    alone: dict[int, LayerFit] = {}
    for _ in range(3):
        if not members:
            break
        inside = np.isin(labels, members)
        common = _fit(pixels, inside, hints)
        if common is None or len(members) == 1:
            fits |= dict.fromkeys(members, common)
            break
        for label in _largest(labels, members):
            if label not in alone:
                own = _fit(pixels, labels == label, hints)
                if own is not None:
                    alone[label] = own
        leaving = [
            m
            for m in members
            if m in alone and _gain(pixels, labels == m, hints, alone[m], common) > GAIN_TO_LEAVE
        ]
        staying = [m for m in members if m not in leaving]
        fits |= dict.fromkeys(staying, common) | {m: alone[m] for m in leaving}
        if not leaving:
            break
        members = staying
    return [Group(label, fits.get(label)) for label in range(1, count + 1)]


def _largest(labels: NDArray[np.int32], members: Sequence[int]) -> list[int]:
    sizes = np.bincount(labels, minlength=max(members) + 1)
    large = [m for m in members if sizes[m] >= FEWEST_ALONE]
    return sorted(large, key=lambda m: -int(sizes[m]))[:MOST_FITS]


def _fit(pixels: Pixels, inside: BoolArray, hints: FloatArray | None) -> LayerFit | None:
    chosen = np.flatnonzero(inside)
    return fit_layer(pixels.take(chosen), _take_hint(hints, chosen))


def _gain(
    pixels: Pixels, inside: BoolArray, hints: FloatArray | None, own: LayerFit, common: LayerFit
) -> float:
    """Nats by which the group's own fit is better, the opacity's hint counted as in the fit."""
    at = np.flatnonzero(inside)
    chosen = choose_pixels(pixels.take(at))
    gain = (rate_fit(own, chosen) - rate_fit(common, chosen)) * len(chosen) / PIXELS_AS_ONE
    hint = _take_hint(hints, at)
    if hint is not None:
        gain += ((common.opacity - hint) ** 2 - (own.opacity - hint) ** 2) / (2 * HINT_ERROR**2)
    return gain


def _take_hint(hints: FloatArray | None, at: NDArray[np.intp]) -> float | None:
    return float(np.median(hints[at])) if hints is not None and len(at) else None
