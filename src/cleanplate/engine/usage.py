"""What the run takes of the machine, sampled in a thread: memory now and at its highest, processor time."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

from cleanplate.device.memory import is_cuda_in_use, read_process_memory, read_system_memory
from cleanplate.device.threads import count_cores
from cleanplate.engine.events import EventStream, MemorySampled
from cleanplate.engine.summary import Usage

_INTERVAL_S = 0.25


class UsageSampler:
    """Samples while entered and tells the stream; `read` gives the figures so far, at any time."""

    def __init__(self, events: EventStream, interval_s: float = _INTERVAL_S) -> None:
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
        now_bytes = self._sample()
        wall = time.monotonic() - self._began
        busy = time.process_time() - self._cpu_began
        allocated, reserved = read_gpu_peak()
        return Usage(
            cpu_share=min(1.0, busy / (wall * count_cores())) if wall > 0 else 0.0,
            memory_bytes=now_bytes,
            peak_memory_bytes=self._peak_bytes,
            gpu_allocated_bytes=allocated,
            gpu_reserved_bytes=reserved,
        )

    def _run(self) -> None:
        while not self._ended.wait(self._interval_s):
            resident = self._sample()
            available, _ = read_system_memory()
            allocated, reserved = read_gpu_peak()
            self._events.emit(
                MemorySampled(
                    resident_bytes=resident,
                    peak_resident_bytes=self._peak_bytes,
                    available_bytes=available,
                    gpu_allocated_bytes=allocated,
                    gpu_reserved_bytes=reserved,
                )
            )

    def _sample(self) -> int:
        resident = read_process_memory()
        self._peak_bytes = max(self._peak_bytes, resident)
        return resident


def read_gpu_peak() -> tuple[int | None, int | None]:
    """The most bytes that torch had allocated and reserved on the GPU; None where this process uses none."""
    if not is_cuda_in_use():
        return None, None
    torch = sys.modules["torch"]
    return int(torch.cuda.max_memory_allocated()), int(torch.cuda.max_memory_reserved())
