"""How much memory there is, how much is used, and giving back what is only kept.

`DeviceMemory` is the seam through which everything above reads a device: a CUDA card, the host's memory, or
the virtual accelerator of the tests.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import psutil

from cleanplate.device.cgroups import read_memory_limit

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class MemorySnapshot:
    """Memory at one moment, in bytes; None where it cannot be told.

    device: its name. allocated_bytes: live tensors. reserved_bytes: what torch's allocator holds for them.
    free_bytes, total_bytes: of the device as its driver sees it, other programs included; on a CPU the
    host's. system_available_bytes, system_total_bytes: of the host, a control group's limit counted in.
    process_bytes: this process's resident memory.
    """

    device: str
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None
    system_available_bytes: int | None = None
    system_total_bytes: int | None = None
    process_bytes: int | None = None

    @property
    def used_share(self) -> float | None:
        """Share of the device's memory in use, in [0, 1]."""
        return _share(self.free_bytes, self.total_bytes)

    @property
    def system_used_share(self) -> float | None:
        """Share of the host's memory in use, in [0, 1].

        >>> MemorySnapshot(device="cpu", system_available_bytes=3, system_total_bytes=4).system_used_share
        0.25
        """
        return _share(self.system_available_bytes, self.system_total_bytes)

    @property
    def idle_bytes(self) -> int:
        """What the allocator holds without a live tensor in it; 0 where it holds nothing back."""
        if self.reserved_bytes is None or self.allocated_bytes is None:
            return 0
        return max(0, self.reserved_bytes - self.allocated_bytes)


@dataclass(frozen=True, slots=True)
class StagingUse:
    """What staging took so far. allocated_bytes: newly allocated; reused_bytes: taken from what was there."""

    allocated_bytes: int = 0
    reused_bytes: int = 0

    def __add__(self, other: StagingUse) -> StagingUse:
        return StagingUse(
            self.allocated_bytes + other.allocated_bytes, self.reused_bytes + other.reused_bytes
        )


class DeviceMemory(Protocol):
    """The memory of one device.

    identity: what measured figures of it are remembered by; None: none are. quickest_bytes: batches that take
    more are no quicker by item, so that they only cost memory; None: the larger the quicker. metering:
    entered round all work on the device, in each thread; counts where the device does not count itself.
    read_live: bytes of tensors that are alive, which `read` gives among much that takes longer.
    read_peak: most bytes held at once since `reset_peak` (CUDA: reserved, else live tensors); None where
    unknown. release: gives back what no tensor uses.
    """

    @property
    def device(self) -> torch.device: ...

    @property
    def identity(self) -> str | None: ...

    @property
    def quickest_bytes(self) -> int | None: ...

    def read(self) -> MemorySnapshot: ...

    def read_live(self) -> int: ...

    def release(self, *, thorough: bool = True) -> None: ...

    def metering(self) -> AbstractContextManager[None]: ...

    def reset_peak(self) -> None: ...

    def read_peak(self) -> int | None: ...


#: One photograph keeps all cores busy. What a larger batch takes beyond this comes as new pages each time,
#: and clearing those takes longer than anything saved. Source: `benchmarks/batch_size.py`.
HOST_QUICKEST_BYTES = 128 << 20


class HostMemory:
    """The machine's own memory, for networks on the CPU.

    limit_bytes: live tensors may not pass it: `torch.OutOfMemoryError` is raised there, as a card would.
    allow: whether live tensors may be so many bytes, where others share the limit.
    """

    identity: str | None = None
    quickest_bytes: int | None = HOST_QUICKEST_BYTES

    def __init__(self, limit_bytes: int | None = None, allow: Callable[[int], bool] = lambda _: True) -> None:
        import torch

        from cleanplate.device.meter import StorageMeter

        self.device = torch.device("cpu")
        self.meter = StorageMeter(budget_bytes=limit_bytes, allow=allow)

    def read(self) -> MemorySnapshot:
        """The host's figures, with the metered tensors as what is allocated."""
        available, total = read_system_memory()
        return MemorySnapshot(
            device="cpu",
            allocated_bytes=self.meter.live_bytes,
            free_bytes=available,
            total_bytes=total,
            system_available_bytes=available,
            system_total_bytes=total,
            process_bytes=read_process_memory(),
        )

    def read_live(self) -> int:
        """Bytes of the metered tensors."""
        return self.meter.live_bytes

    def release(self, *, thorough: bool = True) -> None:
        """Collect garbage and give freed pages back to the system."""
        release_memory(self.device, thorough=thorough)

    def metering(self) -> AbstractContextManager[None]:
        """Count this thread's tensors."""
        return self.meter.metering()

    def reset_peak(self) -> None:
        """Measure the peak from now."""
        self.meter.reset_peak()

    def read_peak(self) -> int | None:
        """Most bytes of live tensors since `reset_peak`."""
        return self.meter.peak_bytes


class CudaMemory:
    """The memory of a CUDA card. Only the process that works on the card should read it: reading makes a
    context."""

    quickest_bytes: int | None = None

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def identity(self) -> str:
        """The card's name and size, and the versions on which its workspaces depend."""
        import torch

        card = torch.cuda.get_device_properties(self.device)
        cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return f"{card.name} {card.total_memory} torch {torch.__version__} cuDNN {cudnn}"

    def read(self) -> MemorySnapshot:
        """The allocator's and the driver's figures."""
        return read_memory(self.device, initialise=True)

    def read_live(self) -> int:
        """Bytes of tensors by torch's count."""
        import torch

        return int(torch.cuda.memory_allocated(self.device))

    def release(self, *, thorough: bool = True) -> None:
        """Collect garbage and empty torch's cache."""
        release_memory(self.device, thorough=thorough)

    def metering(self) -> AbstractContextManager[None]:
        """Nothing: the card's allocator counts."""
        return nullcontext()

    def reset_peak(self) -> None:
        """Measure the peak from now."""
        import torch

        torch.cuda.reset_peak_memory_stats(self.device)

    def read_peak(self) -> int | None:
        """Most bytes reserved since `reset_peak`."""
        import torch

        return int(torch.cuda.max_memory_reserved(self.device))


def open_memory(
    device: torch.device, limit_bytes: int | None = None, allow: Callable[[int], bool] = lambda _: True
) -> DeviceMemory:
    """The memory of a device. limit_bytes, allow: enforced on a CPU, where nothing else would; see
    `HostMemory`."""
    return CudaMemory(device) if device.type == "cuda" else HostMemory(limit_bytes, allow)


def read_memory(device: torch.device, *, initialise: bool = False) -> MemorySnapshot:
    """A snapshot of a device and of the host.

    initialise: whether a CUDA context may be made for it (hundreds of megabytes); without, a card that this
    process does not use yet has no figures.
    """
    available, total = read_system_memory()
    process = read_process_memory()
    if device.type != "cuda":
        return MemorySnapshot(
            device=str(device),
            free_bytes=available,
            total_bytes=total,
            system_available_bytes=available,
            system_total_bytes=total,
            process_bytes=process,
        )
    import torch

    known = initialise or is_cuda_in_use()
    card_free, card_total = torch.cuda.mem_get_info(device) if known else (None, None)
    return MemorySnapshot(
        device=str(device),
        allocated_bytes=int(torch.cuda.memory_allocated(device)) if known else None,
        reserved_bytes=int(torch.cuda.memory_reserved(device)) if known else None,
        free_bytes=card_free,
        total_bytes=card_total,
        system_available_bytes=available,
        system_total_bytes=total,
        process_bytes=process,
    )


def read_system_memory() -> tuple[int, int]:
    """(available, total) bytes of the host, the tighter of the machine and its control group.

    >>> available, total = read_system_memory()
    >>> 0 < available <= total
    True
    """
    host = psutil.virtual_memory()
    limit = read_memory_limit()
    if limit is None:
        return int(host.available), int(host.total)
    return min(int(host.available), limit.free_bytes), min(int(host.total), limit.limit_bytes)


def read_process_memory() -> int:
    """Resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


def is_cuda_in_use() -> bool:
    """Whether this process has a CUDA context; asking makes none."""
    # Another thread may be in the middle of importing torch: then its parts are not there yet.
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return bool(getattr(cuda, "is_initialized", bool)())


def release_memory(device: torch.device, *, thorough: bool = True) -> None:
    """Collect garbage, empty torch's cache on a CUDA card in use, give freed pages back to the system.

    thorough: look through all objects, which takes 0.2 s where torch is loaded; else only through young ones.
    It frees nothing that is still referred to, and on a card it waits for work under way: do it rarely.
    """
    gc.collect() if thorough else gc.collect(1)
    if device.type == "cuda":
        import torch

        if is_cuda_in_use():
            with torch.cuda.device(device):
                torch.cuda.empty_cache()
    give_back_freed()


def give_back_freed() -> None:
    """Give pages that the C library keeps free back to the system, where it can (glibc): milliseconds.

    >>> give_back_freed()
    """
    trim = _find_trim()
    if trim is not None:
        trim.malloc_trim(0)


@lru_cache(maxsize=1)
def _find_trim() -> ctypes.CDLL | None:
    """The C library, where it can give freed pages back (glibc); others do so themselves or cannot."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


def _share(free: int | None, total: int | None) -> float | None:
    return None if free is None or not total else 1.0 - free / total
