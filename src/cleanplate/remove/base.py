"""What every remover is, and what it gets and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cleanplate.models.request import Attempt
from cleanplate.structures import BoolArray, Box, FloatArray, Quantisation, Region


@dataclass(frozen=True, eq=False)
class Crop:
    """A piece of one photograph at native resolution, with context round its marks.

    rgb: (h, w, 3) float32 in [0, 1]. probability: (h, w) float32 in [0, 1], the finder's, resampled to native
    resolution. mask: (h, w) bool, what the finder takes for marked. box: where the crop lies in its
    photograph. given: whether the mask was given, not found: then all of it is to be rewritten. own: (h, w)
    bool, the pixels that no overlapping crop is nearer to; None: no crop overlaps this one. quantisation: how
    coarsely the photograph's file was rounded; None for formats other than JPEG. enlarged: so many times its
    size, from 1, is it best shown to a restorer, whose answer is wanted at its own size all the same.
    """

    rgb: FloatArray
    probability: FloatArray
    mask: BoolArray
    box: Box
    given: bool = False
    own: BoolArray | None = None
    quantisation: Quantisation | None = None
    enlarged: float = 1.0


@dataclass(frozen=True, eq=False)
class Removal:
    """A crop without its marks.

    rgb: (h, w, 3) float32 in [0, 1]. changed: (h, w) bool; outside it `rgb` is not used.
    regions: what was done where, boxes in the photograph's coordinates. filled: (h, w) bool, the part of
    `changed` that holds nothing but what its surroundings suggest, which a better filler may paint anew;
    None: nothing.
    """

    rgb: FloatArray
    changed: BoolArray
    regions: tuple[Region, ...]
    filled: BoolArray | None = None


class Remover(Protocol):
    """Takes marks off crops. `fingerprint` names what the results depend on."""

    @property
    def fingerprint(self) -> str: ...

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:
        """One Removal a crop, in order, or what ended that crop alone. Sizes may differ."""
        ...


@dataclass(frozen=True, eq=False)
class Hole:
    """What a filler gets. rgb: (h, w, 3) float32 in [0, 1]. mask: (h, w) bool, true where it is to paint."""

    rgb: FloatArray
    mask: BoolArray


class Filler(Protocol):
    """Paints what was behind a mark of which nothing shows through.

    fingerprint: names what the results depend on. longest_px: no edge of a hole's picture may be longer.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def longest_px(self) -> int: ...

    def fill(self, holes: Sequence[Hole], attempt: Attempt) -> list[FloatArray | Exception]:
        """One (h, w, 3) float32 picture in [0, 1] a hole, in order, or what ended that hole alone.

        Sizes may differ. Pixels outside a hole's mask need not be kept.
        """
        ...
