"""Filling holes with pieces of the picture round them: texture where a membrane is smooth.

Source: Wexler, Shechtman and Irani 2007 (a hole's pixels are what the patches over them vote for, coarse to
fine); Barnes, Shechtman, Finkelstein and Goldman 2009 (the nearest patches by propagation and random search).
Propagation goes by whole-array passes in four directions at halving strides, as it does on graphics cards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.remove.inpaint import fill_with_membrane, shrink_known
from cleanplate.structures import BoolArray, FloatArray

PATCH_PX = 7
HALF_PX = PATCH_PX // 2
#: The pyramid ends where no hole pixel is farther from a known one than this, or where an edge would be less.
SHALLOW_PX = 2.5
LEAST_EDGE_PX = 24
#: Rounds of searching and voting at the coarsest level, how many fewer at each finer one, and the least.
MOST_ROUNDS, FEWER_ROUNDS, LEAST_ROUNDS = 10, 3, 2
#: Strides at which a neighbour's find is handed on.
STRIDES_PX = (4, 1)
#: So many pixels inwards a patch's vote counts half: next to the known pixels it is known best.
TRUST_PX = 4.0
#: The squared difference at this quantile counts as that of a good patch.
GOOD_QUANTILE = 0.75
#: In the very last vote good patches count for more, lest a mean of many blur what they agree on.
LAST_SHARPNESS = 4.0
#: How far outside the hole the fill's tone is compared with the photograph's.
RING_PX = 2
#: Patches that are worked on at once: what fits into a processor's own memory is twice as fast.
CHUNK = 1 << 11

#: (n, 2) rows and columns.
Places = NDArray[np.int32]


def fill_with_patches(rgb: FloatArray, mask: BoolArray, *, seed: int = 0) -> FloatArray:
    """The picture with the masked pixels filled by patches of 7 x 7 pixels from elsewhere in it.

    rgb: (h, w, 3) float32 in [0, 1]. mask: (h, w) bool. Outside the mask the picture is the input's own, and
    the fill meets it without a step in tone. The same seed gives the same result. Where no whole patch is
    known the fill is the membrane.

    >>> stripes = np.tile(np.repeat([0.2, 0.8], 4), 8).astype(np.float32)
    >>> picture = np.broadcast_to(stripes[None, :, None], (64, 64, 3)).copy()
    >>> hole = np.zeros((64, 64), bool)
    >>> hole[20:40, 22:44] = True
    >>> filled = fill_with_patches(np.where(hole[..., None], np.float32(1), picture), hole)
    >>> bool(np.abs(filled - picture).max() < 0.1)
    True
    """
    if not mask.any():
        return rgb
    levels = [_Level.prepare(*pair) for pair in _build_pyramid(rgb, mask)]
    if not len(levels[0].known):
        return fill_with_membrane(rgb, mask)
    while not len(levels[-1].known):
        levels.pop()
    generator = np.random.default_rng(seed)
    coarsest = levels[-1]
    picture = fill_with_membrane(coarsest.picture, coarsest.hole)
    sources = coarsest.draw(len(coarsest.targets), generator)
    for depth, level in enumerate(reversed(levels)):
        if level is not coarsest:
            sources = level.carry_down(levels[len(levels) - depth], sources, generator)
            picture = level.vote(sources, np.zeros(len(sources), np.float32))
        rounds = max(LEAST_ROUNDS, MOST_ROUNDS - FEWER_ROUNDS * depth)
        for number in range(rounds):
            sources, costs = level.search(picture, sources, generator)
            is_last = level is levels[0] and number == rounds - 1
            picture = level.vote(sources, costs, LAST_SHARPNESS if is_last else 1.0)
    return _match_tone(rgb, picture, mask)


@dataclass(frozen=True, eq=False)
class _Level:
    """One level of the pyramid.

    picture: (h, w, 3), hole pixels mean nothing. hole: (h, w). targets: centres of the patches that reach
    into the hole and its ring. index: (h, w) int32, a centre's place among them, -1 elsewhere; with a margin
    of HALF_PX. trust: what each one's vote counts. usable: (h, w), centres of patches that are known whole.
    known: their places.
    """

    picture: FloatArray
    hole: BoolArray
    targets: Places
    index: NDArray[np.int32]
    trust: FloatArray
    usable: BoolArray
    known: Places

    @classmethod
    def prepare(cls, picture: FloatArray, hole: BoolArray) -> _Level:
        near = _grow(hole, HALF_PX + RING_PX)
        targets = _list(near)
        index = np.full((hole.shape[0] + 2 * HALF_PX, hole.shape[1] + 2 * HALF_PX), -1, np.int32)
        index[HALF_PX:-HALF_PX, HALF_PX:-HALF_PX][near] = np.arange(len(targets))
        depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5)[near]
        usable = ~_grow(np.pad(hole, 1, constant_values=True), HALF_PX)[1:-1, 1:-1]
        return cls(
            picture,
            hole,
            targets,
            index,
            np.exp2(-depth / TRUST_PX).astype(np.float32),
            usable,
            _list(usable),
        )

    def draw(self, count: int, generator: np.random.Generator) -> Places:
        """Known patches at random."""
        return self.known[generator.integers(0, len(self.known), count)]

    def carry_down(self, coarser: _Level, sources: Places, generator: np.random.Generator) -> Places:
        """Where the coarser level's patches lie in this one; at random where that one has none."""
        above = np.minimum(self.targets // 2, np.array(coarser.hole.shape) - 1)
        found = coarser.index[above[:, 0] + HALF_PX, above[:, 1] + HALF_PX]
        carried = 2 * sources[np.maximum(found, 0)] + (self.targets - 2 * above)
        fits = (found >= 0) & self._is_usable(carried)
        return np.where(fits[:, None], carried, self.draw(len(carried), generator)).astype(np.int32)

    def search(
        self, picture: FloatArray, sources: Places, generator: np.random.Generator
    ) -> tuple[Places, FloatArray]:
        """(better sources, what they differ by): one pass of propagation and of random search."""
        windows = _view_patches(picture)
        sources = sources.copy()
        costs = _compare(windows, self.targets, sources)
        for candidates, among in self._propose(sources, generator):
            tried = _compare(windows, self.targets[among], candidates)
            better = tried < costs[among]
            sources[among[better]], costs[among[better]] = candidates[better], tried[better]
        return sources, costs

    def vote(self, sources: Places, costs: FloatArray, sharpness: float = 1.0) -> FloatArray:
        """The picture as the sources would have it: each pixel the weighted mean of the patches over it."""
        good = max(float(np.quantile(costs, GOOD_QUANTILE)), 1e-6)
        # one more, of no weight, for the centres that are no targets: they have the index -1
        weights = np.append(self.trust * np.exp(np.maximum(-sharpness * costs / (2 * good), -60)), 0)
        width = self.hole.shape[1]
        shifts = _list(np.ones((PATCH_PX, PATCH_PX), bool)) - HALF_PX
        centre_shifts = shifts @ (width + 2 * HALF_PX, 1)
        place_shifts = shifts @ (width, 1)
        first = np.append(sources @ (width, 1), width * HALF_PX + HALF_PX)
        index, colours = self.index.ravel(), self.picture.reshape(-1, 3)
        voted = self.picture.copy()
        pixels = _list(_grow(self.hole, RING_PX))
        for start in range(0, len(pixels), CHUNK):
            own = pixels[start : start + CHUNK]
            at = index[((own + HALF_PX) @ (width + 2 * HALF_PX, 1))[:, None] - centre_shifts]
            weight = weights[at]
            chosen = colours[first[at] + place_shifts]
            total = np.einsum("nk,nkc->nc", weight, chosen)
            voted[own[:, 0], own[:, 1]] = total / weight.sum(axis=1, keepdims=True)
        return voted

    def _propose(
        self, sources: Places, generator: np.random.Generator
    ) -> Iterator[tuple[Places, NDArray[np.intp]]]:
        """(sources to try, the targets that they are for); `sources` may change between two of them."""
        every = np.arange(len(sources))
        for stride in STRIDES_PX:
            for step in np.array([(0, stride), (stride, 0), (0, -stride), (-stride, 0)], np.int32):
                beside = self.targets - step
                inside = ((beside >= 0) & (beside < self.hole.shape)).all(axis=1)
                beside = np.where(inside[:, None], beside, 0)
                found = self.index[beside[:, 0] + HALF_PX, beside[:, 1] + HALF_PX]
                candidates = sources[np.maximum(found, 0)] + step
                fits = inside & (found >= 0) & self._is_usable(candidates)
                among = np.flatnonzero(fits & (candidates != sources).any(axis=1))
                yield candidates[among], among
        radius = max(self.hole.shape)
        while radius >= 1:
            candidates = sources + generator.integers(-radius, radius + 1, sources.shape, np.int32)
            among = every[self._is_usable(candidates)]
            yield candidates[among], among
            radius //= 2

    def _is_usable(self, places: Places) -> BoolArray:
        clipped = np.clip(places, 0, np.array(self.hole.shape) - 1)
        return np.asarray(self.usable[clipped[:, 0], clipped[:, 1]] & (clipped == places).all(axis=1), bool)


def _build_pyramid(rgb: FloatArray, mask: BoolArray) -> list[tuple[FloatArray, BoolArray]]:
    """Pictures and holes, finest first: half as large each time, until the hole is shallow."""
    levels = [(rgb, mask)]
    values, weight = rgb * ~mask[..., None], (~mask).astype(np.float32)
    hole = mask
    while min(hole.shape) >= 2 * LEAST_EDGE_PX and _measure_depth(hole) > SHALLOW_PX:
        values, weight = shrink_known(values, weight)
        hole = weight < 0.5
        levels.append(((values / np.maximum(weight, 1e-3)[..., None]).astype(np.float32), hole))
    return levels


def _measure_depth(hole: BoolArray) -> float:
    return float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5).max())


def _match_tone(rgb: FloatArray, filled: FloatArray, mask: BoolArray) -> FloatArray:
    """The fill, moved by a membrane spanned between what it differs by from the picture round the hole."""
    ring = _grow(mask, RING_PX) & ~mask
    if not ring.any():
        return np.clip(filled, 0, 1)
    difference = np.where(ring[..., None], rgb - filled, 0).astype(np.float32)
    moved = filled + fill_with_membrane(difference, mask)
    return np.where(mask[..., None], np.clip(moved, 0, 1), rgb).astype(np.float32)


def _view_patches(picture: FloatArray) -> FloatArray:
    """(h, w, 7, 21): the patch round each pixel, its rows whole; mirrored at the picture's edges."""
    padded = np.ascontiguousarray(cv2.copyMakeBorder(picture, *(HALF_PX,) * 4, cv2.BORDER_REFLECT_101))
    height, width, planes = padded.shape
    row, column, plane = padded.strides
    return np.lib.stride_tricks.as_strided(
        padded,
        (height - 2 * HALF_PX, width - 2 * HALF_PX, PATCH_PX, PATCH_PX * planes),
        (row, column, row, plane),
        writeable=False,
    )


def _compare(windows: FloatArray, targets: Places, sources: Places) -> FloatArray:
    """(n,) float32: squared differences of patches, mean over their values."""
    costs = np.empty(len(targets), np.float32)
    for start in range(0, len(targets), CHUNK):
        some = slice(start, start + CHUNK)
        ours = windows[targets[some, 0], targets[some, 1]]
        ours -= windows[sources[some, 0], sources[some, 1]]
        flat = ours.reshape(len(ours), -1)
        costs[some] = np.einsum("ij,ij->i", flat, flat) / flat.shape[1]
    return costs


def _grow(mask: BoolArray, by_px: int) -> BoolArray:
    """The mask grown by a square: what patches of that reach touch."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * by_px + 1,) * 2, np.uint8)), bool)


def _list(mask: BoolArray) -> Places:
    return np.argwhere(mask).astype(np.int32)
