"""The photographs of an output folder: what became of each, what a person decided, what is painted."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cleanplate.engine.decisions import Decision, Verb, is_reviewed, read_decisions, write_decisions
from cleanplate.engine.journal import Entry, HistoryReader
from cleanplate.engine.lines import LineFile
from cleanplate.engine.workspace import Workspace, sync_folder
from cleanplate.report import ReportData, ReportPhoto, collect, describe_photo, photo_id
from cleanplate.review.refusal import BUSY, NOT_KNOWN, RefusalError
from cleanplate.structures import Outcome

PAINTED = "painted"
#: What names a mask that was painted on another photograph.
_HANDED_ON = ".handed-on"


class Album:
    """Knows a folder's photographs by id; any thread may ask. Making one reads journal and decisions."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self.workspace = Workspace(output)
        self._lock = threading.RLock()
        self._history = HistoryReader(self.workspace.journal)
        self._decisions = read_decisions(self.workspace.decisions)
        self._decision_lines: LineFile | None = None
        masks = {path.stem for path in (self.workspace.state / PAINTED).glob("*.png")}
        self._handed_on = {stem.removesuffix(_HANDED_ON) for stem in masks if stem.endswith(_HANDED_ON)}
        self._painted = {stem for stem in masks if not stem.endswith(_HANDED_ON)}
        self._revisions: Counter[str] = Counter()
        self._photos = {photo.id: photo for photo in self.collect().photos}

    def close(self) -> None:
        """Write no more decisions."""
        with self._lock:
            if self._decision_lines is not None:
                self._decision_lines.close()
                self._decision_lines = None

    def collect(self) -> ReportData:
        """What the report tells of the folder; nothing where no run has written yet."""
        return collect(self.output) if self.workspace.journal.is_file() else ReportData.empty(self.output)

    @property
    def has_changed(self) -> bool:
        """Whether anything but what was read at first is known by now."""
        with self._lock:
            return bool(self._revisions)

    def find(self, photo_id: str) -> ReportPhoto:
        """The photograph of this id. Raises RefusalError."""
        with self._lock:
            photo = self._photos.get(photo_id)
        if photo is None:
            raise RefusalError(NOT_KNOWN, "there is no such photograph", "load the page again")
        return photo

    def list(self) -> list[ReportPhoto]:
        """All photographs."""
        with self._lock:
            return list(self._photos.values())

    def put(self, outcome: Outcome) -> ReportPhoto:
        """Take note of what became of a photograph just now."""
        entry = None if outcome.output is None else self.read_entry(outcome.output)
        sha256 = None if entry is None else entry.receipt.output.sha256
        photo = ReportPhoto(outcome=outcome, at=time.time(), output_sha256=sha256)
        with self._lock:
            self._photos[photo.id] = photo
            self._revisions[photo.id] += 1
        return photo

    def read_entry(self, output: str) -> Entry | None:
        """The journal's entry of a result; None where there is none."""
        with self._lock:
            return self._history.read().results.get(output)

    def describe(self, photo: ReportPhoto, job: Mapping[str, Any] | None) -> dict[str, Any]:
        """A photograph's record, with what the review knows of it."""
        record = describe_photo(self.output, photo.outcome, at=photo.at)
        return self.lay_over(record, photo, job)

    def lay_over(
        self, record: dict[str, Any], photo: ReportPhoto, job: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The report's record of a photograph, with what the review knows of it."""
        with self._lock:
            painted = photo.id in self._painted or photo.id in self._handed_on
            if painted:
                mask = f"/pictures/{photo.id}/mask"
                record = {**record, "pictures": {**record.get("pictures", {}), "mask": mask}}
            verb = self._find_verb(photo)
            return {
                **record,
                "review": {
                    "decision": None if verb is None else verb.value,
                    "redone": is_reviewed(photo.outcome.settings_key),
                    "painted": painted,
                    "revision": self._revisions[photo.id],
                    "job": job,
                },
            }

    def is_decided(self, photo: ReportPhoto) -> bool:
        """Whether a person has approved it or kept its original."""
        with self._lock:
            return self._find_verb(photo) is not None

    def _find_verb(self, photo: ReportPhoto) -> Verb | None:
        decision = self._decisions.get(_key(photo))
        holds = decision is not None and decision.sha256 == photo.output_sha256
        return decision.verb if decision is not None and holds else None

    def make_decision(self, photo: ReportPhoto, verb: Verb) -> Decision:
        """A decision about a photograph's result as it is now.

        Raises RefusalError where it has none, or is to approve what is no longer as it was written.
        """
        name = photo.outcome.output
        entry = None if name is None or not photo.has_result else self.read_entry(name)
        if name is None or entry is None:
            raise RefusalError(
                BUSY, "this photograph has no result", "do it again first, or keep the original"
            )
        if verb is Verb.APPROVED and not self._still_fits(entry, name):
            raise RefusalError(
                BUSY,
                "this photograph's result was changed or removed since it was written",
                "do it again, or keep your own version in another folder",
            )
        return Decision(verb, _key(photo), name, entry.receipt.output.sha256)

    def _still_fits(self, entry: Entry, name: str) -> bool:
        try:
            return entry.receipt.output.still_fits(self.workspace.destination(name))
        except OSError:
            return False

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Write decisions down together. Raises OSError."""
        with self._lock:
            if self._decision_lines is None:
                self._decision_lines = LineFile(self.workspace.decisions)
            write_decisions(self._decision_lines, decisions)
            for decision in decisions:
                self._note(decision)

    def _note(self, decision: Decision) -> None:
        key = photo_id(decision.source)
        self._photos[key] = replace(self._photos[key], output_sha256=decision.sha256)
        self._revisions[key] += 1
        if decision.verb is Verb.REOPENED:
            self._decisions.pop(decision.source, None)
        else:
            self._decisions[decision.source] = decision

    def painted_file(self, photo: ReportPhoto) -> Path | None:
        """The painted mask of a photograph, else one that was handed on to it; None without either."""
        with self._lock:
            if photo.id in self._painted:
                return self._mask_path(photo)
            return self._mask_path(photo, _HANDED_ON) if photo.id in self._handed_on else None

    def has_own_mask(self, photo: ReportPhoto) -> bool:
        """Whether a mask was painted on this photograph itself."""
        with self._lock:
            return photo.id in self._painted

    def paint(self, photo: ReportPhoto, png: bytes, *, handed_on: bool = False) -> None:
        """Save a painted mask, whole or not at all. Raises OSError.

        handed_on: it was painted on another photograph, and stays behind one that is this one's own.
        """
        target = self._mask_path(photo, _HANDED_ON if handed_on else "")
        with self._lock:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(target, png)
            (self._handed_on if handed_on else self._painted).add(photo.id)
            self._revisions[photo.id] += 1

    def unpaint(self, photo: ReportPhoto) -> None:
        """Forget the painted mask, and one that was handed on. Raises OSError."""
        with self._lock:
            for masks, kind in ((self._painted, ""), (self._handed_on, _HANDED_ON)):
                self._mask_path(photo, kind).unlink(missing_ok=True)
                masks.discard(photo.id)
            self._revisions[photo.id] += 1

    def list_relatives(self) -> Iterable[str]:
        """The names of all photographs below their inputs."""
        return [photo.outcome.relative for photo in self.list()]

    def _mask_path(self, photo: ReportPhoto, kind: str = "") -> Path:
        return self.workspace.state / PAINTED / f"{photo.id}{kind}.png"


def _key(photo: ReportPhoto) -> str:
    return str(photo.outcome.source.absolute())


def _write_whole(target: Path, data: bytes) -> None:
    staged = target.with_name(f"{target.name}.tmp")
    try:
        with staged.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        staged.replace(target)
        sync_folder(target.parent)
    finally:
        staged.unlink(missing_ok=True)
