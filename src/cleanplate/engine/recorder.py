"""Writes a run's status and samples into its output folder, for `cleanplate monitor OUT` to watch."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from cleanplate.engine.events import (
    Cleaned,
    Event,
    MemorySampled,
    Paused,
    PhotoFinished,
    Retried,
    RunFinished,
    RunStarted,
    SurveyFinished,
    SurveyStarted,
)
from cleanplate.monitor.records import RunStatus, append_sample, clear_samples, write_status

#: Seconds between two writes of a file: watching must not slow the run.
WRITE_EVERY_SECONDS = 1.0


class RunRecorder:
    """A subscriber. output: the run's output folder; a dry run writes nothing.

    A context manager too: at its end it writes how a run ended that an error ended, and nothing after that.
    """

    def __init__(self, output: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._output = output
        self._clock = clock
        self._status = RunStatus(state="running", began=clock())
        self._images: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._status_written = self._sample_written = float("-inf")
        self._writes = False
        self._writing = threading.Lock()

    def __enter__(self) -> RunRecorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._writing:
            if error is not None and self._status.state == "running":
                self._change(state="failed" if isinstance(error, Exception) else "interrupted")
                with contextlib.suppress(OSError):  # the error is what the caller wants to hear of
                    self._write(now=True)
            self._writes = False

    def __call__(self, event: Event) -> None:
        with self._writing:
            self._note(event)

    def _note(self, event: Event) -> None:
        status = self._status
        match event:
            case SurveyStarted():
                self._begin()
                self._change(surveyed=event.photographs, total=event.photographs)
            case SurveyFinished():
                self._change(surveyed=0)
            case RunStarted():
                if not (event.dry_run or self._writes):
                    self._begin()
                self._change(total=event.total, skipped=event.skipped, surveyed=0)
            case PhotoFinished():
                self._count(event)
            case Retried():
                self._change(out_of_memory=status.out_of_memory + 1)
            case Paused():
                self._change(pauses=status.pauses + 1)
            case Cleaned():
                self._change(cleanings=status.cleanings + 1)
            case MemorySampled():
                self._change(metered_peak_bytes=event.metered_peak_bytes)
                self._append(event)
            case RunFinished():
                usage = event.summary.usage
                state = "interrupted" if event.summary.interrupted else "finished"
                self._change(state=state, metered_peak_bytes=usage.metered_peak_bytes)
        self._write(now=isinstance(event, SurveyStarted | SurveyFinished | RunStarted | RunFinished))

    def _begin(self) -> None:
        self._writes = True
        clear_samples(self._output)

    def _count(self, event: PhotoFinished) -> None:
        outcome = event.outcome
        self._images[outcome.verdict.value] = self._images.get(outcome.verdict.value, 0) + 1
        for stage, seconds in outcome.seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
        self._change(last=outcome.relative, images=dict(self._images), seconds=dict(self._seconds))

    def _change(self, **fields: object) -> None:
        self._status = dataclasses.replace(self._status, **fields)  # type: ignore[arg-type]  # any field

    def _write(self, *, now: bool) -> None:
        time_now = self._clock()
        if self._writes and (now or _is_due(time_now, self._status_written)):
            self._status_written = time_now
            self._change(updated=time_now)
            write_status(self._output, self._status)

    def _append(self, event: MemorySampled) -> None:
        time_now = self._clock()
        if self._writes and _is_due(time_now, self._sample_written):
            self._sample_written = time_now
            figures = {
                "process_bytes": event.resident_bytes,
                "system_available_bytes": event.available_bytes,
                "system_total_bytes": event.total_bytes,
                "gpu_allocated_bytes": event.gpu_allocated_bytes,
                "gpu_reserved_bytes": event.gpu_reserved_bytes,
                "gpu_total_bytes": event.gpu_total_bytes,
                "gpu_free_bytes": event.gpu_free_bytes,
                "gpu_utilisation_share": event.gpu_utilisation_share,
                "gpu_temperature_celsius": event.gpu_temperature_celsius,
                "gpu_power_watts": event.gpu_power_watts,
                "gpu_throttled": None if event.gpu_throttled is None else float(event.gpu_throttled),
                "metered_peak_bytes": event.metered_peak_bytes,
                "staging_allocated_bytes": event.staging_allocated_bytes,
                "staging_reused_bytes": event.staging_reused_bytes,
            }
            told = {name: value for name, value in figures.items() if value is not None}
            append_sample(self._output, {"seconds": time_now, **told})


def _is_due(time_now: float, written: float) -> bool:
    """Whether to write again; at once where the clock has been set back.

    >>> _is_due(100.0, 99.5), _is_due(101.0, 99.5), _is_due(40.0, 99.5)
    (False, True, True)
    """
    return not 0 <= time_now - written < WRITE_EVERY_SECONDS
