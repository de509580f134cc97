"""Watching memory while something else works: a thread that samples, thresholds, and small helpers.

Everything works without a GPU; what is not there is None in the samples and named in `CUDAMonitor.missing`.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psutil

from cleanplate.device.memory import (
    MemorySnapshot,
    is_cuda_in_use,
    read_memory,
    read_process_memory,
    release_memory,
)
from cleanplate.device.selection import resolve_device
from cleanplate.device.units import format_bytes
from cleanplate.errors import InvalidSettingError
from cleanplate.monitor.gpu import GpuReader
from cleanplate.monitor.samples import History, Sample, Statistic

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

#: A place is back to normal only this far below its threshold, so that it does not flicker.
HYSTERESIS = 0.05
#: Samples kept: an hour at one a second.
HISTORY_LENGTH = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A threshold was crossed. place: "GPU" or "system". level: "normal", "warning" or "critical"."""

    place: str
    level: str
    share: float
    sample: Sample

    def __str__(self) -> str:
        return f"{self.place} memory is at {self.share:.0%}: {self.level}"


class CUDAMonitor:
    """Samples memory in a thread.

    device: `auto` (None), `cpu`, `cuda`, `cuda:N` or a torch device. interval: seconds between samples.
    warning, critical: used shares in (0, 1] at which callbacks are told. history: samples kept. Watching
    makes no CUDA context: what torch holds is told where this process uses the card, the rest comes from
    NVML (extra `gpu`).

    >>> with CUDAMonitor("cpu", interval=60) as monitor:
    ...     monitor.snapshot().process_bytes > 0
    True
    """

    def __init__(
        self,
        device: torch.device | str | None = None,
        interval: float = 1.0,
        warning: float = 0.8,
        critical: float = 0.9,
        *,
        history: int = HISTORY_LENGTH,
    ) -> None:
        if not interval > 0:
            raise InvalidSettingError("interval", interval, "seconds above 0")
        if not 0 < warning <= critical <= 1:
            raise InvalidSettingError(
                "warning and critical", (warning, critical), "shares, 0 < warning <= critical <= 1"
            )
        self.device = resolve_device(device or "auto") if isinstance(device, str | None) else device
        self.interval = interval
        self.thresholds = {"critical": critical, "warning": warning}
        self._gpu = GpuReader(self.device.index or 0)
        self._lock = threading.Lock()
        self._history = History(history)
        self._levels: dict[str, str] = {}
        self._callbacks: list[Callable[[Crossing], None]] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be told on this machine, as sentences."""
        missing = [] if self.device.type == "cuda" else ["torch sees no CUDA card: no GPU figures"]
        return (*missing, self._gpu.missing) if self._gpu.missing else tuple(missing)

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    @property
    def history(self) -> tuple[Sample, ...]:
        """The samples of the recent past, oldest first."""
        with self._lock:
            return tuple(self._history)

    def start_monitoring(self) -> Self:
        """Begin to sample; does nothing when begun."""
        if self._thread is None:
            # Each thread has its own: one that was stopped in a callback has yet to look, and must not go on.
            self._ended = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._ended,), name="cleanplate-monitor", daemon=True
            )
            self._thread.start()
        return self

    def stop_monitoring(self) -> None:
        """End sampling, with one last sample; does nothing when ended. It can be begun again."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._ended.set()
            if thread is not threading.current_thread():
                thread.join()
            self.sample()

    start = start_monitoring
    stop = stop_monitoring

    def __enter__(self) -> Self:
        return self.start_monitoring()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop_monitoring()

    def on_threshold(self, callback: Callable[[Crossing], None]) -> None:
        """Have `callback` told, in the sampling thread, whenever a place's level changes."""
        self._callbacks.append(callback)

    def snapshot(self) -> MemorySnapshot:
        """Memory now."""
        return self._look().memory

    def sample(self) -> Sample:
        """Take a sample now, into the history and against the thresholds."""
        sample = self._look()
        with self._lock:
            self._history.add(sample)
            crossings = list(self._cross(sample))
        for crossing in crossings:
            self._tell(crossing)
        return sample

    def summary(self) -> dict[str, Statistic]:
        """Each figure's value now, peak, mean and count over all samples."""
        with self._lock:
            return self._history.summarise()

    def clean(self, aggressive: bool = False) -> int:
        """Give back what nothing uses; bytes gained. See `clean`."""
        return clean(self.device, aggressive=aggressive)

    def log_memory_usage(self, prefix: str = "") -> str:
        """Print a line on memory now; returns it."""
        return log_memory_usage(prefix, device=self.device)

    def _run(self, ended: threading.Event) -> None:
        self.sample()
        while not ended.wait(self.interval):
            self.sample()

    def _look(self) -> Sample:
        memory, gpu = read_memory(self.device), self._gpu.read()
        if gpu is not None and memory.free_bytes is None:
            memory = dataclasses.replace(memory, free_bytes=gpu.free_bytes, total_bytes=gpu.total_bytes)
        return Sample(seconds=time.time(), memory=memory, gpu=gpu, cpu_share=psutil.cpu_percent() / 100.0)

    def _cross(self, sample: Sample) -> Iterator[Crossing]:
        shares = {"system": sample.memory.system_used_share}
        if self.device.type == "cuda":
            shares["GPU"] = sample.memory.used_share
        for place, share in shares.items():
            if share is None:
                continue
            before = self._levels.get(place, "normal")
            level = self._find_level(share, before)
            if level != before:
                self._levels[place] = level
                yield Crossing(place=place, level=level, share=share, sample=sample)

    def _find_level(self, share: float, before: str) -> str:
        for level, threshold in self.thresholds.items():
            held = before in ("critical", level) and share >= threshold - HYSTERESIS
            if share >= threshold or (held and before == level):
                return level
        return "normal"

    def _tell(self, crossing: Crossing) -> None:
        for callback in list(self._callbacks):
            try:
                callback(crossing)
            except Exception:  # a listener's mistake must not end the watching
                _log.exception("a callback of the monitor failed")


@dataclass(slots=True)
class MemoryUse:
    """What a block of work took: bytes before, after, and at most.

    Of the card where it is in use, else of the process (whose peak is not known).
    """

    before_bytes: int
    after_bytes: int | None = None
    peak_bytes: int | None = None


@contextmanager
def cuda_memory(device: torch.device | str | None = None) -> Iterator[MemoryUse]:
    """Work that leaves memory as it found it: cleaned before and after, also when it raises.

    >>> with cuda_memory("cpu") as use:
    ...     work = [0] * 1000
    >>> use.after_bytes > 0
    True
    """
    chosen = resolve_device(device or "auto") if isinstance(device, str | None) else device
    release_memory(chosen)
    on_card = chosen.type == "cuda" and is_cuda_in_use()
    if on_card:
        import torch

        torch.cuda.reset_peak_memory_stats(chosen)
    use = MemoryUse(_held_bytes(chosen))
    try:
        yield use
    finally:
        if on_card:
            use.peak_bytes = int(torch.cuda.max_memory_reserved(chosen))
        release_memory(chosen)
        use.after_bytes = _held_bytes(chosen)


def clean(device: torch.device | str | None = None, *, aggressive: bool = False) -> int:
    """Give back what nothing uses; bytes gained, of the card where it is in use, else of the process.

    aggressive: also wait for the card's work under way, and free memory shared with processes that have
    ended.
    """
    chosen = resolve_device(device or "auto") if isinstance(device, str | None) else device
    before = _held_bytes(chosen)
    if aggressive and chosen.type == "cuda" and is_cuda_in_use():
        import torch

        torch.cuda.synchronize(chosen)
        torch.cuda.ipc_collect()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    release_memory(chosen, thorough=True)
    return max(0, before - _held_bytes(chosen))


def log_memory_usage(
    prefix: str = "",
    device: torch.device | str | None = None,
    *,
    write: Callable[[str], object] = print,
) -> str:
    """Write a line on memory now, after `prefix`; returns it.

    >>> line = log_memory_usage("before - ", "cpu", write=lambda line: None)
    >>> line.startswith("before - process ")
    True
    """
    chosen = resolve_device(device or "auto") if isinstance(device, str | None) else device
    line = prefix + describe_memory(read_memory(chosen))
    write(line)
    return line


def describe_memory(memory: MemorySnapshot) -> str:
    """A snapshot as a line for people.

    >>> describe_memory(MemorySnapshot(device="cpu", process_bytes=2_000_000))
    'process 2 MB, system ? of ? available'
    """
    parts = []
    if memory.device.startswith("cuda"):
        parts.append(
            f"{memory.device} {format_bytes(memory.allocated_bytes)} allocated, "
            f"{format_bytes(memory.reserved_bytes)} reserved, {format_bytes(memory.free_bytes)} free"
        )
    parts.append(f"process {format_bytes(memory.process_bytes)}")
    available, total = memory.system_available_bytes, memory.system_total_bytes
    parts.append(f"system {format_bytes(available)} of {format_bytes(total)} available")
    return ", ".join(parts)


def _held_bytes(device: torch.device) -> int:
    if device.type == "cuda" and is_cuda_in_use():
        return read_memory(device).reserved_bytes or 0
    return read_process_memory()
