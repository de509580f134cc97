"""The mark under which many photographs look most like photographs, with colours as their files store them.

Lightness is stored at full resolution, so it shows the mark's outline; colours mostly at half, where they
hold means of the mark over neighbours. So lightness asks for `b` pixel by pixel and colours for means of it,
on a grid of half the size: one `b` for all, sharp in the one and smeared in the others, would be neither.

What is sought is (c, d of lightness) at full size and d of two colour differences at half of it (`gradients`
says what c and d are). A damped Newton step, by conjugate gradients, is taken for given weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cleanplate.device.meter import repeating
from cleanplate.remove.gradients import Scales, Sums, count_gradients
from cleanplate.remove.shrinkage import TO_RGB

#: The least that an opacity lets through.
LEAST_KEPT = 0.04
#: What the mark's colour counts out of its range, squared, for each photograph. Source: 500, 2000 and 8000 on
#: 11 folders of training photographs: 33.5, 33.6 and 33.5 dB, without 33.3; 22.9 and 29.7 on the folder for
#: which it decides most.
BEYOND_RANGE = 2000.0
#: Photographs whose gradients are used up by finding d: so many fewer tell of c. Source: on the same folders
#: of 8 photographs 32.7 dB, with none 31.6.
USED_UP = 1
#: Halving smears a photograph's colour, wherever its pairs of pixels begin, over five pixels (1, 4, 6, 4 and
#: 1 sixteenths). Then the mean of a pair has so much of the farther and of the nearer pixel of each pair
#: beside it, and of each of its own two.
PAIRED = (1 / 32, 5 / 32, 10 / 32)
#: The part of the half size's curvature that the preconditioner takes for the full size's.
LUMPED = 0.5


@dataclass(frozen=True, eq=False)
class Grid:
    """How planes of full size are seen at half of it. halved: whether colours were stored so, (across, down);
    where not, they are means of the pixels alone.
    """

    halved: tuple[bool, bool]

    def shrink(self, plane: Tensor) -> Tensor:
        """(h, w), both even, 0 beyond its edges -> (h / 2, w / 2).

        >>> Grid((False, False)).shrink(torch.tensor([[1.0, 0.0], [0.0, 1.0]])).item()
        0.5
        """
        across, down = self.halved
        return _shrink_along(_shrink_along(plane, 0, smears=down), 1, smears=across)

    def spread(self, plane: Tensor) -> Tensor:
        """The transpose: (h / 2, w / 2) -> (h, w)."""
        across, down = self.halved
        return _spread_along(_spread_along(plane, 0, smears=down), 1, smears=across)


def _shrink_along(plane: Tensor, axis: int, *, smears: bool) -> Tensor:
    """Means of pairs along an axis, of what is smeared first or not.

    Sums of views: as a convolution of one channel it takes six times as long.
    """
    even, odd = (plane[0::2], plane[1::2]) if axis == 0 else (plane[:, 0::2], plane[:, 1::2])
    if not smears:
        return (even + odd) / 2
    far, near, own = PAIRED
    count = even.shape[axis] - 1
    mean = own * (even + odd)
    after, before = mean.narrow(axis, 1, count), mean.narrow(axis, 0, count)
    after.add_(even.narrow(axis, 0, count), alpha=far).add_(odd.narrow(axis, 0, count), alpha=near)
    before.add_(even.narrow(axis, 1, count), alpha=near).add_(odd.narrow(axis, 1, count), alpha=far)
    return mean


def _spread_along(plane: Tensor, axis: int, *, smears: bool) -> Tensor:
    """The transpose of `_shrink_along`."""
    even, odd = (plane / 2, plane / 2) if not smears else (PAIRED[2] * plane, PAIRED[2] * plane)
    if smears:
        far, near, _ = PAIRED
        count = plane.shape[axis] - 1
        earlier, later = plane.narrow(axis, 0, count), plane.narrow(axis, 1, count)
        even.narrow(axis, 0, count).add_(later, alpha=far)
        even.narrow(axis, 1, count).add_(earlier, alpha=near)
        odd.narrow(axis, 0, count).add_(later, alpha=near)
        odd.narrow(axis, 1, count).add_(earlier, alpha=far)
    return torch.stack([even, odd], dim=axis + 1).flatten(axis, axis + 1)


@dataclass(frozen=True, eq=False)
class Unknown:
    """What is sought, or a step of it. kept: c, (h, w). light: d of lightness, (1, h, w). colours: (2, h / 2,
    w / 2), d of both colour differences.
    """

    kept: Tensor
    light: Tensor
    colours: Tensor

    def at_full_size(self) -> Tensor:
        """(2, h, w): c and d of lightness."""
        return torch.cat([self.kept[None], self.light])

    def plus(self, other: Unknown, times: float | Tensor = 1.0) -> Unknown:
        """The sum with a multiple of another."""
        return Unknown(
            self.kept + times * other.kept,
            self.light + times * other.light,
            self.colours + times * other.colours,
        )

    def increase(self, other: Unknown, times: float = 1.0) -> None:
        """Add a multiple of another to this one's own planes."""
        self.kept.add_(other.kept, alpha=times)
        self.light.add_(other.light, alpha=times)
        self.colours.add_(other.colours, alpha=times)

    def turn(self, times: float, other: Unknown) -> None:
        """Multiply this one's own planes and add another."""
        self.kept.mul_(times).add_(other.kept)
        self.light.mul_(times).add_(other.light)
        self.colours.mul_(times).add_(other.colours)

    def replace(self, other: Unknown) -> None:
        """Take over another's values."""
        self.kept.copy_(other.kept)
        self.light.copy_(other.light)
        self.colours.copy_(other.colours)

    def masked(self, free: Tensor, free_colours: Tensor) -> Unknown:
        """0 where the mark cannot be."""
        return Unknown(self.kept * free, self.light * free, self.colours * free_colours)

    def dot(self, other: Unknown) -> float:
        """The inner product."""
        pairs = (
            (self.kept, other.kept), (self.light, other.light), (self.colours, other.colours)
        )  # fmt: skip
        return sum(float((one * two).sum()) for one, two in pairs)


@dataclass(frozen=True, eq=False)
class Views:
    """One photograph as it is looked at, and the scales of its gradients.

    light: (1, h, w). colours: (2, h / 2, w / 2).
    """

    light: Tensor
    colours: Tensor
    light_scales: Scales
    colour_scales: Scales


def see_colours(unknown: Unknown, grid: Grid) -> Tensor:
    """(3, h / 2, w / 2): c as the colours have it, and their d."""
    return torch.cat([1 / (1 - grid.shrink(1 - 1 / unknown.kept))[None], unknown.colours])


class Step:
    """The quadratic round an `unknown`, photographs being added one by one; then one step down it.

    free, free_colours: 1 where the mark may be and 0 elsewhere, at both sizes. count: of photographs.
    """

    def __init__(self, unknown: Unknown, grid: Grid, free: Tensor, free_colours: Tensor, count: int) -> None:
        self.unknown, self.grid, self.free, self.free_colours = unknown, grid, free, free_colours
        self.seen = see_colours(unknown, grid)
        told = max(count - USED_UP, 0.5)
        self.light = Sums.start(unknown.at_full_size(), is_bounded=True, told=told / count)
        self.colours = Sums.start(self.seen, is_bounded=False, told=told / count)
        self.logarithms = count_gradients(free) * (told / 2)
        self.colour_logarithms = count_gradients(free_colours) * told
        self.range = _Range(unknown, grid, BEYOND_RANGE * count * free_colours)

    def add(self, views: Views) -> None:
        """One photograph."""
        self.light.add(views.light, views.light_scales, self.unknown.at_full_size())
        self.colours.add(views.colours, views.colour_scales, self.seen)

    def solve(self, rounds: int, check_stop: Callable[[], None] = lambda: None) -> Unknown:
        """The unknown after the step. rounds: of the inner solver. check_stop: see `take_steps`."""
        own = self.unknown
        precondition = _Preconditioner(self)
        step = own.plus(own, -1.0)
        residual = step.plus(self._find_slope(), -1.0).masked(self.free, self.free_colours)
        direction = precondition(residual)
        begun = norm = residual.dot(direction)
        for number in range(rounds):
            if norm <= 1e-9 * begun or norm <= 0:
                break
            check_stop()
            with repeating(number > 0):
                image = self._multiply(direction)
                length = norm / direction.dot(image)
                step.increase(direction, length)
                residual.increase(image, -length)
                towards = precondition(residual)
                following = residual.dot(towards)
                direction.turn(following / norm, towards)
                del image, towards
            norm = following
        shrinking = torch.where(step.kept < 0, -0.7 * own.kept / step.kept.clamp(max=-1e-9), 1.0)
        found = own.plus(step, min(1.0, float(shrinking.min())))
        return Unknown(found.kept.clamp(1.0, 1 / LEAST_KEPT), found.light, found.colours)

    def see(self, kept: Tensor) -> Tensor:
        """What a small change of c is as the colours have it."""
        return self.seen[0] ** 2 * self.grid.shrink(kept / self.unknown.kept**2)

    def see_back(self, kept: Tensor) -> Tensor:
        """The transpose."""
        return self.grid.spread(kept * self.seen[0] ** 2) / self.unknown.kept**2

    def _find_slope(self) -> Unknown:
        light = self.light.find_slope(self.unknown.at_full_size())
        colours = self.colours.find_slope(self.seen)
        kept = light[0] - self.logarithms / self.unknown.kept
        kept = kept + self.see_back(colours[0] - self.colour_logarithms / self.seen[0])
        return Unknown(kept, light[1:], colours[1:]).plus(self.range.find_slope())

    def _multiply(self, step: Unknown) -> Unknown:
        seen = self.see(step.kept)
        light = self.light.multiply(step.at_full_size())
        colours = self.colours.multiply(torch.cat([seen[None], step.colours]))
        kept = light[0] + self.logarithms / self.unknown.kept**2 * step.kept
        kept = kept + self.see_back(colours[0] + self.colour_logarithms / self.seen[0] ** 2 * seen)
        product = Unknown(kept, light[1:], colours[1:]).plus(self.range.multiply(step))
        return product.masked(self.free, self.free_colours)


class _Range:
    """The mark's own colour is in range: at most its opacity, and not less than nothing.

    What it adds is judged in red, green and blue at half the size, where all of them are known.
    """

    def __init__(self, unknown: Unknown, grid: Grid, weight: Tensor) -> None:
        self.unknown, self.grid = unknown, grid
        self.lets_through = 1 / unknown.kept
        self.kept_colours = 1 - grid.shrink(1 - self.lets_through)
        self.to_rgb = torch.from_numpy(TO_RGB).to(unknown.kept)[:, 1:]
        light = grid.shrink(unknown.light[0] * self.lets_through)
        added = light + self._mix(unknown.colours * self.kept_colours)
        self.above, self.below = added - (1 - self.kept_colours), added
        self.too_light, self.too_dark = (self.above > 0) * weight, (self.below < 0) * weight

    @property
    def active(self) -> Tensor:
        """(3, h / 2, w / 2): the weights of what is out of range."""
        return self.too_light + self.too_dark

    def find_slope(self) -> Unknown:
        """Of what it costs."""
        return self._back(self.too_light * self.above, self.too_dark * self.below)

    def multiply(self, step: Unknown) -> Unknown:
        """Its matrix times a step."""
        less = -step.kept * self.lets_through**2
        seen_less = self.grid.shrink(less)
        light = self.grid.shrink(self.lets_through * step.light[0] + self.unknown.light[0] * less)
        added = light + self._mix(self.kept_colours * step.colours + self.unknown.colours * seen_less)
        return self._back(self.too_light * (added + seen_less), self.too_dark * added)

    def square_colours(self) -> Tensor:
        """(2, h / 2, w / 2): the diagonal for the colours' d."""
        return torch.einsum("kj,khw->jhw", self.to_rgb**2, self.active) * self.kept_colours**2

    def _mix(self, colours: Tensor) -> Tensor:
        return torch.einsum("kj,jhw->khw", self.to_rgb, colours)

    def _back(self, above: Tensor, below: Tensor) -> Unknown:
        """The transpose, from red, green and blue at half the size."""
        colours = torch.einsum("kj,khw->jhw", self.to_rgb, above + below)
        light = self.grid.spread((above + below).sum(dim=0))
        seen_less = above.sum(dim=0) + (colours * self.unknown.colours).sum(dim=0)
        kept = -(self.grid.spread(seen_less) + light * self.unknown.light[0]) * self.lets_through**2
        return Unknown(kept, (light * self.lets_through)[None], colours * self.kept_colours)


class _Preconditioner:
    """Each pixel's own block inverted, the colours' taken together with that of the pixels they cover."""

    def __init__(self, step: Step) -> None:
        self.step = step
        kept = step.unknown.kept
        active = step.grid.spread(step.range.active.sum(dim=0))
        self.own, self.mixed, square = step.light.find_blocks()
        square = square + step.logarithms / kept**2
        least = 1e-4 * square + 1e-6
        square = torch.maximum(square - (self.mixed**2 / self.own).sum(dim=0), least)
        self.own = self.own + LUMPED * (active / kept**2)[None]
        self.own_colours, self.mixed_colours, seen = step.colours.find_blocks()
        seen = seen + step.colour_logarithms / step.seen[0] ** 2
        least = 1e-4 * seen + 1e-6
        seen = torch.maximum(seen - (self.mixed_colours**2 / self.own_colours).sum(dim=0), least)
        self.own_colours = self.own_colours + step.range.square_colours()
        lumped = step.see_back(seen * step.see(torch.ones_like(kept)))
        self.square = square + LUMPED * (lumped + active / kept**4)

    def __call__(self, residual: Unknown) -> Unknown:
        step = self.step
        towards = (self.mixed * residual.light / self.own).sum(dim=0)
        seen = (self.mixed_colours * residual.colours / self.own_colours).sum(dim=0)
        kept = (residual.kept - towards - step.see_back(seen)) / self.square * step.free
        light = (residual.light - self.mixed * kept) / self.own
        colours = (residual.colours - self.mixed_colours * step.see(kept)) / self.own_colours
        return Unknown(kept, light, colours).masked(step.free, step.free_colours)


def take_steps(
    unknown: Unknown,
    photographs: Sequence[Views],
    grid: Grid,
    free: tuple[Tensor, Tensor],
    *,
    steps: int,
    rounds: int,
    check_stop: Callable[[], None] = lambda: None,
) -> Unknown:
    """So many steps from where `unknown` starts. free: see `Step`. rounds: of the inner solver, in each.

    check_stop: called for every photograph and round; what it raises ends the work.
    """
    found = Unknown(unknown.kept.clone(), unknown.light.clone(), unknown.colours.clone())
    for number in range(steps):
        with repeating(number > 0):
            _take_step(found, photographs, grid, free, rounds, check_stop)
    return found


def _take_step(
    unknown: Unknown,
    photographs: Sequence[Views],
    grid: Grid,
    free: tuple[Tensor, Tensor],
    rounds: int,
    check_stop: Callable[[], None],
) -> None:
    """One step, which changes the unknown's own planes; nothing else is left of it."""
    step = Step(unknown, grid, *free, len(photographs))
    for number, views in enumerate(photographs):
        check_stop()
        with repeating(number > 0):
            step.add(views)
    step.light.keep_mark_in_range(unknown.at_full_size(), len(photographs))
    unknown.replace(step.solve(rounds, check_stop))
