"""What gradients of photographs say about a mark that they share.

With `c = 1/b` and `d = a/b` the photograph behind is `I = c*J - d`, linear in what is sought. Its gradients
are those of photographs: Student's t at the scale of the gradients round the mark. For given weights of the t
that is a quadratic in (c, d), less `log c` for every gradient; its sums over the photographs are the same few
planes however many there are, so photographs are streamed and only the sums are kept.

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

#: Degrees of freedom of the t, and what rounding adds. Source: chosen on marked validation photographs, JPEG
#: 92, folders of 8 and 24; half and twice as much of each, on training photographs, is no better.
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
#: Neighbours that gradients are taken between: (down, right).
SHIFTS = ((0, 1), (1, 0))


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


def measure_fit(light: FloatArray, mask: BoolArray) -> float | None:
    """The scale with which a t fits the gradients of a photograph, by what `measure_scale` takes for them.

    light: (h, w) in [0, 1]. They are asked where they are known, beside the mask, as if the mask lay there:
    moved by MOVED_PX. None where that leaves too few of them.
    """
    squares = []
    for moved in itertools.product((MOVED_PX, -MOVED_PX), repeat=2):
        held = np.roll(mask, moved, (0, 1)) & ~mask
        scale = measure_scale(light[..., None], mask | held)
        for shift in SHIFTS:
            asked = _pick(held, shift, 0) & _pick(held, shift, 1)
            rise = (_pick(light, shift, 0) - _pick(light, shift, 1))[asked]
            near = 0.5 * (_pick(scale, shift, 0) + _pick(scale, shift, 1))[asked]
            squares.append((rise / near) ** 2)
    asked_of = np.concatenate(squares)
    if len(asked_of) < FEWEST_ASKED:
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
class Sums:
    """The quadratic. gradients: an (6, n, h', w') tensor for each of SHIFTS. beyond: (5, n, h, w), for values
    out of range, in pictures of which `is_bounded` says that 0 and 1 are their range.
    """

    gradients: tuple[Tensor, ...]
    beyond: Tensor
    is_bounded: bool

    @classmethod
    def start(cls, unknown: Tensor, *, is_bounded: bool) -> Sums:
        """Of no photograph yet."""
        channels, height, width = unknown.shape[0] - 1, *unknown.shape[1:]
        empty = tuple(unknown.new_zeros(6, channels, height - down, width - right) for down, right in SHIFTS)
        return cls(empty, unknown.new_zeros(5, channels, height, width), is_bounded)

    def add(self, marked: Tensor, spread: Tensor, unknown: Tensor, noise: float) -> None:
        """One photograph, weighted as what is behind it looks like under the present `unknown`.

        marked: (n, h, w). spread: (h, w), the scale of its gradients. noise: see NOISE.
        """
        kept, added = unknown[0], unknown[1:]
        behind = marked * kept - added
        for total, shift in zip(self.gradients, SHIFTS, strict=True):
            weight = _weigh(behind, spread, kept, noise, shift)
            one, other = first(marked, shift), second(marked, shift)
            total[0] += weight
            total[1].addcmul_(weight, one)
            total[2].addcmul_(weight, other)
            total[3].addcmul_(weight, one * one)
            total[4].addcmul_(weight, other * other)
            total[5].addcmul_(weight, one * other)
        if self.is_bounded:
            outside = ((behind < 0) | (behind > 1)).float() * (BEYOND_RANGE / (kept * kept))
            bound = outside * (behind > 0.5)
            self.beyond.add_(
                torch.stack([outside, outside * marked, outside * marked**2, bound, bound * marked])
            )

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
        for planes, shift in zip(self.gradients, SHIFTS, strict=True):
            weight, one, other, one_squared, other_squared, both = planes
            before, after = first(kept, shift), second(kept, shift)
            rise = first(added, shift) - second(added, shift)
            first(product[0], shift).add_((one_squared * before - both * after - one * rise).sum(dim=0))
            second(product[0], shift).add_((other_squared * after - both * before + other * rise).sum(dim=0))
            force = weight * rise - (one * before - other * after)
            first(product[1:], shift).add_(force)
            second(product[1:], shift).sub_(force)
        product[0] += (self.beyond[2] * kept - self.beyond[1] * added).sum(dim=0)
        product[1:] += self.beyond[0] * added - self.beyond[1] * kept
        return product

    def find_slope(self, unknown: Tensor) -> Tensor:
        """(1 + n, h, w): the quadratic's slope there."""
        slope = self.multiply(unknown)
        slope[0] -= self.beyond[4].sum(dim=0)
        slope[1:] += self.beyond[3]
        return slope

    def find_blocks(self) -> tuple[Tensor, Tensor, Tensor]:
        """What each pixel's own block of the matrix holds, which has the shape of an arrow: (n, h, w) of d
        by itself and of d by c, (h, w) of c by itself."""
        own, mixed = self.beyond[0] + 1e-3, -self.beyond[1]
        kept = self.beyond[2].sum(dim=0)
        for planes, shift in zip(self.gradients, SHIFTS, strict=True):
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
    for shift in SHIFTS:
        first(count, shift).add_(1)
        second(count, shift).add_(1)
    return count


def first(plane: Tensor, shift: tuple[int, int]) -> Tensor:
    """Of every pair of neighbours the one before."""
    return plane[..., : plane.shape[-2] - shift[0], : plane.shape[-1] - shift[1]]


def second(plane: Tensor, shift: tuple[int, int]) -> Tensor:
    """Of every pair of neighbours the one after."""
    return plane[..., shift[0] :, shift[1] :]


def _weigh(behind: Tensor, spread: Tensor, kept: Tensor, noise: float, shift: tuple[int, int]) -> Tensor:
    """The t's weight for each gradient of one photograph, the same for its channels."""
    squared = ((first(behind, shift) - second(behind, shift)) ** 2).sum(dim=0)
    scale = (0.5 * (first(spread, shift) + second(spread, shift))) ** 2
    scale = scale + noise**2 * (first(kept, shift) ** 2 + second(kept, shift) ** 2)
    return (FREEDOM + behind.shape[0]) / (FREEDOM * scale + squared)
