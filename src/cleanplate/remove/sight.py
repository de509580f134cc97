"""A photograph with a mark taken off by a factor: how much do its gradients look like a photograph's?

Arrays in, numbers out. Source: Student's t at the scale of the gradients near by, as in `gradients`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from cleanplate.remove.gradients import FREEDOM
from cleanplate.remove.shrinkage import TO_RGB
from cleanplate.structures import BoolArray, FloatArray

CHANNELS = 3
#: The t's scale over the mean absolute gradient near by. Source: marked validation photographs, JPEG 92.
SCALE = 0.65
#: The highest opacity that is believed.
MOST_OPACITY = 0.98
#: A rise of the opacity that makes a pixel part of the outline.
OUTLINE = 0.04
#: Pixels of a pair are so far apart: compression softens a mark's edges, but hardly the step across them.
#: And how much more photographs differ over that distance than from pixel to pixel.
SPAN_PX = 3
SPAN_SCALE = 1.7
SHIFTS = ((0, SPAN_PX), (SPAN_PX, 0))
#: Spread of the Gaussian that softens what is compared. Source: of five pairs of span and spread, the one
#: with the best photographs behind marks on 40 training photographs, JPEG 80 to 95.
SOFT_PX = 1.0
#: Standard deviation of what compression adds to a gradient at a mark's edge.
NOISE = 0.008


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture and the mark on it, of one size, both in luma and two colour differences.

    added: (h, w, 3), opacity times colour. stored: (h, w), the opacity as the colour differences have it:
    they may have been stored at half the resolution (see `halving`).

    Looked at are pairs of pixels `SPAN_PX` apart between which the mark's outline runs: how steep the
    photograph is inside the mark against its surroundings says less of the opacity than it seems to. All is
    softened by `SOFT_PX` before, so that what compression did to the edges counts little.
    """

    light: FloatArray
    added: FloatArray
    alpha: FloatArray
    stored: FloatArray
    scale: FloatArray

    @cached_property
    def _outlines(self) -> tuple[BoolArray, ...]:
        soft = _soften(self.alpha)
        least = OUTLINE * max(1e-6, float(soft.max()))
        return tuple(np.abs(_second(soft, s) - _first(soft, s)) > least for s in SHIFTS)

    @cached_property
    def _spreads(self) -> tuple[FloatArray, ...]:
        sums = (_second(self.scale, s) + _first(self.scale, s) for s in SHIFTS)
        pairs = zip(sums, self._outlines, strict=True)
        return tuple((SCALE * SPAN_SCALE * 0.5 * both[outline]) ** 2 for both, outline in pairs)

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return int(sum(np.count_nonzero(outline) for outline in self._outlines))

    def rate(self, factor: float) -> float:
        """The negative log-likelihood of the photograph behind, up to a constant."""
        factor = min(factor, MOST_OPACITY / max(1e-6, float(self.alpha.max()))) if factor > 1 else factor
        growths = np.stack([_grow(self.alpha, factor), *2 * [_grow(self.stored, factor)]], axis=2)
        behind = _soften((self.light - np.float32(factor) * self.added) * growths) @ TO_RGB.T
        grown = _soften(np.exp(np.log(growths).mean(axis=2)))
        total = 0.0
        for shift, outline, spread in zip(SHIFTS, self._outlines, self._spreads, strict=True):
            step = _second(behind, shift)[outline] - _first(behind, shift)[outline]
            one, other = _first(grown, shift)[outline], _second(grown, shift)[outline]
            noisy = spread + np.float32(NOISE**2) * (one * one + other * other)
            cost = (FREEDOM + CHANNELS) / 2 * np.log(FREEDOM * noisy + (step * step).sum(axis=1))
            cost -= FREEDOM / 2 * np.log(noisy) + CHANNELS / 2 * np.log(one * other)
            total += float(cost.sum())
        return total


def _first(plane: FloatArray, shift: tuple[int, int]) -> FloatArray:
    return plane[: plane.shape[0] - shift[0], : plane.shape[1] - shift[1]]


def _second(plane: FloatArray, shift: tuple[int, int]) -> FloatArray:
    return plane[shift[0] :, shift[1] :]


def _soften(plane: FloatArray) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), SOFT_PX), np.float32)


def _grow(alpha: FloatArray, factor: float) -> FloatArray:
    """What an inverse multiplies by."""
    return np.asarray(1 / (1 - np.minimum(alpha * np.float32(factor), np.float32(MOST_OPACITY))), np.float32)
