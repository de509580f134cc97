"""Following a run: its events go to the page's stream, and its pause button to the engine."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from cleanplate.engine.events import (
    Cleaned,
    Event,
    Paused,
    PhotoFinished,
    Retried,
    RunFinished,
    RunStarted,
    SurveyFinished,
    SurveyStarted,
    Warned,
)
from cleanplate.engine.hold import Hold
from cleanplate.engine.lines import LineReader
from cleanplate.engine.pauses import describe_cleaning
from cleanplate.engine.stop import StopRequest
from cleanplate.monitor.records import SAMPLES_FILE, read_samples
from cleanplate.report.collect import thin_samples
from cleanplate.review.desk import Desk
from cleanplate.review.refusal import BUSY, RefusalError
from cleanplate.structures import Verdict

#: How often pages are told how far the run is.
TELL_SECONDS = 0.5
MOST_SAMPLES = 10_000


class NoRun:
    """Nothing goes on: what a page is told of a run that has ended before it was opened."""

    is_live = False

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def to_json(self) -> dict[str, Any]:
        """As `LiveRun.to_json`."""
        return _describe("none")

    def list_samples(self) -> list[dict[str, Any]]:
        """Memory over the last run."""
        return _list_samples(self._desk)

    def pause(self) -> None:
        """Raises RefusalError."""
        raise RefusalError(BUSY, "no run is going on")

    def resume(self) -> None:
        """Raises RefusalError."""
        raise RefusalError(BUSY, "no run is going on")


class LiveRun:
    """A subscriber to a run's events, from being made until `end`.

    hold: the run's, to pause it with. stop: the run's, which ends a pause too.
    """

    def __init__(self, desk: Desk, hold: Hold, stop: StopRequest) -> None:
        self._desk = desk
        self._hold = hold
        self._stop = stop
        self._lock = threading.Lock()
        self._state = "running"
        self._total = self._skipped = self._surveyed = self._done = self._pauses = self._retries = 0
        self._counts: Counter[str] = Counter()
        self._began = time.time()
        self._samples = LineReader(desk.album.output / SAMPLES_FILE)
        self._told: dict[str, Any] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell_on, name="cleanplate-live", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The run is over, whether it said so or an error has ended it."""
        with self._lock:
            if self._state == "running":
                self._state = "failed"
        self._over.set()
        self._thread.join()
        self._tell()

    @property
    def is_live(self) -> bool:
        """Whether the run goes on."""
        with self._lock:
            return self._state == "running"

    def __call__(self, event: Event) -> None:
        match event:
            case SurveyStarted():
                with self._lock:
                    self._surveyed = self._total = event.photographs
            case SurveyFinished():
                with self._lock:
                    self._surveyed = 0
            case RunStarted():
                self._begin(event)
            case PhotoFinished():
                self._finish(event)
            case RunFinished():
                with self._lock:
                    self._state = "interrupted" if event.summary.interrupted else "finished"
            case Paused() | Cleaned() | Retried() | Warned():
                with self._lock:
                    self._pauses += isinstance(event, Paused)
                    self._retries += isinstance(event, Retried)
                self._desk.feed.publish("note", _describe_note(event))

    def to_json(self) -> dict[str, Any]:
        """How far the run is.

        rate: photographs a second. left_seconds: None where nobody can tell. surveyed: see `RunStatus`.
        """
        with self._lock:
            state = self._state
            if state == "running" and self._hold.asked and not self._stop.requested:
                state = "paused" if self._hold.reached else "pausing"
            elapsed = time.time() - self._began
            rate = self._done / elapsed if elapsed > 0 else 0.0
            return _describe(
                state,
                total=self._total,
                done=self._done,
                skipped=self._skipped,
                surveyed=self._surveyed,
                counts={verdict.value: self._counts[verdict.value] for verdict in Verdict},
                rate=round(rate, 3),
                left_seconds=round((self._total - self._done) / rate, 1) if rate else None,
                pauses=self._pauses,
                retries=self._retries,
                began=self._began,
            )

    def list_samples(self) -> list[dict[str, Any]]:
        """Memory over the run so far."""
        return _list_samples(self._desk)

    def pause(self) -> None:
        """Let the run finish what is in hand and wait. Raises RefusalError when it is over."""
        self._steer(self._hold.ask)

    def resume(self) -> None:
        """Let it go on. Raises RefusalError when it is over."""
        self._steer(self._hold.release)

    def _steer(self, turn: Callable[[], None]) -> None:
        with self._lock:
            if self._state != "running":
                raise RefusalError(BUSY, "no run is going on")
            turn()
        self._tell()

    def _begin(self, event: RunStarted) -> None:
        with self._lock:
            self._total, self._skipped, self._surveyed = event.total, event.skipped, 0
            self._began = time.time()
        self._tell()

    def _finish(self, event: PhotoFinished) -> None:
        with self._lock:
            self._done += 1
            self._counts[event.outcome.verdict.value] += 1
        photo = self._desk.album.put(event.outcome)
        self._desk.tell_photo(photo.id)

    def _tell_on(self) -> None:
        while not self._over.wait(TELL_SECONDS):
            self._tell()
            self._tell_samples()
        self._tell_samples()

    def _tell(self) -> None:
        """Tell how far the run is, where anything but the time has changed."""
        now = self.to_json()
        passing = ("rate", "left_seconds")
        steady = {name: value for name, value in now.items() if name not in passing}
        with self._lock:
            if steady == self._told:
                return
            self._told = steady
        self._desk.feed.publish("run", now)

    def _tell_samples(self) -> None:
        try:
            for sample in self._samples.read():
                if sample.get("seconds", 0) >= self._began:  # an earlier run's may still be there
                    self._desk.feed.publish("sample", sample)
        except OSError:
            return  # a chart's point that cannot be read is no reason to end anything


def _describe(state: str, **known: Any) -> dict[str, Any]:
    figures = {
        "total": 0,
        "done": 0,
        "skipped": 0,
        "surveyed": 0,
        "counts": {},
        "rate": 0.0,
        "left_seconds": None,
        "pauses": 0,
        "retries": 0,
        "began": None,
    }
    return {"state": state, **figures, **known}


def _describe_note(event: Event) -> dict[str, Any]:
    """What the page shows of an event beside the figures. lasted: seconds, of pauses."""
    note: dict[str, Any] = {"seconds": time.time()}
    match event:
        case Paused():
            text = f"{event.reason}; waited {event.seconds:.1f} s"
            return {**note, "kind": "paused", "text": text, "lasted": round(event.seconds, 3)}
        case Cleaned():
            return {**note, "kind": "cleaned", "text": describe_cleaning(event)}
        case Retried():
            text = f"{event.stage} of {event.batch}: {event.cause}"
            return {**note, "kind": "retried", "text": text}
        case _:
            return {**note, "kind": "warned", "text": getattr(event, "message", "")}


def _list_samples(desk: Desk) -> list[dict[str, Any]]:
    return thin_samples(read_samples(desk.album.output, last=1_000_000), MOST_SAMPLES)
