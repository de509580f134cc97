"""What became of every file: one JSON object a line, synced, so that a killed run loses nothing it finished.

Kinds of lines:

    started   a run began: under which key, how many photographs
    writing   a result is complete under a temporary name and is about to get its own
    finished  a photograph is done with; with a receipt where a result was written
    paused, cleaned, retried, warned, ended   what else happened, for whoever reads

A line that a crash tore is passed over; what it told is then done again.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from cleanplate.engine.events import Cleaned, Event, Paused, Retried, RunFinished, RunStarted, Warned
from cleanplate.engine.records import Receipt, outcome_from_json, outcome_to_json
from cleanplate.structures import Outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """A photograph whose result was written, and what both files were then."""

    outcome: Outcome
    receipt: Receipt


@dataclass(frozen=True)
class History:
    """What a journal tells about the files of an output folder.

    results: the latest entry for each name under the output folder. announced: the SHA-256 of
    results that were about to get a name, by that name; a crash may have come before their entry.
    """

    results: dict[str, Entry] = field(default_factory=dict)
    announced: dict[str, set[str]] = field(default_factory=dict)


def read_history(path: Path) -> History:
    """The history in a journal; an empty one where there is no journal.

    Raises OSError where the file is there but cannot be read.
    """
    history = History()
    for line in read_lines(path):
        try:
            _remember(history, line)
        except (KeyError, TypeError, ValueError):
            continue  # a line of another version: what it told is done again
    return history


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The journal's objects in order; torn lines are passed over, a missing journal has none."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for raw in stream:
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line


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
        self._lock = threading.Lock()
        # A torn last line must not swallow the next one.
        self._at_line_start = not path.exists() or _ends_in_newline(path)
        self._stream = path.open("ab", buffering=0)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()

    def announce(self, output: str, sha256: str) -> None:
        """Write down that a file of this content is about to get this name. Raises OSError."""
        self._append({"kind": "writing", "output": output, "sha256": sha256})

    def finish(self, outcome: Outcome, receipt: Receipt | None) -> None:
        """Write down what became of a photograph. Raises OSError."""
        entry: dict[str, Any] = {"kind": "finished", "outcome": outcome_to_json(outcome)}
        if receipt is not None:
            entry["receipt"] = receipt.to_json()
        self._append(entry)

    def __call__(self, event: Event) -> None:
        line = _line_of(event)
        if line is not None:
            try:
                self._append(line)
            except OSError:
                return  # these lines are for reading only; the photographs' own lines report a full disk

    def _append(self, line: dict[str, Any]) -> None:
        line["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
        encoded = json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            start = b"" if self._at_line_start else b"\n"
            self._at_line_start = False
            _write_all(self._stream.fileno(), start + encoded)
            self._at_line_start = True
            os.fsync(self._stream.fileno())


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _line_of(event: Event) -> dict[str, Any] | None:
    match event:
        case RunStarted():
            return {"kind": "started", "total": event.total, "skipped": event.skipped, "key": event.key}
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
