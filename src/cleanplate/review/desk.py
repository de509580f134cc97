"""All that can be done to the photographs of an output folder, without a word of HTTP."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.decisions import Verb
from cleanplate.engine.events import Event
from cleanplate.engine.lines import read_lines
from cleanplate.engine.markedplace import PlacedMark
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import PhotoError, UsageError
from cleanplate.images.discover import Source, name_outputs
from cleanplate.images.read import read
from cleanplate.report import ReportPhoto
from cleanplate.review.album import Album
from cleanplate.review.alike import Alike, find_alike, list_sharing
from cleanplate.review.feed import Feed
from cleanplate.review.gallery import Gallery
from cleanplate.review.masks import decode_mask, encode_mask, read_mask
from cleanplate.review.methods import list_methods
from cleanplate.review.queue import Action, Job, JobFailedError, JobQueue, State
from cleanplate.review.redo import BuildPipeline, Redoer, Wish
from cleanplate.review.refusal import BUSY, UNFIT, RefusalError, storing
from cleanplate.review.waiting import WAITING_FILE, WaitingFile
from cleanplate.settings import RepairSettings
from cleanplate.structures import BoolArray

_log = logging.getLogger(__name__)

#: Why jobs wait while a run goes on in the same folder.
RUN_GOES_ON = "the run is going on"


class Desk:
    """Where photographs are looked at and put right. Its methods may be called from any thread.

    settings: what the batch was done with. build: makes pipelines. All that changes is told to `feed`. Jobs
    wait until `opened` is entered, which holds the output folder; everything else works at once.
    """

    def __init__(
        self, output: Path, settings: RepairSettings, *, build: BuildPipeline = build_pipeline
    ) -> None:
        self.settings = settings
        self.feed = Feed()
        self.album = Album(output)
        self.gallery = Gallery(self.album)
        self._build = build
        self._redoer: Redoer | None = None
        self._stopping = threading.Event()
        self._waiting = WaitingFile(self.album.workspace.state / WAITING_FILE)
        self._noting = threading.Lock()  # a job's end is written down after its beginning
        self.queue = JobQueue(self._do, self._tell_job)
        self.queue.hold(RUN_GOES_ON)
        self._take_up()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the output folder and let jobs go on. Raises OutputInUseError, UsageError."""
        with ExitStack() as held:
            journal = held.enter_context(self.album.workspace.opened())
            self._redoer = Redoer(
                self.album.workspace,
                journal,
                self.settings,
                build=self._build,
                emit=self.tell_event,
                stopping=self._stopping.is_set,
                tell_mark=self._tell_mark,
            )
            held.callback(self._redoer.close)
            with self._noting, suppress(OSError):  # it is long, then, and no worse
                self._waiting.rewrite(list(self.queue.list_jobs().values()))
            self.queue.release()
            self.tell_queue()
            try:
                yield
            finally:
                self.close()

    def close(self) -> None:
        """Let the running job end, begin no other, let every page go. What waits is there the next time."""
        self._stopping.set()
        self.queue.close()
        self.feed.close()
        self.album.close()
        with self._noting:
            self._waiting.close()

    # What pages see

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The ways of removing that can be asked for, the run's own first; networks that are at hand."""
        return list_methods(self.settings)

    def describe(self, photo_id: str) -> dict[str, Any]:
        """A photograph's record. Raises RefusalError."""
        job = self.queue.find(photo_id)
        return self.album.describe(self.album.find(photo_id), None if job is None else job.to_json())

    def collect(self) -> dict[str, Any]:
        """What the report's page shows, each photograph with what the review knows of it."""
        data = self.album.collect()
        plain, jobs = data.to_json(served=True), self.queue.list_jobs()
        records = []
        for photo, record in zip(data.photos, plain["photos"], strict=True):
            job = jobs.get(photo.id)
            records.append(self.album.lay_over(record, photo, None if job is None else job.to_json()))
        return {**plain, "photos": records}

    def tell_photo(self, photo_id: str) -> dict[str, Any]:
        """Tell all pages of a photograph; its record."""
        record = self.describe(photo_id)
        self.feed.publish("photo", record)
        return record

    def tell_queue(self) -> None:
        """Tell all pages of the queue."""
        self.feed.publish("queue", self.queue.to_json())

    def tell_event(self, event: Event) -> None:
        """An event of the engine while a job is done: pages of a review need none."""

    # What pages ask for

    def paint(self, photo_id: str, png: bytes) -> dict[str, Any]:
        """Save a painted mask. Raises RefusalError."""
        photo = self.album.find(photo_id)
        mask = decode_mask(png, *self._read_size(photo))
        if not mask.any():
            raise RefusalError(UNFIT, "nothing is painted", "paint over the mark first")
        with storing():
            self.album.paint(photo, encode_mask(mask))
        return self.tell_photo(photo_id)

    def unpaint(self, photo_id: str) -> dict[str, Any]:
        """Forget a painted mask. Raises RefusalError."""
        with storing():
            self.album.unpaint(self.album.find(photo_id))
        return self.tell_photo(photo_id)

    def again(
        self,
        photo_id: str,
        *,
        method: str | None = None,
        threshold: float | None = None,
        mask: bool = False,
    ) -> Job:
        """Queue a photograph to be done again. Raises RefusalError."""
        photo = self.album.find(photo_id)
        if mask and self.album.painted_file(photo) is None:
            raise RefusalError(BUSY, "no mask is painted on this photograph", "paint one first")
        self._make_settings(method, threshold)
        (job,) = self._queue([_make_job(photo, method=method, threshold=threshold, mask=mask)])
        return job

    def keep(self, photo_id: str) -> Job:
        """Queue a photograph for its original to become the result. Raises RefusalError."""
        (job,) = self._queue([_make_job(self.album.find(photo_id), action=Action.KEEP)])
        return job

    def approve(self, photo_id: str) -> dict[str, Any]:
        """Write down that a result is good. Raises RefusalError."""
        self._decide([self.album.find(photo_id)], Verb.APPROVED)
        return self.tell_photo(photo_id)

    def approve_all(self, photo_ids: Sequence[str]) -> dict[str, Any]:
        """The same for many; those that cannot be approved are listed with the cause. Raises RefusalError."""
        decisions, refused = {}, []
        for photo_id in dict.fromkeys(photo_ids):
            try:
                photo = self.album.find(photo_id)
                decisions[photo_id] = self.album.make_decision(photo, Verb.APPROVED)
            except RefusalError as refusal:
                refused.append({"id": photo_id, "cause": refusal.cause})
        with storing():
            self.album.decide(list(decisions.values()))
        return {"photos": [self.tell_photo(photo_id) for photo_id in decisions], "refused": refused}

    def reopen(self, photo_id: str) -> dict[str, Any]:
        """Take a decision back. Raises RefusalError."""
        photo = self.album.find(photo_id)
        if self.album.is_decided(photo):
            self._decide([photo], Verb.REOPENED)
        return self.tell_photo(photo_id)

    def find_alike(self, photo_id: str) -> Alike:
        """The undecided photographs of the same size with a mark in the painted place, or with none found.

        Raises RefusalError where no mask is painted.
        """
        mask = self._load_mask(self.album.find(photo_id))
        return find_alike(self.album, photo_id, mask, self.queue.is_busy)

    def apply(
        self, photo_id: str, *, method: str | None = None, ids: Sequence[str] | None = None
    ) -> list[Job]:
        """Give the painted mask to all photographs like this one, or to some, and queue them.

        Where they share the mark under it, that is worked out and inverted; else the mask alone is used. The
        event "mark" and each photograph's notes say which of the two. Raises RefusalError.
        """
        alike = self.find_alike(photo_id).ids
        chosen = alike if ids is None else tuple(dict.fromkeys(ids))
        if not set(chosen) <= set(alike):
            raise RefusalError(UNFIT, "not all of these photographs are like this one", "ask again which are")
        self._make_settings(method, None)
        png = encode_mask(self._load_mask(self.album.find(photo_id)))
        photos = [self.album.find(other) for other in chosen]
        with storing():
            for photo in photos:
                self.album.paint(photo, png, handed_on=True)
        return self._queue([_make_job(photo, method=method, mask=True, alike=True) for photo in photos])

    def cancel(self, number: int | None = None) -> None:
        """Take a waiting job out of the queue, or all of them. Raises RefusalError."""
        with self._noting, storing():
            cancelled = self.queue.cancel(number)
            self._waiting.end(cancelled)
        for job in cancelled:
            self.feed.publish("job", job.to_json())
            self.tell_photo(job.id)
        self.tell_queue()

    # How it is done

    def _take_up(self) -> None:
        """Queue what an earlier review has left waiting. Raises UsageError where that cannot be read."""
        try:
            jobs = self._waiting.read()
        except OSError as exc:
            self.queue.close()
            raise UsageError(f"{exc.filename}: it cannot be read ({exc.strerror or exc})") from exc
        known = {photo.id for photo in self.album.list()}
        self.queue.add([job for job in jobs if job.id in known])

    def _queue(self, jobs: Sequence[Job]) -> list[Job]:
        with self._noting:
            added = self.queue.add(jobs)
            try:
                self._waiting.add(added)
            except OSError as error:  # they are done all the same, unless the review ends first
                _log.warning("what waits cannot be written down (%s)", error.strerror or error)
        for job in added:
            self.tell_photo(job.id)
        self.tell_queue()
        return added

    def _do(self, job: Job, tell_stage: Callable[[str], None]) -> None:
        photo = self.album.find(job.id)
        assert self._redoer is not None  # the queue is held until there is one
        try:
            mask = self._load_mask(photo) if job.mask else None
            wish = Wish(
                self._find_source(photo),
                self._make_settings(job.method, job.threshold),
                keep=job.action is Action.KEEP,
                mask=mask,
                alike=list_sharing(self.album, mask) if mask is not None and job.alike else (),
            )
            self.album.put(self._redoer.do(wish, tell_stage))
            if job.action is Action.KEEP:
                self._decide([self.album.find(job.id)], Verb.KEPT)
        except RefusalError as refusal:
            raise JobFailedError(refusal.cause, refusal.remedy) from refusal

    def _tell_mark(self, found: PlacedMark | None) -> None:
        """Tell all pages what came of working out a mark for the photographs like one."""
        told = None if found is None else {"sharing": found.sharing, "looked_at": found.looked_at}
        self.feed.publish("mark", {"found": told})

    def _tell_job(self, job: Job) -> None:
        """Tell of a job that has begun, come to its next stage, ended or was put off."""
        if job.state not in (State.RUNNING, State.WAITING):
            with self._noting, suppress(OSError):  # it would be done once more, and come to the same
                self._waiting.end([job])
        self.feed.publish("job", job.to_json())
        if job.stage is None or job.state is not State.RUNNING:
            self.tell_photo(job.id)
            self.tell_queue()

    def _decide(self, photos: Sequence[ReportPhoto], verb: Verb) -> None:
        with storing():
            self.album.decide([self.album.make_decision(photo, verb) for photo in photos])

    def _make_settings(self, method: str | None, threshold: float | None) -> RepairSettings:
        """The run's settings but for these. Raises RefusalError for a value that cannot be."""
        if method is not None and method not in self.methods:
            raise RefusalError(UNFIT, f"there is no method {method!r}", f"one of {', '.join(self.methods)}")
        run = self.settings
        try:
            return dataclasses.replace(
                run,
                inpaint=run.inpaint if method is None else method,
                threshold=run.threshold if threshold is None else threshold,
            )
        except UsageError as error:
            raise RefusalError(UNFIT, str(error)) from error

    def _find_source(self, photo: ReportPhoto) -> Source:
        """The photograph as a run would name it and its result."""
        outcome = photo.outcome
        name = outcome.output
        if name is None:
            names = sorted({outcome.relative, *self.album.list_relatives()})
            name = name_outputs(names, self.settings.format)[outcome.relative]
        return Source(outcome.source, outcome.relative, name)

    def _load_mask(self, photo: ReportPhoto) -> BoolArray:
        file = self.album.painted_file(photo)
        if file is None:
            raise RefusalError(BUSY, "no mask is painted on this photograph", "paint one first")
        try:
            return read_mask(file.read_bytes())
        except OSError as error:
            raise RefusalError(
                BUSY, f"the painted mask cannot be read ({error.strerror or error})"
            ) from error

    def _read_size(self, photo: ReportPhoto) -> tuple[int, int]:
        """Width and height, upright; of a photograph that failed, from its file. Raises RefusalError."""
        outcome = photo.outcome
        if outcome.width and outcome.height:
            return outcome.width, outcome.height
        try:
            found = read(outcome.source, max_megapixels=self.settings.max_megapixels)
        except PhotoError as error:
            raise RefusalError(UNFIT, error.cause, error.remedy) from error
        return found.width, found.height


def read_run_settings(output: Path) -> RepairSettings:
    """What the last run into a folder was asked to do, as its journal tells; else the defaults.

    Raises UsageError where no run has written there.
    """
    Workspace(output).require_run()
    journal = Workspace(output).journal
    told: Mapping[str, Any] = {}
    try:
        for line in read_lines(journal):
            if line.get("kind") == "started":
                told = line.get("settings", {})
    except OSError as exc:
        raise UsageError(
            f"{journal}: the journal cannot be read ({exc.strerror or exc}); check its permissions"
        ) from exc
    known = {given.name for given in dataclasses.fields(RepairSettings)}
    try:
        settings = RepairSettings(**{name: value for name, value in told.items() if name in known})
        marks = tuple(_find_mark(mark, Workspace(output).state) for mark in settings.mark)
        return dataclasses.replace(settings, mark=marks)
    except (UsageError, TypeError, AttributeError) as exc:
        raise UsageError(f"{journal}: the settings of its last run cannot be used ({exc})") from exc


def _find_mark(mark: str, state: Path) -> str:
    """Where a mark lies now: one that a run worked out moves with its output folder."""
    moved = state / Path(mark).name
    return str(moved) if moved.is_file() and not Path(mark).is_file() else mark


def _make_job(
    photo: ReportPhoto,
    *,
    action: Action = Action.AGAIN,
    method: str | None = None,
    threshold: float | None = None,
    mask: bool = False,
    alike: bool = False,
) -> Job:
    return Job(
        id=photo.id,
        name=photo.outcome.relative,
        action=action,
        method=method,
        threshold=threshold,
        mask=mask,
        alike=alike,
    )
