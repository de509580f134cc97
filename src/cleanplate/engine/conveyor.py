"""What the threads of a run share: places for photographs on their way, bounded in bytes, under one lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cleanplate.engine.plan import Job
from cleanplate.engine.work import Failed, Loaded, Repaired

#: Batches that may be admitted before the owner takes them up. More would only make a stop take longer.
AHEAD_BATCHES = 3


class AbandonedError(Exception):
    """Another thread has died: leave."""


class Batch:
    """Photographs admitted together; filled by readers in any order."""

    def __init__(self, jobs: Sequence[Job], sizes: Sequence[int]) -> None:
        self.sizes = {job.source.relative: size for job, size in zip(jobs, sizes, strict=True)}
        self._items: list[Loaded | Failed | None] = [None] * len(jobs)
        self._missing = len(jobs)

    @property
    def is_full(self) -> bool:
        return self._missing == 0

    def take(self) -> list[Loaded | Failed]:
        """What was loaded, in the jobs' order; the batch keeps none of it."""
        items = [item for item in self._items if item is not None]
        self._items = []
        return items

    def fill(self, index: int, item: Loaded | Failed) -> None:
        self._items[index] = item
        self._missing -= 1


@dataclass(frozen=True, eq=False)
class Place:
    """Where a reader's result belongs."""

    job: Job
    batch: Batch
    index: int


@dataclass(frozen=True, eq=False)
class Parcel:
    """What a writer stores, and the bytes that become free then."""

    item: Repaired | Failed
    nbytes: int


class Conveyor:
    """Takes photographs from the feeder to readers, to the device owner, to writers.

    Waiting happens here only, on one condition; `abandon` wakes everyone. limit_bytes: of all photographs on
    their way together; one that is larger alone is let in when nothing else is on its way.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.error: BaseException | None = None
        self._changed = threading.Condition()
        self._to_load: deque[Place] = deque()
        self._batches: deque[Batch] = deque()
        self._to_store: deque[Parcel] = deque()
        self._held_bytes = 0
        self._entrance_closed = False
        self._exit_closed = False

    @property
    def held_bytes(self) -> int:
        """What the photographs on their way take, as estimated from their headers."""
        return self._held_bytes

    def admit(self, jobs: Sequence[Job], sizes: Sequence[int], ahead_bytes: int | None = None) -> bool:
        """Let a batch in as soon as there is room; False when the owner takes no more.

        ahead_bytes: what may wait for the owner with it, beside the limit; a batch that would wait alone is
        let in.
        """
        nbytes = sum(sizes)

        def has_room() -> bool:
            fits = self._held_bytes + nbytes <= self.limit_bytes or self._held_bytes == 0
            ahead = sum(sum(batch.sizes.values()) for batch in self._batches)
            few = not self._batches or ahead_bytes is None or ahead + nbytes <= ahead_bytes
            return self._exit_closed or (fits and few and len(self._batches) < AHEAD_BATCHES)

        with self._changed:
            self._wait_until(has_room)
            if self._exit_closed:
                return False
            batch = Batch(jobs, sizes)
            self._held_bytes += nbytes
            self._batches.append(batch)
            self._to_load.extend(Place(job, batch, index) for index, job in enumerate(jobs))
            self._changed.notify_all()
            return True

    def close_entrance(self) -> None:
        """Say that no more batches come."""
        with self._changed:
            self._entrance_closed = True
            self._changed.notify_all()

    def next_to_load(self) -> Place | None:
        """The next photograph to read; None when there are no more."""
        with self._changed:
            self._wait_until(lambda: bool(self._to_load) or self._entrance_closed)
            return self._to_load.popleft() if self._to_load else None

    def put_loaded(self, place: Place, item: Loaded | Failed) -> None:
        with self._changed:
            place.batch.fill(place.index, item)
            self._changed.notify_all()

    def next_batch(self) -> Batch | None:
        """The next batch in order, all of it loaded; None when there are no more."""

        def is_ready() -> bool:
            return self._batches[0].is_full if self._batches else self._entrance_closed

        with self._changed:
            self._wait_until(is_ready)
            batch = self._batches.popleft() if self._batches else None
            self._changed.notify_all()
            return batch

    def put_done(self, batch: Batch, items: Sequence[Repaired | Failed]) -> None:
        with self._changed:
            self._to_store.extend(Parcel(item, batch.sizes[item.relative]) for item in items)
            self._changed.notify_all()

    def close_exit(self) -> None:
        """Say that the owner gives no more; what was admitted and not taken up is dropped."""
        with self._changed:
            self._to_load.clear()
            self._batches.clear()
            self._exit_closed = True
            self._changed.notify_all()

    def next_to_store(self) -> Parcel | None:
        """The next result to write; None when there are no more."""
        with self._changed:
            self._wait_until(lambda: bool(self._to_store) or self._exit_closed)
            return self._to_store.popleft() if self._to_store else None

    def put_stored(self, nbytes: int) -> None:
        with self._changed:
            self._held_bytes -= nbytes
            self._changed.notify_all()

    def abandon(self, error: BaseException) -> None:
        """End it: everyone who waits, or comes to wait, gets AbandonedError. The first error is kept."""
        with self._changed:
            if self.error is None:
                self.error = error
            self._changed.notify_all()

    def _wait_until(self, is_true: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self.error is not None or is_true())
        if self.error is not None:
            raise AbandonedError
