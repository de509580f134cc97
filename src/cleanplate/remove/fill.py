"""What is done with a filler: every mark is filled by it, or only what another remover could but guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cleanplate.images.tiles import TileBlend, even_windows
from cleanplate.models.request import Attempt, Request
from cleanplate.remove.base import Crop, Filler, Hole, Removal
from cleanplate.remove.candidates import find_boxes
from cleanplate.remove.groups import label_groups
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.patchmatch import fill_with_patches
from cleanplate.remove.seam import blend_margin, match_tone
from cleanplate.structures import BoolArray, Box, FloatArray, Method, Region

#: A found mask ends at the mark's edge, which is soft. A given one is taken as it is.
GROW_PX = 3
#: What a filler sees round a hole: what IOPaint shows its networks.
CONTEXT_PX = 128
#: What neighbouring windows over a long hole share.
OVERLAP_PX = 128
#: Edges of windows are multiples of this where the crop has room, so that several have one size.
ALIGN_PX = 32
#: Host bytes by pixel that searching patches takes: the pyramid, the patches' places and costs.
PATCH_BYTES_BY_PIXEL = 120


@dataclass(frozen=True)
class PatchFiller:
    """Fills holes with patches from round them (the `Filler` protocol): texture, and no network."""

    fingerprint: str = "patchmatch-1"
    longest_px: int = 1536

    def fill(self, holes: Sequence[Hole], attempt: Attempt) -> list[FloatArray | Exception]:
        """One picture a hole, in order, or what ended that hole alone."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for at, hole in enumerate(holes):
            groups[hole.mask.shape[0], hole.mask.shape[1]].append(at)
        filled: dict[int, FloatArray | Exception] = {}
        for shape, places in groups.items():
            answers = attempt(self._ask([holes[at] for at in places], shape))
            filled.update(zip(places, answers, strict=True))
        return [filled[at] for at in range(len(holes))]

    def _ask(self, holes: Sequence[Hole], shape: tuple[int, int]) -> Request[Hole, FloatArray]:
        return Request(
            stage="fill",
            network=None,
            items=holes,
            shape=lambda batch, _tile: (batch, 4, *shape),
            run=lambda items, _tile: [fill_with_patches(hole.rgb, hole.mask) for hole in items],
            item_bytes=shape[0] * shape[1] * PATCH_BYTES_BY_PIXEL,
        )


@dataclass(frozen=True, eq=False)
class FillingRemover:
    """Takes marks off by filling them (the `Remover` protocol). Only masked pixels are rewritten."""

    filler: Filler

    @property
    def fingerprint(self) -> str:
        """The filler's."""
        return f"fill-3:{self.filler.fingerprint}"

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:
        """One Removal a crop, in order, or what ended that crop alone."""
        holes = [
            Hole(crop.rgb, crop.mask if crop.given else dilate(crop.mask, GROW_PX))
            for crop in crops
            if crop.mask.any()
        ]
        answers = iter(zip(holes, self.filler.fill(holes, attempt), strict=True))
        return [
            _finish(crop, *next(answers))
            if crop.mask.any()
            else Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ())
            for crop in crops
        ]


def refill(
    crops: Sequence[Crop], removals: Sequence[Removal | Exception], filler: Filler, attempt: Attempt
) -> list[Removal | Exception]:
    """The crops' removals with what they `filled` painted anew, in order; or what ended one alone.

    A filler sees the crop as the removal has left it, so that no other mark is copied into the hole. What it
    paints fades into that over GROW_PX round the hole, where the mask was found; a given one is kept to.
    """
    finished = list(removals)
    works = {
        at: _Work(removal, 0 if crop.given else GROW_PX, filler.longest_px)
        for at, (crop, removal) in enumerate(zip(crops, removals, strict=True))
        if isinstance(removal, Removal) and removal.filled is not None and removal.filled.any()
    }
    asked = [(at, window) for at, work in works.items() for window in work.list_windows()]
    answers = filler.fill([works[at].cut(window) for at, window in asked], attempt) if asked else []
    for (at, window), answer in zip(asked, answers, strict=True):
        if isinstance(answer, Exception):
            finished[at] = answer
        else:
            works[at].add(window, answer)
    for at, work in works.items():
        if isinstance(finished[at], Removal):
            finished[at] = work.finish()
    return finished


class _Work:
    """One removal that is being painted anew, in windows where it is large."""

    def __init__(self, removal: Removal, grow_px: int, longest_px: int) -> None:
        assert removal.filled is not None  # there is nothing to paint in others
        self.removal = removal
        self.filled = removal.filled
        self.hole = dilate(removal.filled, grow_px)
        height, width = self.hole.shape
        inner = find_boxes(self.hole.astype(np.int32))[1]
        self.around = inner.grown(CONTEXT_PX, width, height).aligned(ALIGN_PX, width, height)
        self.windows = even_windows(
            self.around.height, self.around.width, most=longest_px, overlap=OVERLAP_PX, multiple=ALIGN_PX
        )
        self.blend = TileBlend((self.around.height, self.around.width, 3), overlap=OVERLAP_PX)

    def list_windows(self) -> Iterator[Box]:
        """The windows that have something to paint; the others are the removal's own."""
        for window in self.windows:
            if self.hole[self.around.slices][window.slices].any():
                yield window
            else:
                self.add(window, self.removal.rgb[self.around.slices][window.slices])

    def cut(self, window: Box) -> Hole:
        """What the filler gets of a window."""
        rgb, mask = self.removal.rgb[self.around.slices], self.hole[self.around.slices]
        return Hole(np.ascontiguousarray(rgb[window.slices]), np.ascontiguousarray(mask[window.slices]))

    def add(self, window: Box, painted: FloatArray) -> None:
        """What the filler gave back."""
        self.blend.add(window, painted)

    def finish(self) -> Removal:
        """The removal with all windows painted."""
        painted = self.removal.rgb.copy()
        painted[self.around.slices] = self.blend.result()
        painted = match_tone(self.removal.rgb, painted, self.hole)
        rgb = blend_margin(self.removal.rgb, painted, self.hole, self.filled)
        return replace(self.removal, rgb=rgb, changed=self.removal.changed | self.hole)


def _finish(crop: Crop, hole: Hole, filled: FloatArray | Exception) -> Removal | Exception:
    if isinstance(filled, Exception):
        return filled
    marked = hole.mask if crop.given else dilate(crop.mask, 1)
    rgb = blend_margin(crop.rgb, match_tone(crop.rgb, filled, hole.mask), hole.mask, marked)
    changed = hole.mask if crop.own is None else hole.mask & crop.own
    return Removal(rgb, changed, _describe(crop, changed))


def _describe(crop: Crop, changed: BoolArray) -> tuple[Region, ...]:
    labels, _ = label_groups(crop.mask & changed)
    return tuple(
        Region(box.moved(crop.box.left, crop.box.top), Method.FILLED, None, 1.0)
        for _, box in sorted(find_boxes(np.asarray(labels, np.int32)).items())
    )
