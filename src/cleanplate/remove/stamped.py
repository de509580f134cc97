"""A known mark on one photograph: how opaque it is there, exactly where it lies, and whether it is there.

With the mark placed and its opacity multiplied by a factor, the photograph behind follows; the gradients of
what follows are those of a photograph (Student's t at the scale of the gradients near by, as in `gradients`)
only where place and factor are right. Arrays in, numbers out; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial

import cv2
import numpy as np

from cleanplate.marks.files import ESTIMATED, FIXED_SIZE
from cleanplate.marks.place import place_mark
from cleanplate.remove.gradients import measure_scale
from cleanplate.remove.halving import Halving
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.shrinkage import TO_YCC
from cleanplate.remove.sight import MOST_OPACITY, Sight, soften
from cleanplate.structures import Box, FloatArray, Mark, Placement

#: What is looked at round the mark.
CONTEXT_PX = 24
#: Factors on the mark's opacity that are believed.
LEAST_FACTOR, MOST_FACTOR = 0.2, 1.8
#: A factor near the highest one is a mark of another kind, or none.
LARGEST_FACTOR = 1.7
#: Most marks are as opaque everywhere as in their file, up to this much (in logarithms); some come from a
#: file of full opacity and are laid on at any. What the first are believed to be of all.
USUAL_SPREAD = 0.07
USUAL_SHARE = 0.85
#: The same of a mark that was estimated from photographs that carry it: what it is like on them is known, but
#: for what the estimate is off by on all. Source: three folders of training photographs.
ESTIMATED_SPREAD = 0.1
ESTIMATED_SHARE = 0.9999
#: Neighbouring pixels tell nearly the same: so many count as one that is independent.
PIXELS_AS_ONE = 25
#: Pixels with an opacity up to this say nothing.
LEAST_OPACITY = 0.01
#: A larger piece of the photograph is looked at shrunk.
MOST_PIXELS = 250_000
#: The mark is there where it explains the gradients by so many nats a pixel of its outline.
LEAST_EVIDENCE = 0.45
#: Where its place stands out from all others by so many deviations, this little is enough: on texture a mark
#: explains little of what is seen. Source: 13 folders of training photographs; without the mark no place
#: stood out by more than 8.4, and from 7 on nothing spoke for it by more than 0.2.
CLEAR_DEVIATIONS, LEAST_SUPPORT = 9.0, 0.05
#: A mark is there as a whole or not at all: no part of it, of so many along its longer side, may be spoken
#: against by so many nats. Source: 90 photographs with marks of their own, of which two have another one that
#: begins with the same letters: there -1.6 and -1.8; of the 30 that carry one of three marks one has 0.1, the
#: others 0.5 to 11.
PARTS, LEAST_OF_PART = 3, -0.5
#: Steps to a better place that are taken at most, for each size of step.
MOST_STEPS = 6
#: Parts of a pixel that a mark between pixels is moved by, and the one that tells whether it may be one.
STEPS, CLOSE_STEP = (0.5, 0.25, 0.12), 0.25
#: A scale that is not exactly one may be settled.
SCALE_UNSURE = 1e-6
GOLDEN = 0.618034
#: Factors so near to each other rate as a parabola.
CLOSE_FACTOR = 0.01
#: Parabolas that are laid at most.
MOST_PARABOLAS = 8


@dataclass(frozen=True, slots=True)
class Fit:
    """How a mark lies on a photograph. factor: on its opacity. evidence: nats a pixel of its outline.

    weakest: the same of that part of the mark for which least speaks.
    """

    placement: Placement
    factor: float
    evidence: float
    weakest: float

    @property
    def is_there(self) -> bool:
        """Whether the photograph speaks for the mark at all."""
        least = LEAST_SUPPORT if self.is_clear else LEAST_EVIDENCE
        is_whole = self.weakest >= LEAST_OF_PART
        return self.evidence >= least and self.factor < LARGEST_FACTOR and is_whole

    @property
    def is_clear(self) -> bool:
        """Whether its place stands out from all others."""
        return self.placement.deviations >= CLEAR_DEVIATIONS


def fit_mark(
    rgb: FloatArray, mark: Mark, placement: Placement, halved: tuple[bool, bool] = (False, False)
) -> Fit | None:
    """The factor and, where it was not put at whole pixels, the place that explain a photograph best.

    rgb: (H, W, 3) float32 in [0, 1]. placement: right to about a pixel. halved: whether colours were stored
    at half the resolution, (across, down). None: the mark lies outside.
    """
    scene = _Scene.cut(rgb, mark, placement, halved)
    if scene is None:
        return None
    best = scene.fit_factor(placement)
    if best is None or _is_whole(placement):
        return best
    settled = _settle(scene, best)
    return best if settled == placement else scene.fit_factor(settled)


def lay_under(crop: FloatArray, mark: Mark) -> FloatArray:
    """A crop moved and scaled by parts of a pixel, so that the mark on it lies exactly under `mark`.

    crop: (h, w, 3) float32 in [0, 1], the mark's size; its mark lies there to about a pixel.
    """
    scene = _Scene.cut(crop, mark, Placement(0, 0))
    fit = None if scene is None else scene.fit_factor(Placement(0, 0))
    if scene is None or fit is None or not fit.is_there:
        return crop
    place = Placement(0, 0, 1 + SCALE_UNSURE)
    rate = cache(partial(scene.rate, factor=fit.factor))
    for step in STEPS:
        place, _ = _walk(rate, place, partial(_step_between, mark, step=step))
    right, down = (start + 0.5 * place.scale - 0.5 for start in (place.left, place.top))
    affine = np.array([[place.scale, 0, right], [0, place.scale, down]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    size = (crop.shape[1], crop.shape[0])
    moved = cv2.warpAffine(crop, affine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved, 0, 1).astype(np.float32)


def scale_opacity(mark: Mark, factor: float) -> Mark:
    """The mark with its opacity multiplied, up to what is believed.

    >>> one = Mark(np.full((1, 1), 0.5, np.float32), np.ones((1, 1, 3), np.float32))
    >>> float(scale_opacity(one, 1.2).alpha[0, 0])
    0.6000000238418579
    """
    alpha = np.minimum(mark.alpha * factor, MOST_OPACITY)
    if factor > 1 - USUAL_SPREAD:  # what was opaque still is
        alpha = np.where(mark.alpha > MOST_OPACITY, mark.alpha, alpha)
    return replace(mark, alpha=alpha.astype(np.float32))


@dataclass(frozen=True, eq=False)
class _Scene:
    """The photograph round a mark. light: (3, h, w), its luma and colour differences. box: where it was cut.

    scale: (h, w), the gradients near by. shrink: what all are shrunk by where the mark is large. halved: how
    its colours were stored.
    """

    light: FloatArray
    box: Box
    scale: FloatArray
    mark: Mark
    shrink: float
    halved: tuple[bool, bool]

    @classmethod
    def cut(
        cls, rgb: FloatArray, mark: Mark, placement: Placement, halved: tuple[bool, bool] = (False, False)
    ) -> _Scene | None:
        """The scene of a mark; None where it lies outside."""
        height, width = rgb.shape[:2]
        placed = place_mark(mark, placement, height, width)
        if placed is None:
            return None
        shape, inner = placed
        box = inner.grown(CONTEXT_PX, width, height)
        mask = np.zeros((box.height, box.width), bool)
        mask[inner.moved(-box.left, -box.top).slices] = shape.alpha > LEAST_OPACITY
        crop = np.ascontiguousarray(rgb[box.slices])
        shrink = float(min(1.0, np.sqrt(MOST_PIXELS / mask.size)))
        crop, mask = _shrink(crop, shrink), _shrink(mask.astype(np.float32), shrink) > LEAST_OPACITY
        light = _split(np.asarray(cv2.transform(crop, TO_YCC), np.float32))
        return cls(light, box, measure_scale(crop, dilate(mask, 2)), mark, shrink, halved)

    @cached_property
    def plain(self) -> FloatArray:
        """(3, h, w): `light` as it is compared where there is no mark."""
        return soften(self.light)

    def fit_factor(self, placement: Placement) -> Fit | None:
        """The best factor at a place."""
        sight = self.look(placement)
        if sight is None:
            return None
        see, estimated = cache(sight.rate), self.mark.kind in (ESTIMATED, FIXED_SIZE)

        def rate(factor: float) -> float:
            return see(factor) + PIXELS_AS_ONE * _doubt(factor, estimated=estimated)

        grid = [float(factor) for factor in np.geomspace(LEAST_FACTOR, MOST_FACTOR, 12)]
        rated = [rate(factor) for factor in grid]
        at = min(max(int(np.argmin(rated)), 1), len(grid) - 2)
        near = [(grid[place], rated[place]) for place in (at - 1, at, at + 1)]
        found = (_minimise(rate, near, CLOSE_FACTOR), (1.0, rate(1.0)))
        factor, _ = min(found, key=lambda found: found[1])
        evidence = (sight.unmarked - see(factor)) / sight.count
        return Fit(placement, factor, evidence, float(sight.rate_parts(factor, PARTS).min()))

    def look(self, placement: Placement) -> Sight | None:
        """The scene under the mark at a place; None where the mark has no outline in it."""
        moved = replace(placement, left=placement.left - self.box.left, top=placement.top - self.box.top)
        placed = place_mark(self.mark, moved, self.box.height, self.box.width)
        if placed is None:
            return None
        shape, inner = placed
        layers = np.zeros((self.box.height, self.box.width, 4), np.float32)
        layers[inner.slices][..., :3] = cv2.transform(shape.rgb * shape.alpha[..., None], TO_YCC)
        layers[inner.slices][..., 3] = shape.alpha
        halving = Halving(self.halved, self.box.left, self.box.top)
        luma, alpha = (_shrink(np.ascontiguousarray(layers[..., at]), self.shrink) for at in (0, 3))
        rest = halving.store(layers[..., 1:]) if any(self.halved) else layers[..., 1:]
        blue, red, stored = _split(_shrink(np.ascontiguousarray(rest), self.shrink))
        if not any(self.halved):
            stored = alpha
        added = np.stack([luma, blue, red])
        sight = Sight(self.light, self.plain, added, alpha, stored, self.scale)
        return sight if sight.count > 0 else None

    def rate(self, placement: Placement, factor: float) -> float:
        """What a place costs against there being no mark, a pair of pixels."""
        sight = self.look(placement)
        return float("inf") if sight is None else (sight.rate(factor) - sight.unmarked) / sight.count


def _settle(scene: _Scene, best: Fit) -> Placement:
    """The place near by that explains most: at whole pixels and in a whole size, or between them.

    Most marks lie at whole pixels: where no step by part of one explains more, none further off is tried.
    """
    rate, mark = cache(partial(scene.rate, factor=best.factor)), scene.mark
    whole = _walk(rate, _round(mark, best.placement), partial(_step_whole, mark))
    if all(rate(near) >= whole[1] for near in _step_between(mark, whole[0], CLOSE_STEP)):
        return whole[0]
    between = (best.placement, rate(best.placement))
    for step in STEPS:
        between = _walk(rate, between[0], partial(_step_between, mark, step=step))
    return whole[0] if whole[1] <= between[1] else between[0]


def _walk(
    rate: Callable[[Placement], float], start: Placement, list_steps: Callable[[Placement], list[Placement]]
) -> tuple[Placement, float]:
    """(place, cost) where no step explains more."""
    place, cost = start, rate(start)
    for _ in range(MOST_STEPS):
        moved = min(list_steps(place), key=rate)
        if rate(moved) >= cost:
            break
        place, cost = moved, rate(moved)
    return place, cost


def _round(mark: Mark, placement: Placement) -> Placement:
    """The placement at whole pixels, with a whole number of pixels across."""
    width = mark.alpha.shape[1]
    scale = 1.0 if placement.scale == 1 else max(1, round(width * placement.scale)) / width
    left = placement.left + (placement.scale - scale) * width / 2
    top = placement.top + (placement.scale - scale) * mark.alpha.shape[0] / 2
    return replace(placement, left=float(round(left)), top=float(round(top)), scale=scale)


def _step_whole(mark: Mark, place: Placement) -> list[Placement]:
    """A pixel to every side, and a pixel larger or smaller, held at any corner."""
    steps = [
        replace(place, left=place.left + right, top=place.top + down)
        for right, down in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    if place.scale == 1:
        return steps
    for by in (1, -1):
        scale = place.scale + by / mark.alpha.shape[1]
        steps += [
            replace(place, scale=scale, left=place.left - right, top=place.top - down)
            for right in (0, by)
            for down in (0, by)
        ]
    return steps


def _step_between(mark: Mark, place: Placement, step: float) -> list[Placement]:
    """Part of a pixel to every side, and so much larger or smaller."""
    steps = [_nudge(place, name, sign * step, mark) for name in ("left", "top") for sign in (1, -1)]
    if place.scale != 1:
        by = 2 * step / max(mark.alpha.shape)
        steps += [_nudge(place, "scale", sign * by, mark) for sign in (1, -1)]
    return steps


def _split(planes: FloatArray) -> FloatArray:
    """(n, h, w) of (h, w, n), each plane by itself in memory."""
    return np.ascontiguousarray(np.moveaxis(planes, 2, 0), np.float32)


def _shrink(plane: FloatArray, by: float) -> FloatArray:
    if by >= 1:
        return plane
    size = (max(1, round(plane.shape[1] * by)), max(1, round(plane.shape[0] * by)))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _nudge(placement: Placement, name: str, by: float, mark: Mark) -> Placement:
    """The placement with one number changed; a change of scale keeps the mark's middle where it is."""
    if name == "left":
        return replace(placement, left=placement.left + by)
    if name == "top":
        return replace(placement, top=placement.top + by)
    height, width = mark.alpha.shape
    left, top = placement.left - by * width / 2, placement.top - by * height / 2
    return replace(placement, left=left, top=top, scale=placement.scale + by)


def _is_whole(placement: Placement) -> bool:
    return (
        placement.scale == 1
        and placement.left == round(placement.left)
        and placement.top == round(placement.top)
    )


def _doubt(factor: float, *, estimated: bool) -> float:
    """The negative logarithm of how likely a factor is before anything is seen."""
    spread, share = (ESTIMATED_SPREAD, ESTIMATED_SHARE) if estimated else (USUAL_SPREAD, USUAL_SHARE)
    usual = np.exp(-0.5 * (np.log(factor) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    other = 1 / np.log(MOST_FACTOR / LEAST_FACTOR)
    return float(-np.log(share * usual + (1 - share) * other))


def _minimise(
    function: Callable[[float], float], near: list[tuple[float, float]], close: float
) -> tuple[float, float]:
    """(where a function of one hump is least, its value there), by parabolas, else by golden section.

    near: three places in order and their values, between the outer two of which it lies. close: a parabola
    through places so near to each other is believed.

    >>> at, value = _minimise(lambda x: (x - 0.3) ** 2, [(0.0, 0.09), (0.5, 0.04), (1.0, 0.49)], 0.01)
    >>> round(at, 4), round(value, 4)
    (0.3, 0.0)
    """
    for _ in range(MOST_PARABOLAS):
        (low, before), (middle, here), (high, after) = near
        right, left = (middle - low) * (here - after), (middle - high) * (here - before)
        if here > min(before, after) or right == left:
            break
        at = middle - 0.5 * ((middle - low) * right - (middle - high) * left) / (right - left)
        if high - low <= 4 * close:
            return min((at, function(at)), near[1], key=lambda found: found[1])
        if abs(at - middle) < close:  # what is seen from afar is no parabola: look on the farther side
            at = middle + (close if high - middle > middle - low else -close)
        near = sorted([*near, (at, function(at))])
        best = min((1, 2), key=lambda place: near[place][1])
        near = near[best - 1 : best + 2]
    return _section(function, near[0][0], near[2][0], close / 4)


def _section(
    function: Callable[[float], float], low: float, high: float, tolerance: float
) -> tuple[float, float]:
    """The same between two places, by golden section."""
    inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    values = [function(x) for x in inner]
    while high - low > tolerance:
        if values[0] < values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - GOLDEN * (high - low)
            values[0] = function(inner[0])
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + GOLDEN * (high - low)
            values[1] = function(inner[1])
    at = 0 if values[0] < values[1] else 1
    return inner[at], values[at]
