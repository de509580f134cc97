"""Jobs that wait, written down: a review that ends before it has done them goes on with them the next time.

`OUT/.cleanplate/waiting.jsonl` grows by a line for each job that is queued and each that has ended, and is
written anew when a review begins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cleanplate.engine.lines import LineFile, read_lines
from cleanplate.review.queue import Action, Job

#: Below the state folder.
WAITING_FILE = "waiting.jsonl"
#: What a job has only once it is queued, or done.
_PASSING = ("job", "state", "stage", "cause", "remedy")


class WaitingFile:
    """The jobs that wait, on disk; there is at most one of a photograph. Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: LineFile | None = None

    def read(self) -> list[Job]:
        """The jobs that were queued and have not ended, in order. Raises OSError where it cannot be read."""
        waiting: dict[str, Job] = {}
        for line in read_lines(self._path):
            try:
                _take(waiting, line)
            except (KeyError, TypeError, ValueError):
                continue  # a line of another version
        return list(waiting.values())

    def rewrite(self, jobs: Sequence[Job]) -> None:
        """Begin anew with these. Raises OSError; then everything is as it was."""
        self.close()
        staged = self._path.with_name(f"{self._path.name}.tmp")
        staged.unlink(missing_ok=True)
        with LineFile(staged) as lines:
            lines.append(*map(_to_line, jobs))
        staged.replace(self._path)

    def add(self, jobs: Sequence[Job]) -> None:
        """Write down that jobs are queued. Raises OSError."""
        self._append(map(_to_line, jobs))

    def end(self, jobs: Iterable[Job]) -> None:
        """Write down that jobs have ended, one way or another. Raises OSError."""
        self._append({"kind": "ended", "id": job.id} for job in jobs)

    def close(self) -> None:
        """Write no more; what waits is there for the next time."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        if self._lines is None:
            self._lines = LineFile(self._path)
        self._lines.append(*lines)


def _to_line(job: Job) -> dict[str, Any]:
    lasting = {name: value for name, value in job.to_json().items() if name not in _PASSING}
    return {"kind": "queued", **lasting}


def _take(waiting: dict[str, Job], line: Mapping[str, Any]) -> None:
    if line["kind"] == "ended":
        waiting.pop(line["id"], None)
    elif line["kind"] == "queued":
        names = {given.name for given in dataclasses.fields(Job)} - {*_PASSING, "action"}
        known = {name: line[name] for name in names if name in line}
        waiting[line["id"]] = Job(action=Action(line["action"]), **known)
