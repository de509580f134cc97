"""What the threads of a run share: places for photographs on their way, bounded in bytes, under one lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cleanplate.engine.plan import Job
from cleanplate.engine.shares import MemoryShares
from cleanplate.engine.work import Failed, Loaded, Repaired

#: Batches that may be admitted before the owner takes them up. More would only make a stop take longer.
AHEAD_BATCHES = 3


class AbandonedError(Exception):
    """Another thread has died: leave."""


class Batch:
    """Photographs admitted together; filled by readers in any order. dropped: nobody waits for it."""

    def __init__(self, jobs: Sequence[Job], sizes: Sequence[int]) -> None:
        self.jobs = jobs
        self.sizes = {job.source.relative: size for job, size in zip(jobs, sizes, strict=True)}
        self.dropped = False
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

    def drop(self) -> list[Job]:
        """Let go of what was loaded; gives the jobs of those."""
        self.dropped = True
        loaded = [job for job, item in zip(self.jobs, self._items, strict=True) if item is not None]
        self._items = []
        return loaded


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
    their way together; shares: what they share with the networks' work. One that is larger alone is let in
    when nothing else is on its way: then no work is either that would have to end first. Work that cannot be
    made any smaller may ask for what was read ahead: that is dropped, and let in again later.
    """

    def __init__(self, limit_bytes: int, shares: MemoryShares | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.shares = shares or MemoryShares()
        self.error: BaseException | None = None
        self._changed = self.shares.changed
        self._to_load: deque[Place] = deque()
        self._batches: deque[Batch] = deque()
        self._dropped: deque[Batch] = deque()
        self._to_store: deque[Parcel] = deque()
        self._entrance_closed = False
        self._exit_closed = False
        self._held_back = False
        self.shares.drop_waiting = self._drop_waiting

    @property
    def held_bytes(self) -> int:
        """What the photographs on their way take, as estimated from their headers."""
        return self.shares.queued_bytes

    def admit(self, jobs: Sequence[Job], sizes: Sequence[int], ahead_bytes: int | None = None) -> bool:
        """Let a batch in as soon as there is room; False when the owner takes no more.

        ahead_bytes: what may wait for the owner with it, beside the limit; a batch that would wait alone is
        let in.
        """
        batch = Batch(jobs, sizes)

        def is_wanted() -> bool:
            ahead = sum(sum(waiting.sizes.values()) for waiting in (*self._batches, batch))
            return not self._batches or ahead_bytes is None or ahead <= ahead_bytes

        def may_enter() -> bool:
            return not self._dropped and is_wanted() and self._has_room(batch)

        with self._changed:
            self._wait_until(lambda: self._exit_closed or may_enter())
            if self._exit_closed:
                return False
            self._let_in(batch)
            return True

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """While inside, nothing is let in and nothing more is read: memory may be short."""
        with self._changed:
            self._held_back = True
        try:
            yield
        finally:
            with self._changed:
                self._held_back = False
                self._changed.notify_all()

    def close_entrance(self) -> None:
        """Say that no more batches come."""
        with self._changed:
            self._entrance_closed = True
            self._changed.notify_all()

    def next_to_load(self) -> Place | None:
        """The next photograph to read; None when there are no more."""
        with self._changed:
            self._wait_until(self._has_reading)
            return self._to_load.popleft() if self._to_load else None

    def put_loaded(self, place: Place, item: Loaded | Failed) -> None:
        with self._changed:
            if place.batch.dropped:
                self.shares.queue(-place.batch.sizes[place.job.source.relative])
            else:
                place.batch.fill(place.index, item)
            self._changed.notify_all()

    def next_batch(self) -> Batch | None:
        """The next batch in order, all of it loaded; None when there are no more."""

        def is_ready() -> bool:
            self._let_in_dropped()
            if self._batches:
                return self._batches[0].is_full
            return self._entrance_closed and not self._dropped

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
            self._dropped.clear()
            self._exit_closed = True
            self._changed.notify_all()

    def next_to_store(self) -> Parcel | None:
        """The next result to write; None when there are no more."""
        with self._changed:
            self._wait_until(lambda: bool(self._to_store) or self._exit_closed)
            return self._to_store.popleft() if self._to_store else None

    def put_stored(self, nbytes: int) -> None:
        self.shares.queue(-nbytes)

    def abandon(self, error: BaseException) -> None:
        """End it: everyone who waits, or comes to wait, gets AbandonedError. The first error is kept."""
        with self._changed:
            if self.error is None:
                self.error = error
            self._changed.notify_all()

    def _has_room(self, batch: Batch) -> bool:
        if self._held_back or len(self._batches) >= AHEAD_BATCHES:
            return False
        nbytes = sum(batch.sizes.values())
        fits = self.held_bytes + nbytes <= self.limit_bytes and self.shares.has_room(nbytes)
        return fits or self.held_bytes == 0

    def _let_in(self, batch: Batch) -> None:
        self.shares.queue(sum(batch.sizes.values()))
        self._batches.append(batch)
        self._to_load.extend(Place(job, batch, index) for index, job in enumerate(batch.jobs))
        self._changed.notify_all()

    def _let_in_dropped(self) -> None:
        while self._dropped and self._has_room(self._dropped[0]):
            self._let_in(self._dropped.popleft())

    def _is_reading_over(self) -> bool:
        """What was read may have to be read again until the owner has taken it up."""
        return self._exit_closed or (self._entrance_closed and not (self._batches or self._dropped))

    def _has_reading(self) -> bool:
        """Whether a reader has something to do, or nothing ever again."""
        self._let_in_dropped()
        return (bool(self._to_load) and not self._held_back) or self._is_reading_over()

    def _drop_waiting(self) -> int:
        """Drop the batches that nobody has taken up; bytes that this gives back now. They are read again."""
        freed = 0
        with self._changed:
            while self._batches:
                batch = self._batches.pop()
                waiting = [place.job for place in self._to_load if place.batch is batch]
                for job in (*batch.drop(), *waiting):  # the others are just being read (see `put_loaded`)
                    freed += batch.sizes[job.source.relative]
                self._dropped.appendleft(Batch(batch.jobs, list(batch.sizes.values())))
            self._to_load.clear()
            self.shares.queue(-freed)
        return freed

    def _wait_until(self, is_true: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: self.error is not None or is_true())
        if self.error is not None:
            raise AbandonedError
