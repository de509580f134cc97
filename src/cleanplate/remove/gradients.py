"""What gradients of photographs say about a mark that they share.

With `c = 1/b` and `d = a/b` the photograph behind is `I = c*J - d`, linear in what is sought. Its gradients
are those of photographs: Student's t at the scale of the gradients round the mark. For given weights of the t
that is a quadratic in (c, d), less `log c` for every gradient; its sums over the photographs are the same few
planes however many there are, so photographs are streamed and only the sums are kept. What pixels are off by
grows with c, and the t's scale with it: that costs the logarithm of the scale.

Gradients are taken between neighbours and over farther distances too: over these a mark's flat parts, and
what they enclose, are compared with what is known round them.

Planes are (h, w) float32 tensors on one device; a photograph is n of them, the unknown is (1 + n, h, w): c,
then d by channel.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cleanplate.structures import BoolArray, FloatArray

#: Degrees of freedom of the t, and what pixels are off by. Source: 26 folders of 8 and 24 training pictures
#: of 480 and 1500 pixels; 2 and 4, 0.002 and 0.0045 are no better on all of them.
FREEDOM = 3.0
NOISE = 0.003
#: How far the outside's gradients are carried into the mask.
SPREAD_SIGMA_PX = 10.0
#: How far a mask is moved to where gradients are known, how many of them are enough, and how often a scale is
#: fitted anew.
MOVED_PX = 24
FEWEST_ASKED = 500
FIT_ROUNDS = 30
#: What a value beyond the picture's range counts, squared.
BEYOND_RANGE = 2000.0
#: Neighbours: (down, right).
NEIGHBOURS = ((0, 1), (1, 0))
#: Gradients are taken between pixels so far from each other. Source: training photographs, dB inside marks on
#: 18 folders of eight of 480 pixels, five of 24, and three of eight of 1500 pixels: neighbours alone 29.4,
#: 31.9 and 35.6, up to 2 29.6, 32.0 and 35.8, to 4 30.0, 32.1 and 36.1, to 8 30.3, 32.2 and 36.3, to 16 30.6,
#: 32.3 and 36.5, to 32 30.8, 32.2 and 36.6 (growth measured from 16 on, else the usual one).
DISTANCES_PX = (1, 2, 4, 8, 16)
#: What a photograph's pixels differ by grows so much with every doubling of the distance, where it cannot be
#: measured, and what they always differ by.
USUAL_GROWTH = 1.4
LEAST_DIFFERENCE = 1e-4


def find_shifts(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Between which pixels of planes of a size gradients are taken: (down, right), neighbours first.

    >>> find_shifts(12, 6)
    ((0, 1), (1, 0), (0, 2), (2, 0), (4, 0))
    """
    shifts = ((down * px, right * px) for px in DISTANCES_PX for down, right in NEIGHBOURS)
    return tuple(s for s in shifts if sum(s) == 1 or (3 * s[0] <= height and 3 * s[1] <= width))


def measure_scale(marked: FloatArray, mask: BoolArray, sigma_px: float = SPREAD_SIGMA_PX) -> FloatArray:
    """(h, w): the mean absolute gradient of (h, w, n) `marked` near each pixel, from pixels off the mask."""
    known = cv2.erode((~mask).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    steep = np.zeros(mask.shape, np.float32)
    steep[:, :-1] += np.abs(np.diff(marked, axis=1)).mean(axis=2) / 2
    steep[:-1] += np.abs(np.diff(marked, axis=0)).mean(axis=2) / 2
    steep *= known
    overall = float(steep.sum()) / max(float(known.sum()), 1.0)
    near = cv2.GaussianBlur(steep, (0, 0), sigma_px)
    count = cv2.GaussianBlur(known, (0, 0), sigma_px)
    return np.asarray((near + 0.02 * overall) / (count + 0.02), np.float32)


def measure_growth(marked: FloatArray, mask: BoolArray) -> tuple[float, ...]:
    """How many times as much pixels of (h, w, n) `marked` differ as neighbours do, for each of `find_shifts`;
    by pixels off the mask."""
    shifts = find_shifts(*mask.shape)
    means = [_measure_difference(marked, mask, shift) for shift in shifts]
    near = [mean for mean in means[: len(NEIGHBOURS)] if mean is not None]
    grown = []
    for shift, mean in zip(shifts, means, strict=True):
        if sum(shift) == 1:
            grown.append(1.0)
        elif mean is None or not near:
            grown.append(USUAL_GROWTH ** math.log2(sum(shift)))
        else:
            grown.append(max(1.0, (mean + LEAST_DIFFERENCE) / (float(np.mean(near)) + LEAST_DIFFERENCE)))
    return tuple(grown)


def _measure_difference(marked: FloatArray, mask: BoolArray, shift: tuple[int, int]) -> float | None:
    """The mean; None where too few pixels are known."""
    known = ~(_pick(mask, shift, 0) | _pick(mask, shift, 1))
    if np.count_nonzero(known) < FEWEST_ASKED:
        return None
    differences = cv2.absdiff(_pick(marked, shift, 0), _pick(marked, shift, 1))
    by_channel = cv2.mean(differences, known.view(np.uint8))
    return float(np.mean(by_channel[: marked.shape[2]]))


def measure_fit(light: FloatArray, mask: BoolArray) -> float | None:
    """The scale with which a t fits the gradients of a photograph, by what `measure_scale` takes for them.

    light: (h, w) in [0, 1]. They are asked where they are known, beside the mask, as if the mask lay there:
    moved by MOVED_PX. None where that leaves too few of them, or all of it is flat.
    """
    squares = []
    for moved in itertools.product((MOVED_PX, -MOVED_PX), repeat=2):
        held = np.roll(mask, moved, (0, 1)) & ~mask
        scale = measure_scale(light[..., None], mask | held)
        for shift in NEIGHBOURS:
            asked = _pick(held, shift, 0) & _pick(held, shift, 1)
            rise = (_pick(light, shift, 0) - _pick(light, shift, 1))[asked]
            near = 0.5 * (_pick(scale, shift, 0) + _pick(scale, shift, 1))[asked]
            squares.append((rise[near > 0] / near[near > 0]) ** 2)
    asked_of = np.concatenate(squares)
    if len(asked_of) < FEWEST_ASKED or not asked_of.any():
        return None
    square = 1.0
    for _ in range(FIT_ROUNDS):
        square = float(np.mean((FREEDOM + 1) * asked_of / (FREEDOM + asked_of / square)))
    return math.sqrt(square)


def _pick(plane: NDArray[Any], shift: tuple[int, int], which: int) -> NDArray[Any]:
    """Of every pair of neighbours the one before (0) or after (1), as `first` and `second` do of tensors."""
    down, right = shift
    if which:
        return plane[down:, right:]
    return plane[: plane.shape[0] - down, : plane.shape[1] - right]


@dataclass(frozen=True, eq=False)
class Scales:
    """The scales of a photograph's gradients. near: (h, w), those between neighbours. growth: for each of
    `find_shifts` how many times as large they are.
    """

    near: Tensor
    growth: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Sums:
    """The quadratic. gradients: an (6, n, h', w') tensor for each of `find_shifts`. grown: (h, w), what the
    logarithms of the scales cost, by c squared. beyond: (5, n, h, w), for values out of range, in pictures of
    which `is_bounded` says that 0 and 1 are their range. told: the part of a photograph that tells of c.
    """

    gradients: tuple[Tensor, ...]
    grown: Tensor
    beyond: Tensor
    is_bounded: bool
    told: float

    @classmethod
    def start(cls, unknown: Tensor, *, is_bounded: bool, told: float = 1.0) -> Sums:
        """Of no photograph yet."""
        channels, height, width = unknown.shape[0] - 1, *unknown.shape[1:]
        empty = tuple(
            unknown.new_zeros(6, channels, height - down, width - right)
            for down, right in find_shifts(height, width)
        )
        grown, beyond = unknown.new_zeros(height, width), unknown.new_zeros(5, channels, height, width)
        return cls(empty, grown, beyond, is_bounded, told)

    @property
    def shifts(self) -> tuple[tuple[int, int], ...]:
        """Between which pixels gradients are taken, for each of `gradients`."""
        return find_shifts(*self.grown.shape)

    def add(self, marked: Tensor, scales: Scales, unknown: Tensor) -> None:
        """One photograph, weighted as what is behind it looks like under the present `unknown`.

        marked: (n, h, w). scales: of its gradients.
        """
        kept, added = unknown[0], unknown[1:]
        behind = marked * kept - added
        squares, noise = marked.square(), (NOISE * kept).square_()
        for total, shift, growth in zip(self.gradients, self.shifts, scales.growth, strict=True):
            weight = self._weigh(behind, scales.near, growth, noise, shift)
            one, other = first(marked, shift), second(marked, shift)
            product = weight * one
            total[0].add_(weight)
            total[1].add_(product)
            total[2].addcmul_(weight, other)
            total[3].addcmul_(weight, first(squares, shift))
            total[4].addcmul_(weight, second(squares, shift))
            total[5].addcmul_(product, other)
        if self.is_bounded:
            outside = ((behind < 0) | (behind > 1)).float() * (BEYOND_RANGE / (kept * kept))
            bound = outside * (behind > 0.5)
            self.beyond[0].add_(outside)
            self.beyond[1].addcmul_(outside, marked)
            self.beyond[2].addcmul_(outside, squares)
            self.beyond[3].add_(bound)
            self.beyond[4].addcmul_(bound, marked)

    def _weigh(
        self, behind: Tensor, near: Tensor, growth: float, noise: Tensor, shift: tuple[int, int]
    ) -> Tensor:
        """The t's weight for each gradient of one photograph, the same for its channels; what the logarithm
        of its scale costs, less what a larger scale gains, is added to `grown`. noise: of pixels, squared.
        """
        channels = behind.shape[0]
        rise = (first(behind, shift) - second(behind, shift)).square_()
        squared = rise[0] if channels == 1 else rise.sum(dim=0)
        scale = (first(near, shift) + second(near, shift)).mul_(growth / 2).square_()
        scale.add_(first(noise, shift)).add_(second(noise, shift))
        weight = squared.add(scale, alpha=FREEDOM).reciprocal_().mul_(FREEDOM + channels)
        gains = squared.mul_(weight).sub_(channels * self.told).div_(scale)
        first(self.grown, shift).sub_(gains, alpha=NOISE**2)
        second(self.grown, shift).sub_(gains, alpha=NOISE**2)
        return weight

    def keep_mark_in_range(self, unknown: Tensor, count: int) -> None:
        """The mark's own colour is in range where white never comes from less than white, nor black from
        more: told once, after all `count` photographs."""
        kept, added = unknown[0], unknown[1:]
        weight = BEYOND_RANGE * count / (kept * kept)
        self.beyond.add_((kept - added < 1) * weight)
        self.beyond[0] += (added < 0) * weight

    def multiply(self, step: Tensor) -> Tensor:
        """The quadratic's matrix times (1 + n, h, w)."""
        kept, added = step[0], step[1:]
        product = torch.zeros_like(step)
        for planes, shift in zip(self.gradients, self.shifts, strict=True):
            before, after = first(kept, shift), second(kept, shift)
            for plane, of_plane, sums in zip(added, product[1:], planes.unbind(dim=1), strict=True):
                weight, one, other, one_squared, other_squared, both = sums
                rise = first(plane, shift) - second(plane, shift)
                to_first, to_second = first(product[0], shift), second(product[0], shift)
                to_first.addcmul_(one_squared, before).addcmul_(both, after, value=-1)
                to_first.addcmul_(one, rise, value=-1)
                to_second.addcmul_(other_squared, after).addcmul_(both, before, value=-1)
                to_second.addcmul_(other, rise)
                force = rise.mul_(weight).addcmul_(one, before, value=-1).addcmul_(other, after)
                first(of_plane, shift).add_(force)
                second(of_plane, shift).sub_(force)
        product[0] += (self.beyond[2] * kept - self.beyond[1] * added).sum(dim=0)
        product[1:] += self.beyond[0] * added - self.beyond[1] * kept
        return product

    def find_slope(self, unknown: Tensor) -> Tensor:
        """(1 + n, h, w): the quadratic's slope there."""
        slope = self.multiply(unknown)
        slope[0] += self.grown * unknown[0]
        slope[0] -= self.beyond[4].sum(dim=0)
        slope[1:] += self.beyond[3]
        return slope

    def find_blocks(self) -> tuple[Tensor, Tensor, Tensor]:
        """What each pixel's own block of the matrix holds, which has the shape of an arrow: (n, h, w) of d
        by itself and of d by c, (h, w) of c by itself."""
        own, mixed = self.beyond[0] + 1e-3, -self.beyond[1]
        kept = self.beyond[2].sum(dim=0)
        for planes, shift in zip(self.gradients, self.shifts, strict=True):
            for view, weight, product, square in (
                (first, planes[0], planes[1], planes[3]),
                (second, planes[0], planes[2], planes[4]),
            ):
                view(kept, shift).add_(square.sum(dim=0))
                view(own, shift).add_(weight)
                view(mixed, shift).sub_(product)
        return own, mixed, kept


def count_gradients(plane: Tensor) -> Tensor:
    """How many gradients each pixel takes part in.

    >>> count_gradients(torch.zeros(3, 3)).tolist()
    [[2.0, 3.0, 2.0], [3.0, 4.0, 3.0], [2.0, 3.0, 2.0]]
    """
    count = torch.zeros_like(plane)
    for shift in find_shifts(*plane.shape):
        first(count, shift).add_(1)
        second(count, shift).add_(1)
    return count


def first(plane: Tensor, shift: tuple[int, int]) -> Tensor:
    """Of every pair of neighbours the one before."""
    return plane[..., : plane.shape[-2] - shift[0], : plane.shape[-1] - shift[1]]


def second(plane: Tensor, shift: tuple[int, int]) -> Tensor:
    """Of every pair of neighbours the one after."""
    return plane[..., shift[0] :, shift[1] :]
