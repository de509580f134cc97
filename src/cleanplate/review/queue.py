"""Work that waits its turn: one job at a time, never two on one photograph."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from cleanplate.review.refusal import BUSY, NOT_KNOWN, RefusalError

_log = logging.getLogger(__name__)

#: Waiting jobs that are told in full.
LISTED_JOBS = 100
#: Jobs that may wait together.
MOST_WAITING = 100_000


class Action(StrEnum):
    """What is to be done with a photograph."""

    AGAIN = "again"
    KEEP = "keep"


class State(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done with one photograph, and how far that is.

    id, name: the photograph's. method, threshold: the settings `inpaint` and `threshold`, None: the run's.
    mask: whether its painted mask says where the mark is; alike: whether the mark under it is first worked
    out from all photographs like this one. stage: "read", "estimate", "repair" or "write" while it runs.
    """

    job: int = 0
    id: str
    name: str
    action: Action
    method: str | None = None
    threshold: float | None = None
    mask: bool = False
    alike: bool = False
    state: State = State.WAITING
    stage: str | None = None
    cause: str | None = None
    remedy: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class JobFailedError(Exception):
    """A job could not be done; nothing has changed."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


class JobPutOffError(Exception):
    """The queue ends while a job is under way, and it was not finished: it waits for the next time."""


class JobQueue:
    """Does jobs in order, on one thread of its own.

    do: does a job, telling its stages; raises JobFailedError, or JobPutOffError. tell: hears of a job that
    has begun, come to its next stage, ended or waits again, in the queue's thread; it may ask the queue.
    """

    def __init__(self, do: Callable[[Job, Callable[[str], None]], None], tell: Callable[[Job], None]) -> None:
        self._do = do
        self._tell = tell
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._busy: dict[str, int] = {}
        self._number = self._finished = self._failed = 0
        self._held: str | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cleanplate-review", daemon=True)
        self._thread.start()

    def add(self, jobs: Sequence[Job]) -> list[Job]:
        """Queue jobs, all or none; what they are called from then on. Raises RefusalError."""
        with self._changed:
            if self._closed:
                raise RefusalError(BUSY, "the server is ending")
            names = [job.name for job in jobs if job.id in self._busy]
            if names or len({job.id for job in jobs}) < len(jobs):
                raise RefusalError(
                    BUSY, f"a job on {(names or ['one of them'])[0]} waits or runs already", "wait for it"
                )
            if len(self._waiting) + len(jobs) > MOST_WAITING:
                raise RefusalError(
                    BUSY, f"more than {MOST_WAITING} jobs would wait", "let some of them end first"
                )
            if not self._waiting and self._running is None:
                self._finished = self._failed = 0
            added = []
            for job in jobs:
                self._number += 1
                added.append(replace(job, job=self._number))
                self._busy[job.id] = self._number
            self._waiting.extend(added)
            self._changed.notify_all()
        return added

    def find(self, photo_id: str) -> Job | None:
        """The job that waits or runs on a photograph."""
        with self._changed:
            number = self._busy.get(photo_id)
            if number is None:
                return None
            if self._running is not None and self._running.job == number:
                return self._running
            return next((job for job in self._waiting if job.job == number), None)

    def is_busy(self, photo_id: str) -> bool:
        """Whether a job waits or runs on a photograph."""
        with self._changed:
            return photo_id in self._busy

    def list_jobs(self) -> dict[str, Job]:
        """The jobs that wait or run, by photograph."""
        with self._changed:
            running = [] if self._running is None else [self._running]
            return {job.id: job for job in (*running, *self._waiting)}

    def cancel(self, number: int | None = None) -> list[Job]:
        """Take a waiting job out, or all of them; what was taken out. Raises RefusalError where it runs."""
        with self._changed:
            if number is not None and self._running is not None and self._running.job == number:
                raise RefusalError(BUSY, "the job runs already", "wait for it")
            out = [job for job in self._waiting if number in (None, job.job)]
            if number is not None and not out:
                raise RefusalError(NOT_KNOWN, "there is no such job")
            for job in out:
                self._waiting.remove(job)
                del self._busy[job.id]
        return [replace(job, state=State.CANCELLED) for job in out]

    def hold(self, reason: str) -> None:
        """Begin no job for now. reason: a phrase for people."""
        with self._changed:
            self._held = reason

    def release(self) -> None:
        """Go on."""
        with self._changed:
            self._held = None
            self._changed.notify_all()

    def close(self) -> None:
        """Let the running job end, or be put off, and begin no other."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        with self._changed:
            running = self._running
            total = self._finished + self._failed + len(self._waiting) + (running is not None)
            return {
                "waiting": [job.to_json() for job in list(self._waiting)[:LISTED_JOBS]],
                "waiting_count": len(self._waiting),
                "running": None if running is None else running.to_json(),
                "finished": self._finished,
                "failed": self._failed,
                "total": total,
                "held": self._held,
            }

    def _run(self) -> None:
        while (job := self._take()) is not None:
            self._tell(job)
            self._end(self._do_one(job))

    def _take(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._waiting and self._held is None))
            if self._closed:
                return None
            self._running = replace(self._waiting.popleft(), state=State.RUNNING)
            return self._running

    def _do_one(self, job: Job) -> Job:
        try:
            self._do(job, self._note_stage)
        except JobPutOffError:
            return replace(job, state=State.WAITING)
        except JobFailedError as error:
            return replace(job, state=State.FAILED, cause=error.cause, remedy=error.remedy)
        except Exception as error:  # one job's trouble, of whatever kind, must not end the queue
            _log.exception("a job on %s failed", job.name)
            cause = f"{type(error).__name__}: {error}"
            return replace(job, state=State.FAILED, cause=cause, remedy="this is a fault in cleanplate")
        return replace(job, state=State.DONE)

    def _note_stage(self, stage: str) -> None:
        with self._changed:
            assert self._running is not None  # only the running job has stages
            self._running = replace(self._running, stage=stage)
            job = self._running
        self._tell(job)

    def _end(self, job: Job) -> None:
        with self._changed:
            self._running = None
            if job.state is State.WAITING:
                self._waiting.appendleft(job)
            else:
                del self._busy[job.id]
            self._failed += job.state is State.FAILED
            self._finished += job.state is State.DONE
        self._tell(job)
