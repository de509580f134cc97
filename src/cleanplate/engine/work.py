"""What is done with one photograph: load it, have it repaired, store the result. Errors travel as items."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from cleanplate.device.memory import give_back_freed
from cleanplate.engine.events import EventStream, PhotoFinished
from cleanplate.engine.owner import DeviceOwner
from cleanplate.engine.plan import Job
from cleanplate.engine.records import Receipt, Stamp, read_stamp
from cleanplate.engine.workspace import Workspace, in_the_way
from cleanplate.errors import (
    CleanplateError,
    PhotoError,
    TooLittleMemoryError,
    UnreadablePhotoError,
    drop_frames,
)
from cleanplate.images.convert import has_format
from cleanplate.images.read import read
from cleanplate.images.write import WriteReport, copy_unchanged, write
from cleanplate.settings import RepairSettings
from cleanplate.structures import BoolArray, Outcome, Photo, Repair, Verdict

_log = logging.getLogger(__name__)


#: Of a photograph's pixels: after a larger one is stored, what encoding it took goes back to the system.
LARGE_BYTES = 6_000_000


@dataclass(frozen=True, eq=False)
class Loaded:
    """A photograph that was read. stamp: what its file was before that."""

    job: Job
    photo: Photo
    stamp: Stamp
    seconds: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Repaired:
    """A photograph that has been through the pipeline; its result is not stored yet."""

    loaded: Loaded
    repair: Repair
    seconds: Mapping[str, float]
    batch: int = 1

    @property
    def relative(self) -> str:
        return self.loaded.job.source.relative


@dataclass(frozen=True, eq=False)
class Failed:
    """A photograph that is given up, and why."""

    source: Path
    relative: str
    error: Exception
    seconds: Mapping[str, float] = field(default_factory=dict)


class Ledger(Protocol):
    """Where outcomes are written down: the journal."""

    def announce(self, output: str, sha256: str) -> None: ...

    def finish(self, outcome: Outcome, receipt: Receipt | None) -> None: ...


class Workbench:
    """Does the work of a run; every method may be called from any thread, `repair` from one only.

    journal: None for a dry run, which writes nothing at all. key: under what a result is valid.
    """

    def __init__(
        self,
        settings: RepairSettings,
        owner: DeviceOwner,
        workspace: Workspace,
        journal: Ledger | None,
        events: EventStream,
        key: str,
    ) -> None:
        self._settings = settings
        self._owner = owner
        self._workspace = workspace
        self._journal = journal
        self._events = events
        self._key = key

    def load(self, job: Job) -> Loaded | Failed:
        """Read a photograph. Never raises an Exception."""
        began = time.perf_counter()
        path = job.source.path
        try:
            stamp = _try_stamp(path)
            photo = read(path, max_megapixels=self._settings.max_megapixels)
            if stamp is None:
                raise UnreadablePhotoError(
                    path, "it could not be read at first", "run the same command again"
                )
        except Exception as error:  # a damaged file can make a decoder raise anything
            return _failed(job, error, {"read": time.perf_counter() - began})
        return Loaded(job, photo, stamp, {"read": time.perf_counter() - began})

    def repair(self, batch: Sequence[Loaded]) -> list[Repaired | Failed]:
        """Have photographs repaired together; one item each, in order."""
        answers = self._owner.repair([loaded.photo for loaded in batch])
        items: list[Repaired | Failed] = []
        for loaded, answer in zip(batch, answers, strict=True):
            seconds = {**loaded.seconds, **answer.seconds}
            if isinstance(answer.result, Exception):
                items.append(_failed(loaded.job, answer.result, seconds))
            else:
                items.append(Repaired(loaded, _lighten(answer.result), seconds, batch=len(batch)))
        return items

    def store(self, item: Repaired | Failed) -> None:
        """Write a result, journal it and tell of it. Whatever goes wrong with the files is an outcome too."""
        receipt = None
        if isinstance(item, Repaired):
            began = time.perf_counter()
            try:
                outcome, receipt = self._write(item)
            except Exception as error:  # an encoder's trouble is this photograph's alone
                item = _failed(item.loaded.job, error, item.seconds)
            else:
                seconds = {**item.seconds, "write": time.perf_counter() - began}
                outcome = replace(outcome, seconds=seconds)
        if isinstance(item, Failed):
            outcome = self._give_up(item)
        self._events.emit(PhotoFinished(outcome=self._record(outcome, receipt)))
        if isinstance(item, Repaired) and item.loaded.photo.nbytes > LARGE_BYTES:
            give_back_freed()

    def _record(self, outcome: Outcome, receipt: Receipt | None) -> Outcome:
        """Journal an outcome. A result that cannot be journalled is there, but counts as failed."""
        if self._journal is None:
            return outcome
        try:
            self._journal.finish(outcome, receipt)
        except OSError as error:
            if outcome.verdict is not Verdict.FAILED:
                cause = f"its result could not be journalled ({error.strerror or error})"
                remedy = "make room on the disk and run the same command again"
                return replace(outcome, verdict=Verdict.FAILED, cause=cause, remedy=remedy)
        return outcome

    def _write(self, item: Repaired) -> tuple[Outcome, Receipt | None]:
        """Raises PhotoError or OSError; then the result's name is as it was."""
        job = item.loaded.job
        outcome = self._describe(item)
        if self._journal is None:
            return outcome, None
        name = job.source.output
        staged = self._workspace.staged(name)
        try:
            report = self._encode(item, staged)
            notes = (*item.repair.first.notes, *report.notes, *self._make_way(job))
            self._write_mask(item.repair, name)
            stamp = Stamp(report.sha256, report.nbytes, staged.stat().st_mtime_ns)
            self._journal.announce(name, report.sha256)
            self._workspace.commit(staged, self._workspace.destination(name))
        finally:
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)
        return replace(outcome, output=name, notes=notes), Receipt(item.loaded.stamp, stamp)

    def _encode(self, item: Repaired, staged: Path) -> WriteReport:
        settings, photo, repair = self._settings, item.loaded.photo, item.repair
        temporary = self._workspace.temporary
        if repair.verdict is not Verdict.REPAIRED and has_format(photo.container, settings.format):
            return copy_unchanged(photo.path, staged, temporary_dir=temporary)
        return write(
            photo,
            repair.rgb,
            repair.changed,
            staged,
            temporary_dir=temporary,
            format=settings.format,
            quality=settings.quality,
        )

    def _make_way(self, job: Job) -> tuple[str, ...]:
        """See to what is under the result's name; gives notes about it."""
        name = job.source.output
        target = self._workspace.destination(name)
        if job.set_aside and os.path.lexists(target):
            kept = self._workspace.set_aside(name)
            return (f"the result had been changed since it was written; the changed file is now {kept}",)
        if not job.may_replace and os.path.lexists(target):
            raise in_the_way(target)
        return ()

    def _write_mask(self, repair: Repair, name: str) -> None:
        target = self._workspace.mask(name)
        mask = repair.changed if repair.verdict is Verdict.REPAIRED else repair.first.mask
        if self._settings.save_masks and mask.any():
            self._workspace.commit_bytes(encode_mask(mask), target)
        else:
            target.unlink(missing_ok=True)  # an earlier run's: it would belong to another result

    def _describe(self, item: Repaired) -> Outcome:
        repair, photo = item.repair, item.loaded.photo
        return Outcome(
            source=photo.path,
            relative=item.relative,
            verdict=repair.verdict,
            share=float(repair.first.share),
            score=float(repair.first.score),
            rounds=repair.rounds,
            width=photo.width,
            height=photo.height,
            regions=repair.regions,
            seconds=item.seconds,
            batch=item.batch,
            input_sha256=item.loaded.stamp.sha256,
            settings_key=self._key + item.loaded.job.source.key,
        )

    def _give_up(self, item: Failed) -> Outcome:
        cause, remedy = explain(item.error)
        _log.debug("%s failed", item.source, exc_info=item.error)
        return Outcome(
            source=item.source,
            relative=item.relative,
            verdict=Verdict.FAILED,
            seconds=item.seconds,
            cause=cause,
            remedy=remedy,
            settings_key=self._key,
        )


def explain(error: Exception) -> tuple[str, str]:
    """Cause and remedy of what ended a photograph, as phrases.

    >>> explain(MemoryError())
    ('memory ran out', 'close other programs, or give a smaller --batch-size or --memory-limit')
    """
    if isinstance(error, (PhotoError, TooLittleMemoryError)):
        return error.cause, error.remedy
    if isinstance(error, CleanplateError):
        cause, _, remedy = str(error).partition("; ")
        return cause, remedy
    if isinstance(error, MemoryError):
        return "memory ran out", "close other programs, or give a smaller --batch-size or --memory-limit"
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return "its result's name is too long", "shorten the photograph's name, or its folders'"
    if isinstance(error, OSError):
        return f"a file operation failed ({error.strerror or error})", "check space and permissions"
    first_line = (str(error).strip().splitlines() or ["no message"])[0]
    return (
        f"{type(error).__name__}: {first_line}",
        "this is a fault in cleanplate; report it with the file that --log-file writes",
    )


def encode_mask(mask: BoolArray) -> bytes:
    """A mask, (H, W) bool, as a PNG of 0 and 255."""
    _, data = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    return data.tobytes()


def _lighten(repair: Repair) -> Repair:
    """A result without the probabilities, which nobody asks for on its way to the disk: 4 bytes a pixel."""
    return replace(repair, first=replace(repair.first, probability=np.empty((0, 0), np.float32)))


def _failed(job: Job, error: Exception, seconds: Mapping[str, float]) -> Failed:
    return Failed(job.source.path, job.source.relative, drop_frames(error), seconds)


def _try_stamp(path: Path) -> Stamp | None:
    """The file's stamp, or None where it cannot be read: then reading the photograph says why."""
    try:
        return read_stamp(path)
    except OSError:
        return None
