"""Doing one photograph again: the same engine, journal and atomic write as in a batch.

Who owns the device is decided as for a run: on CUDA a process of its own, which stays until the review ends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from cleanplate.detect.given import ArrayMask, GivenDetector
from cleanplate.device.threads import configure_threads
from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.decisions import REVIEWED
from cleanplate.engine.events import Event, EventStream, PhotoFinished
from cleanplate.engine.journal import History, HistoryReader
from cleanplate.engine.markedplace import PlacedMark, find_mark_at
from cleanplate.engine.owner import DeviceOwner, LocalOwner
from cleanplate.engine.photoset import PhotoSet
from cleanplate.engine.plan import make_job
from cleanplate.engine.policy import PlainPolicy, Policy, choose_policy
from cleanplate.engine.records import Receipt
from cleanplate.engine.sharedmark import make_reader
from cleanplate.engine.supervise import SupervisedOwner, choose_limit, is_supervised
from cleanplate.engine.work import Failed, Ledger, Workbench, explain
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import CleanplateError, TooLittleMemoryError, UsageError
from cleanplate.images.discover import Source
from cleanplate.models.request import Attempt
from cleanplate.pipeline.base import Pipeline
from cleanplate.pipeline.known import KnownMarks
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.review.queue import JobFailedError, JobPutOffError
from cleanplate.settings import RepairSettings
from cleanplate.structures import BoolArray, Detection, Outcome, Photo, Repair, Verdict

Item = TypeVar("Item")
BuildPipeline = Callable[[RepairSettings], Pipeline]

#: What a photograph's notes say of how the mark under a mask that was painted on another one was removed.
INVERTED = "the mark that {sharing} of {looked_at} photographs share under the painted mask was inverted"
NOT_SHARED = "no mark could be worked out that photographs share under the painted mask: the mask was used"
NOT_HERE = "the mark that photographs share under the painted mask was not seen here: the mask was used"


class KeepOriginal:
    """A pipeline that finds nothing: the result is the photograph as it came."""

    fingerprint = "kept"

    def repair(
        self, photos: Sequence[Photo], _settings: RepairSettings, _attempt: Attempt
    ) -> list[Repair | Exception]:
        """Every photograph unchanged."""
        return [_leave(photo) for photo in photos]


def _leave(photo: Photo) -> Repair:
    height, width = photo.rgb.shape[:2]
    nothing = np.zeros((height, width), bool)
    return Repair(
        Verdict.CLEAN, photo.rgb, nothing, Detection(nothing.astype(np.float32), nothing, (), 0.0, 0.0)
    )


class _ResultsOnly:
    """The journal of redone photographs: a failure leaves the earlier result standing, and no line."""

    def __init__(self, journal: Ledger) -> None:
        self._journal = journal
        self.announce = journal.announce

    def finish(self, outcome: Outcome, receipt: Receipt | None) -> None:
        if receipt is not None:
            self._journal.finish(outcome, receipt)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of one photograph.

    source: where it is and what its result is called. keep: its original is the result. settings: how it is
    done again. mask: (H, W) bool, where its mark is; None: it is looked for. alike: photographs that may
    share the mark under it, from which that is worked out, to be inverted instead; empty: the mask is all.
    """

    source: Source
    settings: RepairSettings
    keep: bool = False
    mask: BoolArray | None = None
    alike: tuple[Path, ...] = ()


class Redoer:
    """Does photographs again, one at a time, on one thread, until it is closed.

    journal: of the output folder, which must be held. settings: the run's; `Wish.settings` differ from them
    in `inpaint` and `threshold` alone. build: makes pipelines. tell_mark: hears what came of working out a
    mark that photographs share, None where there is none.
    """

    def __init__(
        self,
        workspace: Workspace,
        journal: Ledger,
        settings: RepairSettings,
        *,
        build: BuildPipeline = build_pipeline,
        emit: Callable[[Event], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
        tell_mark: Callable[[PlacedMark | None], None] = lambda _: None,
    ) -> None:
        self._workspace = workspace
        self._ledger = _ResultsOnly(journal)
        self._settings = settings
        self._build = build
        self._emit = emit
        self._stopping = stopping
        self._tell_mark = tell_mark
        self._worked_out: tuple[str, PlacedMark | None] | None = None
        self._history = HistoryReader(workspace.journal)
        self._policy: Policy | None = None
        self._child: SupervisedOwner | None = None

    def close(self) -> None:
        """End the process that owns the device, where there is one. No job may run any more."""
        if self._child is not None:
            self._child.close()

    def do(self, wish: Wish, tell_stage: Callable[[str], None]) -> Outcome:
        """Do it and journal it. Raises JobFailedError, JobPutOffError; then everything is as it was."""
        try:
            return self._do(wish, tell_stage)
        except CleanplateError as error:
            raise JobFailedError(*explain(error)) from error

    def _do(self, wish: Wish, tell_stage: Callable[[str], None]) -> Outcome:
        tell_stage("read")
        job = make_job(0, wish.source, self._workspace, self._read_history(), overwrite=False)
        # Masks are kept, so that the page can show what was changed.
        settings = dataclasses.replace(wish.settings, save_masks=True, dry_run=False, profile=None)
        make_pipeline = self._choose_pipeline(wish, tell_stage)
        finished: list[Event] = []
        events = EventStream([finished.append])
        with self._owning(wish, settings, make_pipeline) as owner:
            key = f"{REVIEWED}{settings.result_key}-{owner.fingerprint}"
            bench = Workbench(settings, owner, self._workspace, self._ledger, events, key)
            loaded = _want(bench.load(job))
            tell_stage("repair")
            owner.before_batch()
            (repaired,) = map(_want, bench.repair([loaded]))
        tell_stage("write")
        bench.store(repaired)
        (event,) = finished
        assert isinstance(event, PhotoFinished)  # the only kind that a workbench tells
        outcome = event.outcome
        if outcome.verdict is Verdict.FAILED:
            raise JobFailedError(outcome.cause or "it could not be stored", outcome.remedy or "try again")
        return outcome

    def _read_history(self) -> History:
        try:
            return self._history.read()
        except OSError as error:
            raise JobFailedError(*explain(error)) from error

    def _choose_pipeline(self, wish: Wish, tell_stage: Callable[[str], None]) -> BuildPipeline:
        """What makes the pipeline for this wish; it can be pickled where `build` can."""
        if wish.keep or wish.mask is None or not wish.alike:
            return partial(_build, self._build, wish.mask, (), None)
        found = self._work_out(wish.alike, wish.mask, tell_stage)
        notes = (NOT_SHARED if found is None else NOT_HERE,)
        return partial(_build, self._build, wish.mask, notes, _know(found))

    def _work_out(
        self, paths: Sequence[Path], mask: BoolArray, tell_stage: Callable[[str], None]
    ) -> PlacedMark | None:
        """The mark that photographs share under a mask: once for all photographs that it was given to.

        No network is needed, so it is done here, on the processor, whoever owns the device.
        """
        key = ArrayMask(mask).fingerprint
        if self._worked_out is None or self._worked_out[0] != key:
            tell_stage("estimate")
            configure_threads()  # before torch is imported: OpenMP reads its wait policy only once
            with closing(self._make_policy(dataclasses.replace(self._settings, device="cpu"))) as policy:
                try:
                    photo_set = PhotoSet(
                        paths=paths,
                        read_photo=make_reader(self._settings),
                        attempt=policy.attempt,
                        is_stopping=self._stopping,
                    )
                    found = find_mark_at(photo_set, mask)
                except TooLittleMemoryError:
                    found = None
            if self._stopping():
                raise JobPutOffError
            self._worked_out = (key, found)
            self._tell_mark(found)
        return self._worked_out[1]

    @contextmanager
    def _owning(
        self, wish: Wish, settings: RepairSettings, make_pipeline: BuildPipeline
    ) -> Iterator[DeviceOwner]:
        """Who repairs for this wish. Raises what a pipeline or a process cannot be made for."""
        if wish.keep:
            yield LocalOwner(KeepOriginal(), settings, PlainPolicy())
        elif is_supervised(self._settings):
            yield self._prepare_child(settings, make_pipeline)
        else:
            with LocalOwner(make_pipeline(settings), settings, self._find_policy()) as owner:
                yield owner

    def _prepare_child(self, settings: RepairSettings, make_pipeline: BuildPipeline) -> SupervisedOwner:
        if self._child is None:
            self._child = SupervisedOwner(
                settings,
                emit=self._emit,
                stopping=self._stopping,
                limit_seconds=choose_limit(self._settings),
            )
        self._child.prepare(settings, make_pipeline)
        return self._child

    def _find_policy(self) -> Policy:
        if self._policy is None:
            self._policy = self._make_policy(self._settings)
        return self._policy

    def _make_policy(self, settings: RepairSettings) -> Policy:
        return choose_policy(settings, emit=self._emit, stopping=self._stopping)


def _know(found: PlacedMark | None) -> KnownMarks | None:
    if found is None:
        return None
    note = INVERTED.format(sharing=found.sharing, looked_at=found.looked_at)
    return KnownMarks((found.mark,), near=found.placement, notes=(note,))


def _build(
    build: BuildPipeline,
    mask: BoolArray | None,
    notes: tuple[str, ...],
    known: KnownMarks | None,
    settings: RepairSettings,
) -> Pipeline:
    """The pipeline for a wish; also called in the process that owns the device."""
    pipeline = build(settings)
    if mask is None:
        return pipeline
    if not isinstance(pipeline, MarkRepair):
        raise UsageError("this way of repairing takes no painted masks; do it again without one")
    return dataclasses.replace(pipeline, detector=GivenDetector((ArrayMask(mask, notes),)), known=known)


def _want(item: Item | Failed) -> Item:
    """The item, where it is none that was given up. Raises JobFailedError."""
    if isinstance(item, Failed):
        raise JobFailedError(*explain(item.error))
    return item
