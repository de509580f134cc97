"""Find, crop, remove, put back, look again: one batch of photographs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cleanplate.detect.base import Detector
from cleanplate.detect.mask import join_detections, leave_out
from cleanplate.errors import PhotoError, ProgramFailedError, RepairFailedError, TooLittleMemoryError
from cleanplate.images.difference import find_differences
from cleanplate.models.request import Attempt
from cleanplate.pipeline.base import Pipeline
from cleanplate.pipeline.crops import CropRule, iterate_crops
from cleanplate.pipeline.known import KnownMarks, Taken, guess_noise
from cleanplate.pipeline.pattern import TakenPattern, take_off_patterns
from cleanplate.remove.base import Crop, Removal, Remover
from cleanplate.remove.composite import paste
from cleanplate.remove.iopaint import IOPaintRemover
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Detection, Photo, Region, Repair, Rewritten, RgbArray, Verdict

#: A further round is kept only if it leaves at most this part of what the one before left.
WORTH_KEEPING = 0.9
REMEDY = "try it alone with --batch-size 1, or leave it out; run again to retry"


@dataclass(eq=False)
class _Job:
    """One photograph on its way through the rounds.

    current: what it looks like now; latest: what was found in it when it was last looked at; rewritten: boxes
    round all that has changed since, where those are known. earlier: (picture, regions) before the last
    round, to go back to. error: what ended it. taken: what it was without its known marks, where it had any:
    rounds and regions are then of what else was found.
    """

    photo: Photo
    current: RgbArray
    first: Detection | None = None
    latest: Detection | None = None
    rewritten: tuple[Box, ...] = ()
    regions: tuple[Region, ...] = ()
    earlier: tuple[RgbArray, tuple[Region, ...]] | None = None
    rounds: int = 0
    error: Exception | None = None
    done: bool = False
    taken: Taken | None = None

    def show(self) -> Photo:
        """The photograph as it is now, for a detector to look at."""
        since = None
        if self.latest is not None and self.rewritten:
            since = Rewritten(self.latest, self.rewritten)
        return dataclasses.replace(self.photo, rgb=self.current, since=since)

    def is_worth_removing(self, found: Detection, settings: RepairSettings) -> bool:
        """Whether its marks cover enough of the photograph; what was given is wanted gone, however small."""
        known = 0.0 if self.taken is None else self.taken.detection.share
        return bool(found.boxes) and (found.given or known + found.share >= settings.threshold)

    def go_back(self) -> None:
        """Undo the last round, which was none the better for it, and stop."""
        if self.earlier is not None:
            self.current, self.regions = self.earlier
            self.rounds -= 1
        self.done = True


@dataclass(frozen=True, eq=False)
class MarkRepair:
    """The pipeline of a detector and a remover (see `pipeline/base`).

    rule: how crops are placed for it. known: marks that are taken off before anything is looked for, or None.
    together: whether the remover gets all crops of a batch at once, which may be quicker; else it gets one
    after the other, and no more than one is held.
    """

    detector: Detector
    remover: Remover
    rule: CropRule = field(default_factory=CropRule)
    known: KnownMarks | None = None
    together: bool = True

    @property
    def fingerprint(self) -> str:
        """Of all parts."""
        parts = f"{self.detector.fingerprint}/{self.remover.fingerprint}"
        return parts if self.known is None else f"{parts}/{self.known.fingerprint}"

    def repair(
        self, photos: Sequence[Photo], settings: RepairSettings, attempt: Attempt
    ) -> list[Repair | Exception]:
        """One Repair a photograph, in order, or a PhotoError that names it. Sizes may differ."""
        jobs = [_Job(photo, photo.rgb) for photo in photos]
        self._take_off_known(jobs, settings, attempt)
        self._look([job for job in jobs if not job.done], settings, attempt)
        if not settings.dry_run and settings.inverts_marks:
            self._take_off_patterns([job for job in jobs if not job.done], settings, attempt)
        for _ in range(0 if settings.dry_run else settings.max_iterations):
            active = [job for job in jobs if not job.done]
            if not active:
                break
            self._remove(active, attempt)
            for job in active:  # what was given, not found, would be given again
                job.done |= job.latest is not None and job.latest.given
            self._look([job for job in active if not job.done], settings, attempt)
        return [_conclude(job, settings) for job in jobs]

    def _take_off_known(self, jobs: Sequence[_Job], settings: RepairSettings, attempt: Attempt) -> None:
        if self.known is None:
            return
        for job, taken in zip(jobs, self.known.take_off([job.photo for job in jobs], attempt), strict=True):
            if isinstance(taken, Exception):
                job.error, job.done = _name_error(job.photo, "finding", taken), True
            elif taken is not None:
                job.taken, job.current = taken, taken.rgb
                job.done = settings.other_marks != "on"

    def _take_off_patterns(self, jobs: Sequence[_Job], settings: RepairSettings, attempt: Attempt) -> None:
        """Take tiled marks off as a round of its own, and look for what is left."""
        pairs = [(job, job.latest) for job in jobs if job.latest is not None and not job.latest.given]
        taken = take_off_patterns(
            [job.show() for job, _ in pairs],
            [found for _, found in pairs],
            attempt,
            [guess_noise(job.photo) for job, _ in pairs],
        )
        for (job, _), answer in zip(pairs, taken, strict=True):
            if isinstance(answer, Exception):
                job.error, job.done = _name_error(job.photo, "removing", answer), True
            elif isinstance(answer, TakenPattern):
                job.current, job.regions, job.rounds = answer.rgb, answer.regions, 1
        again = [
            job
            for job, answer in zip((job for job, _ in pairs), taken, strict=True)
            if isinstance(answer, TakenPattern)
        ]
        self._look(again, settings, attempt)

    def _look(self, jobs: Sequence[_Job], settings: RepairSettings, attempt: Attempt) -> None:
        """Detect, and decide which photographs are done."""
        seen = [job.show() for job in jobs]
        for job, found in zip(jobs, self.detector.detect(seen, attempt) if seen else [], strict=True):
            if isinstance(found, Exception):
                job.error, job.done = _name_error(job.photo, "finding", found), True
                continue
            if job.taken is not None:  # what its mark has left is no other mark
                found = leave_out(found, job.taken.detection.boxes)
            if job.first is None:
                job.first = dataclasses.replace(found, looked=None)  # what is told at the end
            elif job.rounds > 1 and not _is_better(found, job.latest):
                job.go_back()
            job.latest, job.rewritten = found, ()
            job.done |= not job.is_worth_removing(found, settings)

    def _remove(self, jobs: Sequence[_Job], attempt: Attempt) -> None:
        """One round: crop, remove, put back."""
        if not self.together:
            for job in jobs:
                _put_back(job, self._remove_each(job, attempt))
            return
        crops = [list(self._cut(job)) for job in jobs]
        removals = iter(self.remover.remove([crop for own in crops for crop in own], attempt))
        boxes = [[crop.box for crop in own] for own in crops]
        del crops
        for job, own in zip(jobs, boxes, strict=True):
            _put_back(job, zip(own, [next(removals) for _ in own], strict=True))

    def _cut(self, job: _Job) -> Iterator[Crop]:
        assert job.latest is not None  # every job was looked at before
        return iterate_crops(dataclasses.replace(job.photo, rgb=job.current), job.latest, self.rule)

    def _remove_each(self, job: _Job, attempt: Attempt) -> Iterator[tuple[Box, Removal | Exception]]:
        for crop in self._cut(job):
            (removal,) = self.remover.remove([crop], attempt)
            yield crop.box, removal
            del crop, removal  # before the next is cut


def _put_back(job: _Job, removals: Iterable[tuple[Box, Removal | Exception]]) -> None:
    """Put a photograph's repaired crops back, unless one has failed."""
    regions: list[Region] = []
    rewritten: list[Box] = []
    failures: list[Exception] = []

    def list_good() -> Iterator[tuple[Box, Removal]]:
        for box, removal in removals:
            if isinstance(removal, Exception):
                failures.append(removal)
                return
            regions.extend(removal.regions)
            rewritten.extend(_find_changed(box, removal))
            yield box, removal
            del removal

    after, changed = paste(job.current, list_good())
    if failures:
        job.error, job.done = _name_error(job.photo, "removing", failures[0]), True
        return
    if not changed.any():
        job.regions = job.regions or tuple(regions)
        job.done = True
        return
    job.earlier = (job.current, job.regions)
    job.current, job.rewritten = after, tuple(rewritten)
    job.regions += tuple(regions)
    job.rounds += 1


def _find_changed(box: Box, removal: Removal) -> list[Box]:
    """Round what a removal rewrites, on the photograph; nothing where it rewrites nothing."""
    changed = Box.around(removal.changed)
    return [] if changed is None else [changed.moved(box.left, box.top)]


def _conclude(job: _Job, settings: RepairSettings) -> Repair | Exception:
    if job.error is not None:
        return job.error
    if job.taken is not None:
        return _conclude_known(job, job.taken, settings)
    assert job.first is not None  # a job without a detection has an error, or a known mark
    untouched = np.zeros(job.photo.rgb.shape[:2], bool)
    if not job.first.boxes:
        return Repair(Verdict.CLEAN, job.photo.rgb, untouched, job.first)
    if not job.is_worth_removing(job.first, settings):
        return Repair(Verdict.UNDER_THRESHOLD, job.photo.rgb, untouched, job.first)
    if settings.dry_run:
        return Repair(Verdict.REPAIRED, job.photo.rgb, untouched, job.first)
    changed = find_differences(job.current, job.photo.rgb)
    if not changed.any():  # what was found did not bear being looked at closely
        return Repair(Verdict.CLEAN, job.photo.rgb, untouched, job.first, job.regions)
    return Repair(Verdict.REPAIRED, job.current, changed, job.first, job.regions, job.rounds)


def _conclude_known(job: _Job, taken: Taken, settings: RepairSettings) -> Repair:
    """A known mark is wanted gone, however small; what else was found, where it is worth it."""
    found = taken.detection
    if job.first is not None and job.is_worth_removing(job.first, settings):
        found = join_detections(found, job.first)
    if settings.dry_run:
        untouched = np.zeros(job.photo.rgb.shape[:2], bool)
        return Repair(Verdict.REPAIRED, job.photo.rgb, untouched, found)
    changed = find_differences(job.current, job.photo.rgb)
    regions = (*taken.regions, *job.regions)
    return Repair(Verdict.REPAIRED, job.current, changed, found, regions, rounds=1 + job.rounds)


def _is_better(found: Detection, before: Detection | None) -> bool:
    return before is None or found.share <= WORTH_KEEPING * before.share


def _name_error(photo: Photo, doing: str, error: Exception) -> Exception:
    if isinstance(error, PhotoError):
        return error
    if isinstance(error, (ProgramFailedError, TooLittleMemoryError)):
        named = RepairFailedError(photo.path, f"{doing} its marks failed: {error.cause}", error.remedy)
    else:
        named = RepairFailedError(
            photo.path, f"{doing} its marks failed ({type(error).__name__}: {error})", REMEDY
        )
    named.__cause__ = error
    return named


def forget_earlier(pipeline: Pipeline) -> Pipeline:
    """The same pipeline, its networks shared, for another run: what hung in an earlier one may be mended."""
    if isinstance(pipeline, MarkRepair) and isinstance(pipeline.remover, IOPaintRemover):
        return dataclasses.replace(pipeline, remover=dataclasses.replace(pipeline.remover))
    return pipeline
