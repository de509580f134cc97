"""A virtual accelerator: real numerics on the CPU, metered bytes, a budget, and failures where a test wants
them.

It is read through the same seam as a CUDA card (`device.memory.DeviceMemory`), so the whole engine runs on
it. What it cannot show: workspaces of real kernels, the driver's behaviour, fragmentation, streams.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch

from cleanplate.device.memory import MemorySnapshot, read_process_memory, release_memory
from cleanplate.device.meter import StorageMeter


def out_of_memory(size_bytes: int) -> Exception:
    """The error of an allocator without memory left."""
    return torch.OutOfMemoryError(f"Virtual accelerator out of memory. Tried to allocate {size_bytes} bytes.")


@dataclass(kw_only=True)
class FailingAllocation:
    """A fault at the n-th allocation, counted from 1.

    lasting: whether every later one fails too. error: what is raised, from the bytes asked for.
    struck: how often it has been raised.
    """

    at: int
    lasting: bool = False
    error: Callable[[int], Exception] = out_of_memory
    struck: int = field(default=0, init=False)

    def __call__(self, number: int, size_bytes: int) -> None:
        if number == self.at or (self.lasting and number > self.at):
            self.struck += 1
            raise self.error(size_bytes)


class VirtualAccelerator:
    """The memory of an accelerator that is not there; its work runs on the CPU.

    total_bytes: its size, past which (exactly) an allocation raises `torch.OutOfMemoryError`. fault: see
    `FailingAllocation`. system_used_share: what a snapshot tells of the host, for tests of pauses.

    quickest_bytes, identity: see `DeviceMemory`; for benchmarks, whose work takes the processor's time, and
    for tests of what is remembered.

    >>> accelerator = VirtualAccelerator(1024)
    >>> with accelerator.metering():
    ...     x = torch.zeros(256)
    >>> accelerator.read().free_bytes
    0
    """

    def __init__(
        self,
        total_bytes: int,
        *,
        fault: FailingAllocation | None = None,
        system_used_share: float | None = None,
        quickest_bytes: int | None = None,
    ) -> None:
        self.device = torch.device("cpu")
        self.identity: str | None = None
        self.quickest_bytes = quickest_bytes
        self.total_bytes = total_bytes
        self.meter = StorageMeter(budget_bytes=total_bytes, fault=fault)
        self.system_used_share = system_used_share
        self.releases = 0

    def read(self) -> MemorySnapshot:
        """Its figures; nothing is held back, so what is reserved is what is allocated."""
        live = self.meter.live_bytes
        share = self.system_used_share
        return MemorySnapshot(
            device="virtual",
            allocated_bytes=live,
            reserved_bytes=live,
            free_bytes=max(0, self.total_bytes - live),
            total_bytes=self.total_bytes,
            system_available_bytes=None if share is None else round((1.0 - share) * self.total_bytes),
            system_total_bytes=None if share is None else self.total_bytes,
            process_bytes=read_process_memory(),
        )

    def read_live(self) -> int:
        """Bytes of live tensors."""
        return self.meter.live_bytes

    def release(self, *, thorough: bool = True) -> None:
        """Collect garbage; counted in `releases`."""
        self.releases += 1
        release_memory(self.device, thorough=thorough)

    def metering(self) -> AbstractContextManager[None]:
        """Count this thread's tensors against the budget."""
        return self.meter.metering()

    def reset_peak(self) -> None:
        """Measure the peak from now."""
        self.meter.reset_peak()

    def read_peak(self) -> int | None:
        """Most bytes of live tensors since `reset_peak`."""
        return self.meter.peak_bytes
