"""Weights that stay in their file: its pages are memory only while a layer is being used.

A mapped page that nothing has written to need not be kept: it can be let go at once and comes back from the
system's cache of the file when it is read again. On a processor that makes the weights of a large network no
part of what a run keeps in memory.

A file that is replaced by another of its name, as `cleanplate models` does it, goes on being read as it was.
One that is written to or cut short in place does not: what is mapped would change, or end the process.
`MappedFile.check` is therefore asked before every layer, and refuses to go on with what has changed.
"""

from __future__ import annotations

import mmap
import os
import weakref
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from cleanplate.errors import ModelError
from cleanplate.models.nets.fourier import NormedConvolution, ResidualBlock
from cleanplate.models.nets.lama import Lama
from cleanplate.models.nets.lending import Lend, fold_copy

#: Where pages cannot be let go (Windows), a file that is mapped gains nothing.
CAN_LET_GO = hasattr(mmap.mmap, "madvise") and hasattr(mmap, "MADV_DONTNEED")


class MappedFile:
    """A file's bytes as tensors that take no memory of their own.

    They are not for writing: what is written to them reaches no file, and is lost when pages are let go.
    Raises OSError or ValueError where the file cannot be mapped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Held open, so that another file that takes the name is not looked at.
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self._bytes = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_COPY)
        self._state = self._read_state()
        self._start = torch.frombuffer(self._bytes, dtype=torch.uint8, count=1).data_ptr()

    def __len__(self) -> int:
        return len(self._bytes)

    def read(self, start: int, end: int) -> bytes:
        """A copy of some of its bytes."""
        return self._bytes[start:end]

    def tensor(self, start: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
        """The tensor that lies there in C order. Raises ValueError where the file has not so many bytes, or
        they are not aligned."""
        count = prod(shape)
        if start % dtype.itemsize or start < 0 or start + count * dtype.itemsize > len(self):
            raise ValueError(f"{self.path}: no {shape} of {dtype} lies at {start}")
        if not count:
            return torch.empty(shape, dtype=dtype)
        return torch.frombuffer(self._bytes, dtype=dtype, count=count, offset=start).view(shape)

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor's numbers are this file's bytes."""
        return tensor.device.type == "cpu" and 0 <= tensor.data_ptr() - self._start < len(self)

    def let_go(self) -> None:
        """Give back all pages; reading brings them back. (With one that is read, Linux maps up to 2 MB.)"""
        if CAN_LET_GO:
            self._bytes.madvise(mmap.MADV_DONTNEED)

    def check(self) -> None:
        """Raises ModelError where the file has been written to since it was mapped."""
        if self._read_state() != self._state:
            raise ModelError(f"{self.path}: it was changed while it was in use; run again")

    def _read_state(self) -> tuple[int, int]:
        found = os.fstat(self._descriptor)
        return found.st_size, found.st_mtime_ns


class MappedLayers:
    """Lends a network's layers out folded, each in memory of its own as long as it is used (`Lama.lend`)."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file

    def __call__(self, layer: NormedConvolution) -> NormedConvolution:
        """The layer as it is used. Raises ModelError where the file was written to meanwhile."""
        self.file.check()
        folded = fold_copy(layer)
        self.file.let_go()
        return folded

    def __deepcopy__(self, memo: dict[int, object]) -> MappedLayers:
        return self  # there is one file, whatever copies of the network there are


def lend_blocks(lama: Lama, file: MappedFile) -> Lend | None:
    """What lends the blocks of a LaMa whose weights are a file's; None where those of the blocks are not.

    All other weights get memory of their own: they are few, and read in pieces.
    """
    blocks = [part for part in lama.modules() if isinstance(part, ResidualBlock)]
    weights = [weight for block in blocks for weight in block.parameters()]
    if not weights or not all(map(file.holds, weights)):
        return None
    lent = {id(tensor) for block in blocks for tensor in (*block.parameters(), *block.buffers())}
    for tensor in (*lama.parameters(), *lama.buffers()):
        if id(tensor) not in lent:
            tensor.data = tensor.detach().clone()
    return MappedLayers(file)
