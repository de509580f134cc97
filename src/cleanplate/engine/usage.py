"""What the run takes of the machine, sampled in a thread: memory now and at its highest, processor time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from cleanplate.device.memory import StagingUse, is_cuda_in_use, read_process_memory, read_system_memory
from cleanplate.device.threads import count_cores
from cleanplate.engine.events import EventStream, MemorySampled
from cleanplate.engine.summary import Usage
from cleanplate.errors import UsageError
from cleanplate.monitor.gpu import GpuFigures, GpuReader
from cleanplate.settings import RepairSettings

_INTERVAL_S = 0.25
_CARD_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessUsage:
    """What one process takes. gpu_*: the most that its torch had allocated and reserved; None: uses none.

    gpu_now: what its torch has allocated and reserved now, and all the memory of the card.
    """

    resident_bytes: int
    cpu_seconds: float
    gpu_allocated_bytes: int | None = None
    gpu_reserved_bytes: int | None = None
    gpu_now: tuple[int, int, int] | None = None


def read_process_usage() -> ProcessUsage:
    """The figures of this process."""
    allocated, reserved = read_gpu_peak()
    return ProcessUsage(
        resident_bytes=read_process_memory(),
        cpu_seconds=time.process_time(),
        gpu_allocated_bytes=allocated,
        gpu_reserved_bytes=reserved,
        gpu_now=read_gpu_now(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What the owner of the device counts. peak_bytes, staging: see `Policy`."""

    peak_bytes: int | None = None
    staging: StagingUse | None = None


class UsageSampler:
    """Samples while entered and tells the stream; `read` gives the figures so far, at any time.

    Figures are of this process and of what `read_child` tells of another one that works for it;
    `read_metered` tells what the owner of the device counts, `read_card` what its card's driver does.
    """

    def __init__(self, events: EventStream, interval_s: float = _INTERVAL_S) -> None:
        self.read_child: Callable[[], ProcessUsage | None] = lambda: None
        self.read_metered: Callable[[], Metered] = Metered
        self.read_card: Callable[[], GpuFigures | None] = lambda: None
        self._card = GpuFigures()
        self._card_read = float("-inf")
        self._events = events
        self._interval_s = interval_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cleanplate-usage", daemon=True)
        self._peak_bytes = 0
        self._began = time.monotonic()
        self._cpu_began = time.process_time()

    def __enter__(self) -> UsageSampler:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Tell no more; `read` goes on working."""
        self._ended.set()
        self._thread.join()

    def read(self) -> Usage:
        """The figures so far; takes one more sample."""
        usage = self._sample()
        wall = time.monotonic() - self._began
        busy = usage.cpu_seconds - self._cpu_began
        return Usage(
            cpu_share=min(1.0, busy / (wall * count_cores())) if wall > 0 else 0.0,
            memory_bytes=usage.resident_bytes,
            peak_memory_bytes=self._peak_bytes,
            gpu_allocated_bytes=usage.gpu_allocated_bytes,
            gpu_reserved_bytes=usage.gpu_reserved_bytes,
            **self._read_counted(),
        )

    def _read_counted(self) -> dict[str, int | None]:
        """What the owner counts, by the names that summary and samples have for it."""
        metered = self.read_metered()
        staging = metered.staging
        return {
            "metered_peak_bytes": metered.peak_bytes,
            "staging_allocated_bytes": None if staging is None else staging.allocated_bytes,
            "staging_reused_bytes": None if staging is None else staging.reused_bytes,
        }

    def _run(self) -> None:
        while not self._ended.wait(self._interval_s):
            usage = self._sample()
            available, total = read_system_memory()
            gpu_allocated, gpu_reserved, gpu_total = usage.gpu_now or (None, None, None)
            self._look_at_card()
            self._events.emit(
                MemorySampled(
                    resident_bytes=usage.resident_bytes,
                    peak_resident_bytes=self._peak_bytes,
                    available_bytes=available,
                    total_bytes=total,
                    gpu_allocated_bytes=gpu_allocated,
                    gpu_reserved_bytes=gpu_reserved,
                    gpu_total_bytes=gpu_total or self._card.total_bytes,
                    gpu_free_bytes=self._card.free_bytes,
                    gpu_utilisation_share=self._card.utilisation_share,
                    gpu_temperature_celsius=self._card.temperature_celsius,
                    gpu_power_watts=self._card.power_watts,
                    gpu_throttled=None if self._card.name is None else bool(self._card.throttling),
                    **self._read_counted(),
                )
            )

    def _look_at_card(self) -> None:
        """Now and then: some of its figures take a driver milliseconds."""
        now = time.monotonic()
        if now - self._card_read >= _CARD_INTERVAL_S:
            self._card_read = now
            self._card = self.read_card() or GpuFigures()

    def _sample(self) -> ProcessUsage:
        usage = add_usage(read_process_usage(), self.read_child())
        self._peak_bytes = max(self._peak_bytes, usage.resident_bytes)
        return usage


def open_card(settings: RepairSettings) -> GpuReader | None:
    """A reader of the card that a run works on, which makes no CUDA context; None where it works on none."""
    if settings.device == "cpu":
        return None
    from cleanplate.device.selection import resolve_device

    try:
        device = resolve_device(settings.device)
    except UsageError:
        return None  # a pipeline that was given may work elsewhere
    return GpuReader(device.index or 0) if device.type == "cuda" else None


def add_usage(one: ProcessUsage, other: ProcessUsage | None) -> ProcessUsage:
    """What two processes take together. On the GPU only one of them works.

    >>> both = add_usage(
    ...     ProcessUsage(resident_bytes=5, cpu_seconds=1.0),
    ...     ProcessUsage(resident_bytes=2, cpu_seconds=0.5, gpu_allocated_bytes=7),
    ... )
    >>> both.resident_bytes, both.cpu_seconds, both.gpu_allocated_bytes, both.gpu_reserved_bytes
    (7, 1.5, 7, None)
    """
    if other is None:
        return one
    return ProcessUsage(
        resident_bytes=one.resident_bytes + other.resident_bytes,
        cpu_seconds=one.cpu_seconds + other.cpu_seconds,
        gpu_allocated_bytes=larger_of(one.gpu_allocated_bytes, other.gpu_allocated_bytes),
        gpu_reserved_bytes=larger_of(one.gpu_reserved_bytes, other.gpu_reserved_bytes),
        gpu_now=other.gpu_now or one.gpu_now,
    )


def larger_of(one: int | None, other: int | None) -> int | None:
    """The larger figure, of those that are there."""
    return max((figure for figure in (one, other) if figure is not None), default=None)


def read_gpu_peak() -> tuple[int | None, int | None]:
    """The most bytes that torch had allocated and reserved on the GPU; None where this process uses none."""
    if not is_cuda_in_use():
        return None, None
    torch = sys.modules["torch"]
    return int(torch.cuda.max_memory_allocated()), int(torch.cuda.max_memory_reserved())


def read_gpu_now() -> tuple[int, int, int] | None:
    """Bytes that torch has allocated and reserved on the GPU, and all that the card has; None: uses none."""
    if not is_cuda_in_use():
        return None
    cuda = sys.modules["torch"].cuda
    total = cuda.get_device_properties(cuda.current_device()).total_memory
    return int(cuda.memory_allocated()), int(cuda.memory_reserved()), int(total)
