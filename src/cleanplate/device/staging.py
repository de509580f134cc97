"""Batches on their way to a device and back, through host memory that is used again.

Allocating a batch anew each time costs page faults on a CPU, and on a card pinning, which takes longer than
the copy. Blocks come in size classes, so that batches of nearly the same size share them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import prod
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from cleanplate.device.memory import StagingUse

#: Size classes from one power of two to the next: a block is at most an eighth larger than was asked for.
CLASSES_PER_OCTAVE = 8
LEAST_BLOCK_BYTES = 1 << 16

#: Lays the picture of a place in the batch out in its part (H, W, C) of the host's memory.
Lay = Callable[[int, NDArray[Any]], None]


def allocate_block(size_bytes: int) -> Tensor:
    """Ordinary host memory, metered where the thread is."""
    return torch.empty(size_bytes, dtype=torch.uint8)


def allocate_pinned_block(size_bytes: int) -> Tensor:
    """Host memory that a card can read by itself."""
    return torch.empty(size_bytes, dtype=torch.uint8, pin_memory=True)


class BlockPool:
    """Blocks of host memory by size class. One thread's.

    keep_bytes: the most that it holds idle; the blocks longest idle go first. allocate: makes a block.

    >>> pool = BlockPool(1 << 20)
    >>> for _ in range(3):
    ...     with pool.borrow(100_000) as block:
    ...         pass
    >>> pool.use
    StagingUse(allocated_bytes=106496, reused_bytes=212992)
    """

    def __init__(self, keep_bytes: int, allocate: Callable[[int], Tensor] = allocate_block) -> None:
        self.keep_bytes = keep_bytes
        self.use = StagingUse()
        self._allocate = allocate
        self._idle: list[Tensor] = []

    @property
    def idle_bytes(self) -> int:
        """What is held and not lent out."""
        return sum(block.numel() for block in self._idle)

    @contextmanager
    def borrow(self, size_bytes: int) -> Iterator[Tensor]:
        """At least so many bytes, (n,) uint8, for the block of code; what they hold is undefined."""
        block = self._take(_round_up(size_bytes))
        try:
            yield block
        finally:
            self._idle.append(block)
            self._drop()

    def clear(self) -> None:
        """Give back what is idle."""
        self._idle.clear()

    def _take(self, size_bytes: int) -> Tensor:
        for place, block in enumerate(self._idle):
            if block.numel() == size_bytes:
                self.use += StagingUse(0, size_bytes)
                return self._idle.pop(place)
        block = self._allocate(size_bytes)
        self.use += StagingUse(size_bytes, 0)
        return block

    def _drop(self) -> None:
        while self._idle and self.idle_bytes > self.keep_bytes:
            del self._idle[0]


class Staging(Protocol):
    """The way to one device and back. One thread's; what a block of code is given is valid inside it only."""

    @property
    def device(self) -> torch.device: ...

    @property
    def use(self) -> StagingUse: ...

    def upload(self, shape: Sequence[int], dtype: torch.dtype, lay: Lay) -> AbstractContextManager[Tensor]:
        """(N, H, W, C) on the device, every place laid out by `lay`."""
        ...

    def download(self, batch: Tensor) -> AbstractContextManager[NDArray[Any]]:
        """A batch of the device as an array of the host."""
        ...

    def clear(self) -> None:
        """Give back what is idle."""
        ...


class HostStaging:
    """For networks on the CPU: a batch is laid out where the network reads it, and nothing is copied."""

    def __init__(self, keep_bytes: int = 0) -> None:
        self.device = torch.device("cpu")
        self._pool = BlockPool(keep_bytes)

    @property
    def use(self) -> StagingUse:
        """The pool's."""
        return self._pool.use

    @contextmanager
    def upload(self, shape: Sequence[int], dtype: torch.dtype, lay: Lay) -> Iterator[Tensor]:
        """See `Staging`."""
        with self._pool.borrow(prod(shape) * dtype.itemsize) as block:
            batch = _view(block, shape, dtype)
            for place, part in enumerate(batch.numpy()):
                lay(place, part)
            yield batch

    @contextmanager
    def download(self, batch: Tensor) -> Iterator[NDArray[Any]]:
        """See `Staging`."""
        yield batch.numpy()

    def clear(self) -> None:
        """See `Staging`."""
        self._pool.clear()


class CudaStaging:
    """For a card: pinned memory, and a stream of its own for what goes over.

    Each picture goes as soon as it is laid out, while the next one is. The network's stream waits for the
    copies, not the host. cuda, allocate: torch's, replaced in tests.
    """

    def __init__(
        self,
        device: torch.device,
        keep_bytes: int = 0,
        *,
        cuda: Any = torch.cuda,
        allocate: Callable[[int], Tensor] = allocate_pinned_block,
    ) -> None:
        self.device = device
        self._cuda = cuda
        self._pool = BlockPool(keep_bytes, allocate)
        self._copying: Any = None

    @property
    def use(self) -> StagingUse:
        """The pool's."""
        return self._pool.use

    @contextmanager
    def upload(self, shape: Sequence[int], dtype: torch.dtype, lay: Lay) -> Iterator[Tensor]:
        """See `Staging`."""
        if self._copying is None:
            self._copying = self._cuda.Stream(self.device)
        working = self._cuda.current_stream(self.device)
        with self._pool.borrow(prod(shape) * dtype.itemsize) as block:
            host = _view(block, shape, dtype)
            batch = torch.empty(tuple(shape), dtype=dtype, device=self.device)
            # The batch's memory may be what work under way has just let go of.
            self._copying.wait_stream(working)
            try:
                for place, part in enumerate(host.numpy()):
                    lay(place, part)
                    with self._cuda.stream(self._copying):
                        batch[place].copy_(host[place], non_blocking=True)
                working.wait_stream(self._copying)
                yield batch
            finally:
                self._copying.synchronize()  # before somebody else writes into the block

    @contextmanager
    def download(self, batch: Tensor) -> Iterator[NDArray[Any]]:
        """See `Staging`. One wait for the whole batch."""
        with self._pool.borrow(batch.numel() * batch.dtype.itemsize) as block:
            host = _view(block, batch.shape, batch.dtype)
            host.copy_(batch, non_blocking=True)
            self._cuda.current_stream(self.device).synchronize()
            yield host.numpy()

    def clear(self) -> None:
        """See `Staging`."""
        self._pool.clear()


def make_staging(device: torch.device, keep_bytes: int = 0) -> Staging:
    """The way to a device. keep_bytes: see `BlockPool`; 0: nothing is used again."""
    return CudaStaging(device, keep_bytes) if device.type == "cuda" else HostStaging(keep_bytes)


_threads = threading.local()


@contextmanager
def staging_through(staging: Staging) -> Iterator[None]:
    """Inside the block, this thread's batches for the staging's device go through it."""
    before = getattr(_threads, "staging", None)
    _threads.staging = staging
    try:
        yield
    finally:
        _threads.staging = before


def find_staging(device: torch.device | str) -> Staging:
    """The staging that this thread works through, or a new one where that leads elsewhere.

    >>> staging = HostStaging(1 << 20)
    >>> with staging_through(staging):
    ...     find_staging("cpu") is staging
    True
    >>> find_staging("cpu") is staging
    False
    """
    wanted = torch.device(device)
    current: Staging | None = getattr(_threads, "staging", None)
    if current is not None and current.device == wanted:
        return current
    return make_staging(wanted)


def _view(block: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """The beginning of a block as a tensor of a shape."""
    return block[: prod(shape) * dtype.itemsize].view(dtype).view(*shape)


def _round_up(size_bytes: int) -> int:
    """The next size class.

    >>> _round_up(1), _round_up(1 << 20), _round_up((1 << 20) + 1)
    (65536, 1048576, 1179648)
    """
    size = max(size_bytes, LEAST_BLOCK_BYTES)
    step = (1 << (size.bit_length() - 1)) // CLASSES_PER_OCTAVE
    return -(-size // step) * step
