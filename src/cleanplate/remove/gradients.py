"""What gradients of photographs say about a mark that they share.

With `c = 1/b` and `d = a/b` the photograph behind is `I = c*J - d`, linear in what is sought. Its gradients
are those of photographs: Student's t at the scale of the gradients round the mark. For given weights of the t
that is a quadratic in (c, d), less `log c` for every gradient; its sums over the photographs are the same few
planes however many there are, so photographs are streamed and only the sums are kept.

Planes are (h, w) float32 tensors on one device, the unknown is (4, h, w): c, then d by channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cleanplate.structures import BoolArray, FloatArray

#: Degrees of freedom of the t, its scale over the mean absolute gradient near by, and what rounding adds.
#: Source: chosen on marked validation photographs, JPEG 92, folders of 8 and 24.
FREEDOM = 3.0
SCALE = 0.65
NOISE = 0.003
#: How far the outside's gradients are carried into the mask.
SPREAD_SIGMA_PX = 10.0
#: What a value beyond the picture's range counts, squared.
BEYOND_RANGE = 2000.0
#: Neighbours that gradients are taken between: (down, right).
SHIFTS = ((0, 1), (1, 0))
CHANNELS = 3


@dataclass(frozen=True, eq=False)
class Sums:
    """The quadratic: a (6, 3, h', w') tensor for each of SHIFTS, and (5, 3, h, w) for values out of range."""

    gradients: tuple[Tensor, ...]
    beyond: Tensor


def measure_scale(marked: FloatArray, mask: BoolArray) -> FloatArray:
    """(h, w): the mean absolute gradient of (h, w, 3) `marked` near each pixel, from pixels off the mask."""
    known = cv2.erode((~mask).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    steep = np.zeros(mask.shape, np.float32)
    steep[:, :-1] += np.abs(np.diff(marked, axis=1)).mean(axis=2) / 2
    steep[:-1] += np.abs(np.diff(marked, axis=0)).mean(axis=2) / 2
    steep *= known
    overall = float(steep.sum()) / max(float(known.sum()), 1.0)
    near = cv2.GaussianBlur(steep, (0, 0), SPREAD_SIGMA_PX)
    count = cv2.GaussianBlur(known, (0, 0), SPREAD_SIGMA_PX)
    return np.asarray((near + 0.02 * overall) / (count + 0.02), np.float32)


def accumulate(crops_u8: Sequence[NDArray[np.uint8]], scales: Sequence[FloatArray], unknown: Tensor) -> Sums:
    """The sums over all photographs, weighted as the photographs behind look under the present `unknown`."""
    kept, added = unknown[0], unknown[1:]
    height, width = kept.shape
    gradients = [torch.zeros(6, CHANNELS, height - down, width - right, device=kept.device)
                 for down, right in SHIFTS]  # fmt: skip
    beyond = torch.zeros(5, CHANNELS, height, width, device=kept.device)
    for crop, scale in zip(crops_u8, scales, strict=True):
        marked = torch.from_numpy(crop).to(kept.device).permute(2, 0, 1).float() / 255
        behind = marked * kept - added
        spread = torch.from_numpy(scale).to(kept.device)
        for total, shift in zip(gradients, SHIFTS, strict=True):
            weight = _weigh(behind, spread, kept, shift)
            one, other = _first(marked, shift), _second(marked, shift)
            total[0] += weight
            total[1].addcmul_(weight, one)
            total[2].addcmul_(weight, other)
            total[3].addcmul_(weight, one * one)
            total[4].addcmul_(weight, other * other)
            total[5].addcmul_(weight, one * other)
        outside = ((behind < 0) | (behind > 1)).float() * (BEYOND_RANGE / (kept * kept))
        bound = outside * (behind > 0.5)
        beyond += torch.stack([outside, outside * marked, outside * marked**2, bound, bound * marked])
    # The mark's own colour is in range where white never comes from less than white, nor black from more.
    too_light = (kept - added < 1).float() * (BEYOND_RANGE * len(crops_u8) / (kept * kept))
    too_dark = (added < 0).float() * (BEYOND_RANGE * len(crops_u8) / (kept * kept))
    beyond += too_light
    beyond[0] += too_dark
    return Sums(tuple(gradients), beyond)


def solve(unknown: Tensor, sums: Sums, free: Tensor, count: int, rounds: int) -> Tensor:
    """One damped Newton step on the quadratic less the logarithms, by conjugate gradients.

    free: (h, w), 1 where the mark may be and 0 elsewhere. count: of photographs. rounds: of the inner solver.
    """
    logarithms = _count_gradients(free) * (count * CHANNELS / 2)
    curvature = logarithms / unknown[0] ** 2
    precondition = _Preconditioner(sums, curvature)

    def multiply(step: Tensor) -> Tensor:
        product = _multiply(step, sums)
        product[0] += curvature * step[0]
        return product * free

    slope = _multiply(unknown, sums)
    slope[0] -= sums.beyond[4].sum(dim=0) + logarithms / unknown[0]
    slope[1:] += sums.beyond[3]
    step = torch.zeros_like(unknown)
    residual = -slope * free
    towards = precondition(residual) * free
    direction, norm = towards, (residual * towards).sum()
    first = norm
    for _ in range(rounds):
        if float(norm) <= 1e-9 * float(first) or float(norm) <= 0:
            break
        image = multiply(direction)
        length = norm / (direction * image).sum()
        step, residual = step + length * direction, residual - length * image
        towards = precondition(residual) * free
        following = (residual * towards).sum()
        direction, norm = towards + (following / norm) * direction, following
    shrinking = torch.where(step[0] < 0, -0.7 * unknown[0] / step[0].clamp(max=-1e-9), 1.0)
    return unknown + min(1.0, float(shrinking.min())) * step


class _Preconditioner:
    """The inverse of each pixel's own 4 x 4 block, which has the shape of an arrow."""

    def __init__(self, sums: Sums, curvature: Tensor) -> None:
        own, mixed = sums.beyond[0] + 1e-3, -sums.beyond[1]
        kept = curvature + sums.beyond[2].sum(dim=0)
        for planes, shift in zip(sums.gradients, SHIFTS, strict=True):
            for view, weight, product, square in (
                (_first, planes[0], planes[1], planes[3]),
                (_second, planes[0], planes[2], planes[4]),
            ):
                view(kept, shift).add_(square.sum(dim=0))
                view(own, shift).add_(weight)
                view(mixed, shift).sub_(product)
        self.own, self.mixed = own, mixed
        self.kept = torch.maximum(kept - (mixed * mixed / own).sum(dim=0), 1e-4 * kept + 1e-6)

    def __call__(self, residual: Tensor) -> Tensor:
        kept = (residual[0] - (self.mixed * residual[1:] / self.own).sum(dim=0)) / self.kept
        return torch.cat([kept[None], (residual[1:] - self.mixed * kept) / self.own])


def _weigh(behind: Tensor, spread: Tensor, kept: Tensor, shift: tuple[int, int]) -> Tensor:
    """The t's weight for each gradient of one photograph, the same for its channels."""
    squared = ((_first(behind, shift) - _second(behind, shift)) ** 2).sum(dim=0)
    scale = (SCALE * 0.5 * (_first(spread, shift) + _second(spread, shift))) ** 2
    scale = scale + NOISE**2 * (_first(kept, shift) ** 2 + _second(kept, shift) ** 2)
    return (FREEDOM + CHANNELS) / (FREEDOM * scale + squared)


def _multiply(step: Tensor, sums: Sums) -> Tensor:
    """The quadratic's matrix times (4, h, w)."""
    kept, added = step[0], step[1:]
    product = torch.zeros_like(step)
    for planes, shift in zip(sums.gradients, SHIFTS, strict=True):
        weight, one, other, one_squared, other_squared, both = planes
        first, second = _first(kept, shift), _second(kept, shift)
        rise = _first(added, shift) - _second(added, shift)
        _first(product[0], shift).add_((one_squared * first - both * second - one * rise).sum(dim=0))
        _second(product[0], shift).add_((other_squared * second - both * first + other * rise).sum(dim=0))
        force = weight * rise - (one * first - other * second)
        _first(product[1:], shift).add_(force)
        _second(product[1:], shift).sub_(force)
    product[0] += (sums.beyond[2] * kept - sums.beyond[1] * added).sum(dim=0)
    product[1:] += sums.beyond[0] * added - sums.beyond[1] * kept
    return product


def _count_gradients(plane: Tensor) -> Tensor:
    """How many gradients each pixel takes part in."""
    count = torch.zeros_like(plane)
    for shift in SHIFTS:
        _first(count, shift).add_(1)
        _second(count, shift).add_(1)
    return count


def _first(plane: Tensor, shift: tuple[int, int]) -> Tensor:
    return plane[..., : plane.shape[-2] - shift[0], : plane.shape[-1] - shift[1]]


def _second(plane: Tensor, shift: tuple[int, int]) -> Tensor:
    return plane[..., shift[0] :, shift[1] :]
