"""A photograph with a mark taken off by a factor: how much do its gradients look like a photograph's?

Arrays in, numbers out. Source: Student's t at the scale of the gradients near by, as in `gradients`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.gradients import FREEDOM
from cleanplate.remove.shrinkage import TO_RGB
from cleanplate.structures import FloatArray

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

    light, added: (3, h, w), the picture and opacity times colour. plain: (3, h, w), the picture softened
    (see `soften`). alpha, stored: (h, w), the opacity, and as the colour differences have it: they may have
    been stored at half the resolution (see `halving`). scale: (h, w), of the gradients near by.

    Looked at are pairs of pixels `SPAN_PX` apart between which the mark's outline runs: how steep the
    photograph is inside the mark against its surroundings says less of the opacity than it seems to. All is
    softened by `SOFT_PX` before, so that what compression did to the edges counts little.
    """

    light: FloatArray
    plain: FloatArray
    added: FloatArray
    alpha: FloatArray
    stored: FloatArray
    scale: FloatArray

    @cached_property
    def _pairs(self) -> NDArray[np.intp]:
        """(2, n): where in a plane laid flat the first and the second pixel of each pair are."""
        soft = _soften(self.alpha)
        least = OUTLINE * max(1e-6, float(soft.max()))
        width, pairs = soft.shape[1], []
        for down, right in SHIFTS:
            rise = soft[down:, right:] - soft[: soft.shape[0] - down, : width - right]
            row, column = np.nonzero(np.abs(rise) > least)
            pairs.append(np.stack([row * width + column, (row + down) * width + column + right]))
        return np.concatenate(pairs, axis=1)

    @cached_property
    def _spread(self) -> FloatArray:
        one, other = self._look_at(self.scale)
        return np.asarray((SCALE * SPAN_SCALE * 0.5 * (one + other)) ** 2, np.float32)

    @property
    def count(self) -> int:
        """How many pairs there are."""
        return int(self._pairs.shape[1])

    @cached_property
    def unmarked(self) -> float:
        """What `rate` says where there is no mark."""
        return float(self._unmarked_costs.sum())

    def rate(self, factor: float) -> float:
        """The negative log-likelihood of the photograph behind, up to a constant."""
        return float(self._rate_pairs(factor).sum())

    def rate_parts(self, factor: float, count: int) -> FloatArray:
        """(count,): what speaks for the mark in each part of it, in nats a pair, along its longer side.

        Parts have as many pairs each; there are no more parts than pairs.
        """
        height, width = self.alpha.shape
        first = self._pairs[0]
        order = np.argsort(first % width if width >= height else first // width, kind="stable")
        gained = (self._unmarked_costs - self._rate_pairs(factor))[order]
        return np.array([part.mean() for part in np.array_split(gained, min(count, self.count))], np.float32)

    @cached_property
    def _unmarked_costs(self) -> FloatArray:
        return self._cost([self._step(plane) for plane in self.plain], 2.0, 1.0)

    def _rate_pairs(self, factor: float) -> FloatArray:
        """(n,): what each pair adds to `rate`."""
        factor = min(factor, MOST_OPACITY / max(1e-6, float(self.alpha.max()))) if factor > 1 else factor
        growth = _grow(self.alpha, factor)
        stored = growth if self.stored is self.alpha else _grow(self.stored, factor)
        steps = []
        for light, added, grown in zip(self.light, self.added, (growth, stored, stored), strict=True):
            behind = added * np.float32(-factor)
            behind += light
            behind *= grown
            steps.append(self._step(_soften(behind)))
        mean = growth if stored is growth else np.exp(np.log(growth * stored * stored) / CHANNELS)
        one, other = self._look_at(_soften(mean))
        return self._cost(steps, one * one + other * other, one * other)

    def _look_at(self, plane: FloatArray) -> FloatArray:
        return plane.ravel()[self._pairs]

    def _step(self, plane: FloatArray) -> FloatArray:
        one, other = self._look_at(plane)
        return np.asarray(other - one, np.float32)

    def _cost(
        self, steps: list[FloatArray], squares: FloatArray | float, product: FloatArray | float
    ) -> FloatArray:
        """Of all pairs, from their steps (luma and colour differences) and what they grew by."""
        noisy = self._spread + np.float32(NOISE**2) * squares
        squared = np.square(np.tensordot(TO_RGB, np.stack(steps), 1)).sum(axis=0)
        spread = FREEDOM * noisy + squared
        cost = FREEDOM / 2 * np.log(spread / noisy) + CHANNELS / 2 * np.log(spread / product)
        return np.asarray(cost, np.float32)


def _soften(plane: FloatArray) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), SOFT_PX), np.float32)


def soften(planes: FloatArray) -> FloatArray:
    """(n, h, w): each of the planes as it is compared."""
    return np.stack([_soften(plane) for plane in planes])


def _grow(alpha: FloatArray, factor: float) -> FloatArray:
    """What an inverse multiplies by."""
    kept = np.minimum(alpha * np.float32(factor), np.float32(MOST_OPACITY))
    return np.asarray(np.reciprocal(np.subtract(1, kept, out=kept), out=kept), np.float32)
