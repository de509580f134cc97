"""Filling holes with an inpainting network in this process.

Pictures are padded to what the network takes and batched by their size, across photographs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from cleanplate.device.memory import give_back_freed
from cleanplate.images.tensor import fetch_batch, to_tensor
from cleanplate.models.filler import Inpainter
from cleanplate.models.request import Attempt, Request
from cleanplate.models.spec import InpaintSpec
from cleanplate.remove.base import Hole
from cleanplate.structures import BoolArray, FloatArray

#: Host bytes by pixel: the picture and its hole as floats, stacked, the result.
BYTES_BY_PIXEL = 4 * (4 + 4 + 3)

#: Of a crop's edges on a processor, where larger ones are no quicker: what a pass takes goes by its area. On
#: photographs tiled with marks (`benchmarks/against_iopaint.py`) the area grows by 7 % of that at 1536, and
#: LaMa's largest pass takes 65 MB instead of 157.
HOST_MOST_PX = 1024


@dataclass(frozen=True, eq=False)
class _Piece:
    """A picture as the network gets it: (h, w, 4) float32, padded and scaled; how to go back from there."""

    rgbh: FloatArray
    inner: tuple[int, int]


@dataclass(frozen=True, eq=False)
class NetworkFiller:
    """Fills holes with an inpainting network (the `Filler` protocol)."""

    inpainter: Inpainter
    device: torch.device

    @property
    def fingerprint(self) -> str:
        """The weights'."""
        return self.inpainter.fingerprint

    @property
    def longest_px(self) -> int:
        """The network's; on a processor at most HOST_MOST_PX."""
        most = self.inpainter.spec.most_px
        return min(most, HOST_MOST_PX) if self.device.type == "cpu" else most

    @property
    def goes_together(self) -> bool:
        """Whether pictures of one size are one batch. On a processor that is no faster and takes more memory.

        Source: LaMa on two cores, 264 x 264 pixels: 1.6 s a picture alone and of four; 0.2 GB more for four.
        """
        return self.inpainter.spec.batches and self.device.type != "cpu"

    def fill(self, holes: Sequence[Hole], attempt: Attempt) -> list[FloatArray | Exception]:
        """One picture a hole, in order, or what ended that hole alone."""
        filled: dict[int, FloatArray | Exception] = {}
        for shape, places in self._sort_by_shape(holes).items():
            answers = attempt(self._ask([holes[at] for at in places], shape))
            filled.update(zip(places, answers, strict=True))
        return [_scale_back(filled[at], hole) for at, hole in enumerate(holes)]

    def _sort_by_shape(self, holes: Sequence[Hole]) -> dict[tuple[int, int], list[int]]:
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for at, hole in enumerate(holes):
            _, shape = plan_size(hole.mask.shape[0], hole.mask.shape[1], self.inpainter.spec)
            groups[shape].append(at)
        return groups

    def _ask(self, holes: Sequence[Hole], shape: tuple[int, int]) -> Request[Hole, FloatArray]:
        return Request(
            stage="fill",
            network=self.inpainter.network,
            items=holes,
            shape=lambda batch, _tile: (batch if self.goes_together else 1, 4, *shape),
            run=lambda items, _tile: self._fill(items),
            item_bytes=shape[0] * shape[1] * BYTES_BY_PIXEL,
        )

    def _fill(self, holes: Sequence[Hole]) -> list[FloatArray]:
        """(h, w, 3) float32 in [0, 1] a hole, at the size that the network saw, without the padding."""
        if not self.goes_together and len(holes) > 1:
            return [picture for hole in holes for picture in self._fill([hole])]
        pieces = [prepare(hole.rgb, hole.mask, self.inpainter.spec) for hole in holes]
        batch = to_tensor([piece.rgbh for piece in pieces], device=self.device)
        sizes = [piece.inner for piece in pieces]
        del pieces  # the network's own planes come now
        if self.device.type == "cpu":
            give_back_freed()
        with torch.no_grad():
            filled = self.inpainter.run(batch)
        del batch
        filled = filled.clamp_(0, 1)
        return fetch_batch(filled, sizes)


def plan_size(height: int, width: int, spec: InpaintSpec) -> tuple[tuple[int, int], tuple[int, int]]:
    """(size that a picture is scaled to, size that it is then padded to), both (height, width).

    >>> plan_size(100, 203, InpaintSpec(stride=8))
    ((100, 203), (104, 208))
    >>> plan_size(600, 1200, InpaintSpec(fixed_px=512))
    ((256, 512), (512, 512))
    """
    if spec.fixed_px is None:
        padded = tuple(max(edge + -edge % spec.stride, spec.least_px) for edge in (height, width))
        return (height, width), (padded[0], padded[1])
    scale = min(1.0, spec.fixed_px / max(height, width))
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    return inner, (spec.fixed_px, spec.fixed_px)


def prepare(rgb: FloatArray, hole: BoolArray, spec: InpaintSpec) -> _Piece:
    """A picture as the network gets it: shrunk where it must be, then mirrored out to the padded size."""
    inner, (height, width) = plan_size(hole.shape[0], hole.shape[1], spec)
    mask = hole.astype(np.float32)
    if inner != hole.shape:
        size = (inner[1], inner[0])
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32)
        mask = (cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0).astype(np.float32)
    padding = ((0, height - inner[0]), (0, width - inner[1]), (0, 0))
    return _Piece(np.pad(np.dstack([rgb, mask]), padding, mode="symmetric"), inner)


def _scale_back(filled: FloatArray | Exception, hole: Hole) -> FloatArray | Exception:
    """To the hole's own size, where the network saw another."""
    if isinstance(filled, Exception) or filled.shape[:2] == hole.mask.shape:
        return filled
    size = (hole.mask.shape[1], hole.mask.shape[0])
    return np.clip(np.asarray(cv2.resize(filled, size, interpolation=cv2.INTER_CUBIC), np.float32), 0, 1)
