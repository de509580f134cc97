"""In what order and side by side with what the work is done: plainly, or overlapped.

Overlapped: a feeder admits batches, readers load them, one owner runs the device, writers store results. What
is between reading and writing is bounded in bytes; batches are admitted whole and in order, so nobody ever
waits for room that only a later batch could free. If any of the threads dies, all the others leave at their
next step and the error is raised to the caller; so it is where Ctrl-C reaches the caller.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from cleanplate.engine.conveyor import AbandonedError, Conveyor
from cleanplate.engine.owner import DeviceOwner
from cleanplate.engine.plan import Job
from cleanplate.engine.policy import choose_ahead_bytes, choose_batch_size
from cleanplate.engine.stop import StopRequest
from cleanplate.engine.work import Failed, Loaded, Repaired, Workbench
from cleanplate.images.measure import estimate_pixels
from cleanplate.settings import RepairSettings

#: Bytes a photograph's pixel takes between reading and writing. An 8-bit one: 3 to look at, 3 to 4 as stored,
#: 3 repaired, 5 for probability and mask, 1 for what changed; deeper ones go up to twice that.
HELD_BYTES_PER_PIXEL = 16

#: Decoding and encoding are short beside the networks; two of each keep them fed without taking their cores.
READERS = 2
WRITERS = 2

#: How long the caller waits at a time: so that Ctrl-C gets through on Windows too.
_TICK_S = 0.1

#: How long threads may take to leave after one of them has died.
_LEAVE_S = 10.0

#: The same after Ctrl-C, when the owner may be at any place of a batch: a thread that is in a network when
#: Python ends aborts the process. Another Ctrl-C ends the wait.
_IN_HAND_S = 60.0


def work_plainly(jobs: Sequence[Job], bench: Workbench, owner: DeviceOwner, stop: StopRequest) -> None:
    """One photograph after the other, in this thread."""
    for job in jobs:
        if stop.requested:
            return
        owner.before_batch()
        item = bench.load(job)
        for done in [item] if isinstance(item, Failed) else bench.repair([item]):
            bench.store(done)


class _Thread(threading.Thread):
    """A thread for one task. Ctrl-C in its `join` would have it count as ended, before Python 3.13."""

    def __init__(
        self, run: Callable[[Callable[[], None]], None], task: Callable[[], None], name: str
    ) -> None:
        super().__init__(target=run, args=(task,), name=f"cleanplate-{name}", daemon=True)
        self._left = threading.Event()

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._left.set()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, at the latest after so long."""
        if not self._left.wait(seconds):
            return False
        self.join(seconds)
        return True


@dataclass(frozen=True, eq=False)
class Overlap:
    """Readers, one device owner and writers side by side; the same results as `work_plainly`."""

    bench: Workbench
    owner: DeviceOwner
    stop: StopRequest
    settings: RepairSettings
    conveyor: Conveyor

    def run(self, jobs: Sequence[Job]) -> None:
        """Work until all is done or a stop is requested. Raises what ended a thread, or this one's wait.

        Then no thread is at work any more, unless one has taken longer than it may.
        """
        tasks: list[tuple[str, Callable[[], None]]] = [
            ("feeder", lambda: self._feed(jobs)),
            *[(f"reader-{number}", self._read) for number in range(READERS)],
            ("owner", self._own),
            *[(f"writer-{number}", self._write) for number in range(WRITERS)],
        ]
        threads = [_Thread(self._guarded, task, name) for name, task in tasks]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while self.conveyor.error is None and not thread.wait(_TICK_S):
                    pass
        except BaseException as error:
            self.conveyor.abandon(error)
            _wait(threads, _IN_HAND_S)
            raise
        if self.conveyor.error is not None:
            _wait(threads, _LEAVE_S)
            raise self.conveyor.error

    def _guarded(self, task: Callable[[], None]) -> None:
        try:
            task()
        except AbandonedError:
            return
        except BaseException as error:  # a thread that dies silently would leave the others waiting
            self.conveyor.abandon(error)

    def _feed(self, jobs: Sequence[Job]) -> None:
        settings = replace(self.settings, batch_size=choose_batch_size(self.settings))
        ahead_bytes = choose_ahead_bytes(self.settings)
        for batch, sizes in cut_batches(jobs, settings, self.conveyor.limit_bytes // 2):
            if self.stop.requested or not self.conveyor.admit(batch, sizes, ahead_bytes):
                break
        self.conveyor.close_entrance()

    def _read(self) -> None:
        while self._load_next():
            pass

    def _own(self) -> None:
        while not self.stop.requested and self._repair_next():
            pass
        self.conveyor.close_exit()

    # One step is a method of its own: waiting for the next one must not hold the pictures of this one.

    def _load_next(self) -> bool:
        place = self.conveyor.next_to_load()
        if place is None:
            return False
        self.conveyor.put_loaded(place, self.bench.load(place.job))
        return True

    def _repair_next(self) -> bool:
        with self.conveyor.holding_back():
            self.owner.before_batch()
        batch = self.conveyor.next_batch()
        if batch is None or self.stop.requested:
            return False
        self.conveyor.put_done(batch, self._repair(batch.take()))
        return True

    def _repair(self, items: Sequence[Loaded | Failed]) -> list[Repaired | Failed]:
        loaded = [item for item in items if isinstance(item, Loaded)]
        failed = [item for item in items if isinstance(item, Failed)]
        return [*failed, *(self.bench.repair(loaded) if loaded else [])]

    def _write(self) -> None:
        while self._store_next():
            pass

    def _store_next(self) -> bool:
        parcel = self.conveyor.next_to_store()
        if parcel is None:
            return False
        self.bench.store(parcel.item)
        nbytes = parcel.nbytes
        del parcel  # before its bytes are said to be free
        self.conveyor.put_stored(nbytes)
        return True


def cut_batches(
    jobs: Sequence[Job], settings: RepairSettings, most_bytes: int
) -> Iterator[tuple[list[Job], list[int]]]:
    """Batches of jobs, and what each job will hold in bytes.

    They are cut from the full list, so that interrupted work does not regroup the rest, and cut again where
    together they would take more than `most_bytes`.
    """
    for _, group in itertools.groupby(jobs, key=lambda job: job.number // settings.batch_size):
        batch: list[Job] = []
        sizes: list[int] = []
        for job in group:
            size = estimate_bytes(job, settings)
            if batch and sum(sizes) + size > most_bytes:
                yield batch, sizes
                batch, sizes = [], []
            batch.append(job)
            sizes.append(size)
        yield batch, sizes


def estimate_bytes(job: Job, settings: RepairSettings) -> int:
    """What a photograph will hold between reading and writing, from its file's header."""
    most_pixels = int(settings.max_megapixels * 1e6)
    return HELD_BYTES_PER_PIXEL * min(most_pixels, estimate_pixels(job.source.path))


def _wait(threads: Sequence[_Thread], most_s: float) -> None:
    """Wait for those that were started, so long for all of them together."""
    end = time.monotonic() + most_s
    for thread in threads:
        while thread.ident is not None and time.monotonic() < end and not thread.wait(_TICK_S):
            pass
