"""What became of every file: one JSON object a line, synced, so that a killed run loses nothing it finished.

Kinds of lines:

    started   a run began: under which key and settings, how many photographs
    writing   a result is complete under a temporary name and is about to get its own
    finished  a photograph is done with; with a receipt where a result was written
    shared    a mark that the photographs share was found or taken up again: its file and what that holds
    paused, cleaned, retried, warned, ended   what else happened, for whoever reads

A line that a crash tore is passed over; what it told is then done again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from cleanplate.engine.events import (
    Cleaned,
    Event,
    MarkShared,
    Paused,
    Retried,
    RunFinished,
    RunStarted,
    Warned,
)
from cleanplate.engine.lines import LineFile, LineReader, read_lines
from cleanplate.engine.records import Receipt, outcome_from_json, outcome_to_json
from cleanplate.structures import Outcome

__all__ = ["Entry", "History", "HistoryReader", "Journal", "read_history", "read_lines"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A photograph whose result was written, and what both files were then."""

    outcome: Outcome
    receipt: Receipt


@dataclass(frozen=True)
class History:
    """What a journal tells about the files of an output folder.

    results: the latest entry for each name under the output folder. announced: the SHA-256 of
    results that were about to get a name, by that name; a crash may have come before their entry. decided:
    the SHA-256 of results that a person approved or chose, by name.
    """

    results: dict[str, Entry] = field(default_factory=dict)
    announced: dict[str, set[str]] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)


def read_history(path: Path) -> History:
    """The history in a journal; an empty one where there is no journal.

    Raises OSError where the file is there but cannot be read.
    """
    return HistoryReader(path).read()


class HistoryReader:
    """Follows the history of a journal that grows."""

    def __init__(self, path: Path) -> None:
        self._lines = LineReader(path)
        self._history = History()

    def read(self) -> History:
        """All that the journal tells by now; the same object each time. Raises OSError."""
        for line in self._lines.read():
            try:
                _remember(self._history, line)
            except (KeyError, TypeError, ValueError):
                continue  # a line of another version: what it told is done again
        return self._history


def _remember(history: History, line: dict[str, Any]) -> None:
    if line["kind"] == "writing":
        history.announced.setdefault(line["output"], set()).add(line["sha256"])
    elif line["kind"] == "finished" and line.get("receipt") is not None:
        outcome = outcome_from_json(line["outcome"])
        if outcome.output is not None:
            history.results[outcome.output] = Entry(outcome, Receipt.from_json(line["receipt"]))


class Journal:
    """Appends to the journal, from any thread; every line is on disk when its method returns.

    As a subscriber it also notes pauses, clean-ups and warnings; those it leaves out where the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._lines = LineFile(path)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()

    def announce(self, output: str, sha256: str) -> None:
        """Write down that a file of this content is about to get this name. Raises OSError."""
        self._lines.append({"kind": "writing", "output": output, "sha256": sha256})

    def finish(self, outcome: Outcome, receipt: Receipt | None) -> None:
        """Write down what became of a photograph. Raises OSError."""
        entry: dict[str, Any] = {"kind": "finished", "outcome": outcome_to_json(outcome)}
        if receipt is not None:
            entry["receipt"] = receipt.to_json()
        self._lines.append(entry)

    def __call__(self, event: Event) -> None:
        line = _line_of(event)
        if line is not None:
            try:
                self._lines.append(line)
            except OSError:
                return  # these lines are for reading only; the photographs' own lines report a full disk


def _line_of(event: Event) -> dict[str, Any] | None:
    match event:
        case RunStarted():
            line = {"kind": "started", "total": event.total, "skipped": event.skipped, "key": event.key}
            return {**line, "settings": dict(event.settings)} if event.settings else line
        case MarkShared():
            names = ("mark", "looked_at", "sharing", "sha256", "others")
            return {"kind": "shared", **{name: getattr(event, name) for name in names}}
        case Paused():
            return {"kind": "paused", "reason": event.reason, "seconds": event.seconds}
        case Cleaned():
            return {"kind": "cleaned", "reason": event.reason, "freed_bytes": event.freed_bytes}
        case Retried():
            sizes = {name: getattr(event, name) for name in ("batch", "tile", "next_batch", "next_tile")}
            return {"kind": "retried", "stage": event.stage, **sizes, "cause": event.cause}
        case Warned():
            return {"kind": "warned", "message": event.message}
        case RunFinished():
            counts = event.summary.counts
            return {"kind": "ended", "counts": counts, "interrupted": event.summary.interrupted}
        case _:
            return None
