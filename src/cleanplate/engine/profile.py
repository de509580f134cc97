"""What `--profile DIR` writes: stage times as JSON, traces of torch's operations, on CUDA a memory snapshot.

`stages.json` has every stage's seconds, in all and by photograph. `trace-1.json.gz` and its successors hold
the first batches, one each, for chrome://tracing or ui.perfetto.dev; more would only be more of the same, and
gigabytes of it. `memory.pickle` is for pytorch.org/memory_viz.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cleanplate.device.memory import is_cuda_in_use
from cleanplate.engine.events import Event, RunFinished
from cleanplate.engine.summary import RunSummary
from cleanplate.errors import UsageError

_log = logging.getLogger(__name__)

#: Batches that are traced. The first one shows the warming-up.
TRACED_BATCHES = 3
#: Allocations that a memory snapshot goes back.
SNAPSHOT_ENTRIES = 100_000


class StageReport:
    """A subscriber that writes `stages.json` when the run has come to its end.

    Raises UsageError where the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise UsageError(
                f"{folder}: the profile's folder cannot be made ({exc.strerror}); give --profile another one"
            ) from exc
        self._folder = folder

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunFinished):
            text = json.dumps(describe_stages(event.summary), indent=2)
            (self._folder / "stages.json").write_text(text + "\n", encoding="utf-8")


def describe_stages(summary: RunSummary) -> dict[str, Any]:
    """The stages of a run as plain values. Seconds; shares are of the time after start-up.

    A stage's seconds are summed over the threads, so that all together may come to more than `work`.
    """
    return {
        "wall_seconds": summary.wall_seconds,
        "work_seconds": summary.work_seconds,
        "photographs": len(summary.outcomes),
        "photographs_per_second": summary.photographs_per_second,
        "cpu_share": summary.usage.cpu_share,
        "pauses": list(summary.pauses),
        "stages": {
            stage: _describe_stage(stage, seconds, summary)
            for stage, seconds in summary.seconds_by_stage.items()
        },
    }


def _describe_stage(stage: str, seconds: float, summary: RunSummary) -> dict[str, Any]:
    """median_seconds and slowest are by photograph; None for what belongs to none (loading, planning)."""
    times = {o.relative: o.seconds[stage] for o in summary.outcomes if stage in o.seconds}
    slowest = max(times, key=lambda name: times[name]) if times else None
    return {
        "seconds": seconds,
        "share_of_work": seconds / summary.work_seconds if times and summary.work_seconds > 0 else None,
        "photographs": len(times),
        "median_seconds": statistics.median(times.values()) if times else None,
        "slowest": slowest,
        "slowest_seconds": times[slowest] if slowest is not None else None,
    }


class Tracer:
    """Traces the first batches of a device's owner, in the thread and process where it works.

    folder: None: traces nothing. What cannot be written is logged, and then no more is traced: a profile must
    cost no photograph.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._traced = 0

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Trace the work inside the block, as the next batch."""
        folder = self._folder
        if folder is None or self._traced >= TRACED_BATCHES or "torch" not in sys.modules:
            yield
            return
        from torch.profiler import ProfilerActivity, profile, supported_activities

        self._traced += 1
        activities = supported_activities()  # type: ignore[no-untyped-call]  # torch's
        if is_cuda_in_use():
            self._record_memory()
        else:
            activities &= {ProfilerActivity.CPU}
        with profile(activities=activities, profile_memory=True) as recorded:
            yield
        try:
            folder.mkdir(parents=True, exist_ok=True)
            recorded.export_chrome_trace(str(folder / f"trace-{self._traced}.json.gz"))
            if is_cuda_in_use():
                self._dump_memory(folder)
        except (OSError, RuntimeError) as error:
            _log.warning("%s: no trace could be written (%s)", folder, error)
            self._folder = None

    def _record_memory(self) -> None:
        """From the first batch on. torch documents these functions, underscores and all."""
        import torch

        if self._traced == 1:
            torch.cuda.memory._record_memory_history(max_entries=SNAPSHOT_ENTRIES)

    def _dump_memory(self, folder: Path) -> None:
        import torch

        torch.cuda.memory._dump_snapshot(str(folder / "memory.pickle"))  # type: ignore[no-untyped-call]  # torch's
        if self._traced == TRACED_BATCHES:
            torch.cuda.memory._record_memory_history(enabled=None)
