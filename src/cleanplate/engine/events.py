"""One stream of what happens in a run; progress, counters, journal and reports listen to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cleanplate.engine.summary import RunSummary
from cleanplate.structures import Outcome

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """Work begins. total: photographs to look at now; skipped: finished before and still valid.

    key: under what settings and networks a result is valid (`Outcome.settings_key`). settings: those that
    differ from the defaults, by name.
    """

    total: int
    skipped: int
    key: str = ""
    dry_run: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyStarted(Event):
    """Before the run starts, its photographs are looked through for a shared mark. photographs: how many."""

    photographs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFinished(Event):
    """That is over, whatever came of it; `MarkShared` follows where a mark was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkShared(Event):
    """Photographs share a mark, which is inverted. mark: its file. again: whether an earlier run found it.

    sharing: of so many photographs that were looked at, so many carry it. sha256: of the file. others:
    whether photographs that carry it are searched for other marks.
    """

    mark: str
    looked_at: int
    sharing: int
    sha256: str
    again: bool = False
    others: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFinished(Event):
    """One photograph is done with, for better or worse; its result and its journal line are on disk."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """Admission waited. reason: a sentence; seconds: how long."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned(Event):
    """Memory was cleaned up. reason: a sentence; freed_bytes: what that gained, None where nobody knows."""

    reason: str
    freed_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    """A piece of work failed for want of memory and is tried again, or given up.

    stage, batch, tile: what failed (tile: edge in pixels, None: whole). next_batch, next_tile: what comes
    next; next_batch 0: nothing, the item has failed. cause: the error's first line.
    """

    stage: str
    batch: int
    tile: int | None
    next_batch: int
    next_tile: int | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySampled(Event):
    """Memory at one moment: resident bytes of this process, free bytes of the machine, torch's on the GPU.

    total_bytes, gpu_total_bytes: all that machine and card have. gpu_free_bytes and what follows: what the
    card's driver tells; gpu_throttled: whether it runs slower than it could. metered_peak_bytes, staging_*:
    see `Usage`.
    """

    resident_bytes: int
    peak_resident_bytes: int
    available_bytes: int
    total_bytes: int | None = None
    gpu_allocated_bytes: int | None = None
    gpu_reserved_bytes: int | None = None
    gpu_total_bytes: int | None = None
    gpu_free_bytes: int | None = None
    gpu_utilisation_share: float | None = None
    gpu_temperature_celsius: float | None = None
    gpu_power_watts: float | None = None
    gpu_throttled: bool | None = None
    metered_peak_bytes: int | None = None
    staging_allocated_bytes: int | None = None
    staging_reused_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something the user should know; a sentence."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The last event of a run that came to its end, interrupted or not; not of one that an error ended."""

    summary: RunSummary


Subscriber = Callable[[Event], None]


class EventStream:
    """Hands every event to every subscriber, one event at a time, in the thread where it happened.

    A subscriber that raises is dropped and the others are told: a broken progress bar must not end a batch.
    """

    def __init__(self, subscribers: Sequence[Subscriber] = ()) -> None:
        self._subscribers = list(subscribers)
        self._lock = threading.RLock()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Tell it every event from now on."""
        with self._lock:
            self._subscribers.append(subscriber)

    def emit(self, event: Event) -> None:
        """Tell everyone. Never raises an Exception."""
        with self._lock:
            for subscriber in list(self._subscribers):
                try:
                    subscriber(event)
                except Exception as error:  # whatever a listener does wrong, the photographs go on
                    self._drop(subscriber, error)

    def _drop(self, subscriber: Subscriber, error: Exception) -> None:
        self._subscribers.remove(subscriber)
        name = getattr(subscriber, "__qualname__", type(subscriber).__qualname__)
        _log.info("a listener failed and is not told any more: %s", name, exc_info=error)
        self.emit(Warned(message=f"{name} failed and follows the run no longer ({error})"))
