"""Counting what the stream of events tells, for the summary."""

from __future__ import annotations

import time
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

from cleanplate.engine.events import Cleaned, Event, Paused, PhotoFinished, RunStarted, Warned
from cleanplate.engine.summary import RunSummary, Usage, advise, advise_on_marks
from cleanplate.structures import Outcome


class StageSeconds(Mapping[str, float]):
    """Seconds by stage, to seven digits, in a third of a dict's memory: a run keeps one a photograph.

    >>> StageSeconds({"read": 0.5}) == {"read": 0.5}
    True
    """

    __slots__ = ("_seconds", "_stages")

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._stages = _share(tuple(seconds))
        self._seconds = array("f", seconds.values())

    def __getitem__(self, stage: str) -> float:
        try:
            return self._seconds[self._stages.index(stage)]
        except ValueError:
            raise KeyError(stage) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)


@lru_cache(maxsize=64)
def _share(stages: tuple[str, ...]) -> tuple[str, ...]:
    """The same tuple for all photographs that went through the same stages."""
    return stages


class Counters:
    """A subscriber that can say what the run came to. Its clock starts when it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._work_began: float | None = None
        self._total = 0
        self._dry_run = False
        self._outcomes: list[Outcome] = []
        self._seconds: dict[str, float] = defaultdict(float)
        self._pauses: list[str] = []
        self._warnings: list[str] = []

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._work_began = time.monotonic()
                self._total, self._dry_run = event.total, event.dry_run
            case PhotoFinished():
                self._outcomes.append(replace(event.outcome, seconds=StageSeconds(event.outcome.seconds)))
                for stage, seconds in event.outcome.seconds.items():
                    self._seconds[stage] += seconds
            case Paused():
                self._pauses.append(f"{event.reason} ({event.seconds:.1f} s)")
            case Cleaned():
                self._pauses.append(event.reason)
            case Warned():
                self._warnings.append(event.message)

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """Count time that belongs to no photograph (loading the networks, planning)."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] += time.perf_counter() - began

    def summarise(
        self,
        *,
        finished_before: tuple[Outcome, ...],
        interrupted: bool,
        usage: Usage,
        marks: Sequence[str] = (),
    ) -> RunSummary:
        """What the events so far come to. marks: files of marks that were to be taken off."""
        now = time.monotonic()
        outcomes = tuple(sorted(self._outcomes, key=lambda outcome: outcome.relative))
        remaining = max(0, self._total - len(outcomes))
        notes = [*dict.fromkeys(self._warnings), *advise([*outcomes, *finished_before])]
        if not interrupted:
            notes += advise_on_marks([*outcomes, *finished_before], marks)
        if interrupted and remaining:
            one = remaining == 1
            what = "1 photograph was" if one else f"{remaining} photographs were"
            notes.append(f"{what} not reached; the same command goes on with {'it' if one else 'them'}")
        return RunSummary(
            outcomes=outcomes,
            finished_before=finished_before,
            remaining=remaining,
            interrupted=interrupted,
            dry_run=self._dry_run,
            seconds_by_stage=dict(self._seconds),
            wall_seconds=now - self._began,
            work_seconds=now - (self._work_began or now),
            usage=usage,
            pauses=tuple(self._pauses),
            notes=tuple(notes),
        )
