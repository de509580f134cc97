"""Layers worked through in strips of rows, so that planes of many channels are never there as a whole.

A layer's rows are made when the layer behind it asks for them: those that it needs, by its kernel's reach,
and no others. Rows at a strip's edge are made twice, which costs little; the result is the whole layer's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, cat, nn
from torch.nn import functional as F

#: Pixels of a strip, over a batch. Less takes longer, more is no quicker. Source: `benchmarks/lama_pass.py`.
STRIP_PIXELS = 1 << 15
#: Rows of a strip at the least: more would be made twice than once.
LEAST_ROWS = 8

#: A convolution and what follows it, pixel by pixel.
Step = tuple[nn.Conv2d, Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Rows:
    """Planes (N, C, height, W) whose rows are made when they are asked for.

    make: (top, bottom) with 0 <= top < bottom <= height -> (N, C, bottom - top, W), perhaps a view.
    """

    height: int
    make: Callable[[int, int], Tensor]


def convolve(given: Rows, steps: Sequence[Step], padding: int) -> Rows:
    """The rows of convolutions of one kind, their channels one after the other; edges are mirrored.

    The convolutions' own padding is not looked at. Planes must be larger than `padding` both ways.
    """
    kernel, stride = steps[0][0].kernel_size[0], steps[0][0].stride[0]

    def make(top: int, bottom: int) -> Tensor:
        first, last = stride * top - padding, stride * (bottom - 1) - padding + kernel
        part = given.make(max(0, first), min(given.height, last))
        missing = (padding, padding, max(0, -first), max(0, last - given.height))
        padded = F.pad(part, missing, mode="reflect")
        del part
        made = [then(F.conv2d(padded, layer.weight, layer.bias, layer.stride)) for layer, then in steps]
        return made[0] if len(made) == 1 else cat(made, dim=1)

    return Rows((given.height + 2 * padding - kernel) // stride + 1, make)


def double(given: Rows, layer: nn.ConvTranspose2d, then: Callable[[Tensor], Tensor]) -> Rows:
    """The rows of a transposed convolution to twice the size: kernel 3, stride 2, padding 1 and 1 behind."""

    def make(top: int, bottom: int) -> Tensor:
        # An even row comes from one row, an odd one from that and the next.
        first, last = top // 2, min(given.height, bottom // 2 + 1)
        made = then(layer(given.make(first, last)))
        return made[:, :, top - 2 * first : bottom - 2 * first]

    return Rows(2 * given.height, make)


def collect(rows: Rows, at_once: int) -> Tensor:
    """All rows as one tensor, made `at_once` at a time."""
    if at_once >= rows.height:
        return rows.make(0, rows.height)
    whole: Tensor | None = None
    for top in range(0, rows.height, at_once):
        bottom = min(rows.height, top + at_once)
        part = rows.make(top, bottom)
        if whole is None:
            batch, channels, _, width = part.shape
            whole = part.new_empty(batch, channels, rows.height, width)
        whole[:, :, top:bottom] = part
        del part  # before the next is made
    assert whole is not None  # no plane is without rows
    return whole


def count_rows(batch: int, width: int) -> int:
    """Rows of a strip of full-size planes: a multiple of LEAST_ROWS.

    >>> count_rows(1, 1024), count_rows(1, 1000), count_rows(4, 100_000)
    (32, 32, 8)
    """
    rows = STRIP_PIXELS // (batch * width)
    return max(LEAST_ROWS, rows - rows % LEAST_ROWS)
