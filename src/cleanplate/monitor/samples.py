"""Samples of memory over time: one sample, running figures, and the recent past."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cleanplate.device.memory import MemorySnapshot
from cleanplate.monitor.gpu import GpuFigures


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The machine at one moment. seconds: since 1970. cpu_share: of all processors, in [0, 1]."""

    seconds: float
    memory: MemorySnapshot
    gpu: GpuFigures | None = None
    cpu_share: float | None = None

    @property
    def figures(self) -> dict[str, float]:
        """What could be told, by name with its unit; `gpu_throttled`: 1 where the card slows down, else 0."""
        memory, gpu = self.memory, self.gpu or GpuFigures()
        on_card = memory.device.startswith("cuda")
        given: Mapping[str, float | None] = {
            "gpu_allocated_bytes": memory.allocated_bytes if on_card else None,
            "gpu_reserved_bytes": memory.reserved_bytes if on_card else None,
            "gpu_free_bytes": memory.free_bytes if on_card else None,
            "gpu_total_bytes": memory.total_bytes if on_card else None,
            "gpu_utilisation_share": gpu.utilisation_share,
            "gpu_temperature_celsius": gpu.temperature_celsius,
            "gpu_power_watts": gpu.power_watts,
            "gpu_throttled": None if self.gpu is None else float(bool(gpu.throttling)),
            "system_available_bytes": memory.system_available_bytes,
            "system_total_bytes": memory.system_total_bytes,
            "process_bytes": memory.process_bytes,
            "cpu_share": self.cpu_share,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Statistic:
    """One figure over time."""

    now: float
    peak: float
    mean: float
    count: int


class History:
    """The last `length` samples, and the statistics of all there ever were. One thread's, or locked
    outside."""

    def __init__(self, length: int) -> None:
        self._recent: deque[Sample] = deque(maxlen=length)
        self._now: dict[str, float] = {}
        self._peaks: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._recent)

    def __iter__(self) -> Iterator[Sample]:
        return iter(tuple(self._recent))

    def add(self, sample: Sample) -> None:
        """Take in a sample."""
        self._recent.append(sample)
        for name, value in sample.figures.items():
            self._now[name] = value
            self._peaks[name] = max(value, self._peaks.get(name, value))
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def summarise(self) -> dict[str, Statistic]:
        """Each figure's last value, peak, mean and count."""
        return {
            name: Statistic(now, self._peaks[name], self._sums[name] / count, count)
            for name, now in self._now.items()
            if (count := self._counts[name])
        }
