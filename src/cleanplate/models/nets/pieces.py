"""Layers worked through in pieces of rows and columns, so that planes of many channels are never there whole.

A layer's piece is made when the layer behind it asks for it: the pixels that it needs, by its kernel's reach,
and no others. Pixels at a piece's edge are made twice, which costs little where pieces are about square; the
result is the whole layer's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, cat, nn
from torch.nn import functional as F

#: Pixels of a piece, over a batch. Source: `benchmarks/lama_pass.py`.
PIECE_PIXELS = 1 << 14
#: The same on a processor: as quick, and what the C library keeps of freed pieces is 20 to 30 MB less.
HOST_PIECE_PIXELS = 1 << 13
#: Edges of pieces are multiples of this: what the network's deepest planes are smaller by.
LEAST_EDGE = 8

#: A convolution and what follows it, pixel by pixel.
Step = tuple[nn.Conv2d, Callable[[Tensor], Tensor]]
#: From the first row or column to the one behind the last.
Span = tuple[int, int]


@dataclass(frozen=True)
class Planes:
    """Planes (N, C, height, width) whose pixels are made when they are asked for.

    make: (rows, columns), both inside the planes and not empty -> (N, C, rows, columns), perhaps a view.
    """

    height: int
    width: int
    make: Callable[[Span, Span], Tensor]


def show(planes: Tensor) -> Planes:
    """Planes that are there."""
    return Planes(
        planes.shape[2], planes.shape[3], lambda rows, columns: planes[:, :, slice(*rows), slice(*columns)]
    )


def convolve(given: Planes, steps: Sequence[Step], padding: int) -> Planes:
    """The planes of convolutions of one kind, their channels one after the other; edges are mirrored.

    The convolutions' own padding is not looked at. Planes must be larger than `padding` both ways.
    """
    kernel, stride = steps[0][0].kernel_size[0], steps[0][0].stride[0]

    def reach(wanted: Span, edge: int) -> tuple[Span, Span]:
        """(what it comes from, what must be mirrored before and behind that)."""
        first, last = stride * wanted[0] - padding, stride * (wanted[1] - 1) - padding + kernel
        return (max(0, first), min(edge, last)), (max(0, -first), max(0, last - edge))

    def make(rows: Span, columns: Span) -> Tensor:
        down, missing_down = reach(rows, given.height)
        across, missing_across = reach(columns, given.width)
        padded = given.make(down, across)
        if any((*missing_across, *missing_down)):
            padded = F.pad(padded, (*missing_across, *missing_down), mode="reflect")
        made = [then(F.conv2d(padded, layer.weight, layer.bias, layer.stride)) for layer, then in steps]
        return made[0] if len(made) == 1 else cat(made, dim=1)

    height, width = ((edge + 2 * padding - kernel) // stride + 1 for edge in (given.height, given.width))
    return Planes(height, width, make)


def double(given: Planes, layer: nn.ConvTranspose2d, then: Callable[[Tensor], Tensor]) -> Planes:
    """Planes of a transposed convolution to twice the size: kernel 3, stride 2, padding 1 and 1 behind."""

    def reach(wanted: Span, edge: int) -> Span:
        # An even row comes from one row, an odd one from that and the next.
        return wanted[0] // 2, min(edge, wanted[1] // 2 + 1)

    def make(rows: Span, columns: Span) -> Tensor:
        down, across = reach(rows, given.height), reach(columns, given.width)
        made = then(layer(given.make(down, across)))
        return made[
            :,
            :,
            rows[0] - 2 * down[0] : rows[1] - 2 * down[0],
            columns[0] - 2 * across[0] : columns[1] - 2 * across[0],
        ]

    return Planes(2 * given.height, 2 * given.width, make)


def collect(planes: Planes, height: int, width: int) -> Tensor:
    """All of them as one tensor, made in pieces of at most so many rows and columns."""
    if height >= planes.height and width >= planes.width:
        return planes.make((0, planes.height), (0, planes.width))
    whole: Tensor | None = None
    for top in range(0, planes.height, height):
        rows = top, min(planes.height, top + height)
        for left in range(0, planes.width, width):
            columns = left, min(planes.width, left + width)
            part = planes.make(rows, columns)
            if whole is None:
                whole = part.new_empty(*part.shape[:2], planes.height, planes.width)
            whole[:, :, slice(*rows), slice(*columns)] = part
            del part  # before the next is made
    assert whole is not None  # no plane is without pixels
    return whole


def choose_piece(batch: int, width: int, pixels: int | None = None) -> tuple[int, int]:
    """(rows, columns) of a piece of full-size planes, about square, multiples of LEAST_EDGE.

    pixels: of a piece over the batch; None: PIECE_PIXELS.

    >>> choose_piece(1, 1024), choose_piece(1, 1000), choose_piece(1, 128), choose_piece(4, 1024)
    ((128, 128), (128, 128), (128, 128), (64, 64))
    """
    pixels = pixels or PIECE_PIXELS
    count = max(1, round(width / math.sqrt(pixels / batch)))
    columns = _round_up(-(-width // count))
    return max(LEAST_EDGE, pixels // (batch * columns) // LEAST_EDGE * LEAST_EDGE), columns


def _round_up(edge: int) -> int:
    return edge + -edge % LEAST_EDGE
