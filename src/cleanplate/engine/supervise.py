"""The owner of the device in a process of its own, so that nothing that happens there can end or hang a run.

The child builds pipeline and policy and is the only process that touches the card. When it dies, by a crash,
a lost CUDA context, the system's hand or because it stood still, the photographs that it had are tried once
more, one by one, by a new child with half the batch and half the memory; who kills a second is set aside.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType

from cleanplate.device.memory import StagingUse
from cleanplate.device.threads import configure_threads
from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.events import Event, Warned
from cleanplate.engine.messages import START_SECONDS, Admit, Blueprint, Prepare, RepairBatch, Situation
from cleanplate.engine.owner import Answer
from cleanplate.engine.pauses import Quiet
from cleanplate.engine.policy import Policy, choose_policy
from cleanplate.engine.usage import ProcessUsage, add_usage, larger_of
from cleanplate.engine.worker import Worker, WorkerDiedError
from cleanplate.errors import CleanplateError, DeviceLostError, RepairFailedError
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import Photo

#: How long a child may work without a step, by kind of device. A step is a piece of network work begun or
#: ended, or a layer; between two of them lie at most the masks and crops of one photograph of 200 megapixels.
#: On a processor that other programs use too, that can be minutes.
NO_PROGRESS_SECONDS = {"cuda": 120.0, "cpu": 600.0}
#: Children in a row that may die before they are ready: the second shows that it was no accident.
START_TRIES = 2
#: Photographs set aside in a row: then it is not the photographs.
MOST_IN_A_ROW = 5
#: Batches without a death before a halved batch doubles again.
CALM_BATCHES = 8
LEAST_MEMORY_SHARE = 1 / 8

#: The stage for pictures on their way to the child and back.
TRANSFER = "transfer"

_REMEDY = (
    "run the same command again, which takes up what has failed; if it fails again, give --device cpu, or "
    "report what --log-file says"
)


def is_supervised(settings: RepairSettings, *, is_given: bool = False) -> bool:
    """Whether the owner of the device is to be a process of its own.

    is_given: whether the caller has brought a pipeline or a memory; then only if it says so.

    >>> is_supervised(RepairSettings(device="cpu")), is_supervised(RepairSettings(supervise=True))
    (False, True)
    """
    if settings.supervise is not None:
        return settings.supervise
    if is_given or multiprocessing.current_process().daemon:  # such a process may start no other
        return False
    return _find_device_type(settings) == "cuda"


def choose_limit(settings: RepairSettings) -> float:
    """Seconds without a step after which a child counts as stuck. Raises UsageError for no such device."""
    limit = NO_PROGRESS_SECONDS[_find_device_type(settings)]
    # One start of IOPaint is one step, and has its own time-out.
    return limit if settings.iopaint_model is None else limit + settings.timeout


class SupervisedOwner:
    """A `DeviceOwner` that repairs batches in a child process. A context manager.

    make_pipeline, make_policy: called in the child, so they must be importable there. emit: hears the child's
    events and of its deaths. queued_bytes: of a processor's memory limit, what belongs to the pictures that
    wait here. stopping: see `choose_policy`. limit_seconds: see `NO_PROGRESS_SECONDS`.
    """

    def __init__(
        self,
        settings: RepairSettings,
        *,
        make_pipeline: Callable[[RepairSettings], Pipeline] = build_pipeline,
        make_policy: Callable[..., Policy] = choose_policy,
        emit: Callable[[Event], None] = lambda _: None,
        queued_bytes: Callable[[], int] = lambda: 0,
        stopping: Callable[[], bool] = lambda: False,
        limit_seconds: float = NO_PROGRESS_SECONDS["cpu"],
        start_seconds: float = START_SECONDS,
    ) -> None:
        self.fingerprint = ""
        self.peak_bytes: int | None = None
        self._staged = StagingUse()
        self._staged_before = StagingUse()
        self._settings = settings
        self._make_pipeline = make_pipeline
        self._make_policy = make_policy
        self._emit = emit
        self._queued_bytes = queued_bytes
        self._stopping = stopping
        self._limit_seconds = limit_seconds
        self._start_seconds = start_seconds
        self._memory_share = 1.0
        self._quiet: Quiet = {}
        self._most_together = settings.batch_size
        self._calm = 0
        self._set_aside = 0
        self._worker: Worker | None = None
        self._past: ProcessUsage | None = None
        self._closed = False
        self._starting = threading.Lock()

    def __enter__(self) -> SupervisedOwner:
        """Start the child. Raises what it cannot start for (ModelError, UsageError), or DeviceLostError."""
        self._find_worker()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, which is not waited for where it works."""
        with self._starting:  # from here on nobody starts another one
            self._closed = True
            worker = self._worker
        if worker is not None:
            worker.close()

    @property
    def staging(self) -> StagingUse:
        """Of all children so far."""
        return self._staged_before + self._staged

    @property
    def pid(self) -> int | None:
        """The child's process number; None where there is none at the moment."""
        return None if self._worker is None else self._worker.pid

    def repair(self, photos: Sequence[Photo]) -> list[Answer]:
        """One answer a photograph, in order. Raises DeviceLostError where no child gets anything done."""
        answers: list[Answer] = []
        while len(answers) < len(photos):
            start = len(answers)
            answers += self._repair_together(photos[start : start + self._most_together])
        return answers

    def prepare(self, settings: RepairSettings, make_pipeline: Callable[[RepairSettings], Pipeline]) -> None:
        """Repair with another pipeline from now on, in the same child and under its policy.

        settings: like the first ones in all that a policy is made of. Raises what the pipeline cannot be
        made for, or DeviceLostError; then this one may be asked to prepare again.
        """
        self._settings, self._make_pipeline = settings, make_pipeline  # also for whoever takes its place
        if self._worker is not None:
            try:
                self.fingerprint = self._worker.prepare(Prepare(settings, make_pipeline))
            except WorkerDiedError as death:
                self._note_death(death)
        self._find_worker()

    def before_batch(self) -> None:
        """Let the policy wait, if it wants to. A child that died meanwhile is replaced when there is work."""
        if self._worker is not None:
            try:
                self._quiet = self._worker.ask(Admit()).quiet
            except WorkerDiedError as death:
                self._note_death(death)

    def read_usage(self) -> ProcessUsage | None:
        """What the child takes; processor time of all children so far."""
        now = self._worker.usage if self._worker is not None else None
        return now if self._past is None else add_usage(self._past, now)

    def _repair_together(self, photos: Sequence[Photo]) -> list[Answer]:
        try:
            answers = self._try(photos)
        except WorkerDiedError as death:
            self._note_death(death)
        else:
            self._note_calm()
            return answers
        return [self._repair_alone(photo) for photo in photos]

    def _repair_alone(self, photo: Photo) -> Answer:
        """The second and last try of a photograph that was there when a child died."""
        try:
            (answer,) = self._try([photo])
        except WorkerDiedError as death:
            self._note_death(death)
            cause = f"two processes in a row ended while they worked on it: the last one {death}"
        else:
            self._set_aside = 0
            return answer
        self._set_aside += 1
        if self._set_aside >= MOST_IN_A_ROW:
            raise DeviceLostError(
                f"{self._set_aside} photographs in a row ended the process that works on the device "
                f"(it {cause.rpartition('the last one ')[2]}); check the card and its driver with cleanplate "
                "doctor, or give --device cpu"
            )
        return Answer(RepairFailedError(photo.path, cause, _REMEDY), {})

    def _try(self, photos: Sequence[Photo]) -> list[Answer]:
        worker = self._find_worker()
        began = time.perf_counter()
        # Its container is for writing only, and need not travel.
        sent = [replace(photo, container=None, asked_again=False) for photo in photos]
        reply = worker.ask(RepairBatch(sent, self._read_situation()), shared=[photo.rgb for photo in photos])
        wall = time.perf_counter() - began
        self.peak_bytes = larger_of(self.peak_bytes, reply.peak_bytes)
        self._staged = reply.staging or StagingUse()
        self._quiet = reply.quiet
        inside = sum(sum(answer.seconds.values()) for answer in reply.answers)
        transfer = {TRANSFER: max(0.0, wall - inside) / len(photos)}
        return [Answer(answer.result, {**answer.seconds, **transfer}) for answer in reply.answers]

    def _find_worker(self) -> Worker:
        """The child, a new one where there is none. Raises what it cannot start for, or DeviceLostError."""
        for tries_left in reversed(range(START_TRIES)):
            if self._worker is not None:
                break
            self._start(tries_left)
        if self._worker is None:
            raise DeviceLostError("the run has ended")
        return self._worker

    def _start(self, tries_left: int) -> None:
        with self._starting:
            if self._closed:
                raise DeviceLostError("the run has ended")
            worker = self._worker = Worker(self._plan(), read_situation=self._read_situation, emit=self._emit)
        try:
            self.fingerprint = worker.wait_until_ready()
        except WorkerDiedError as death:
            self._note_death(death)
            if not tries_left:
                raise DeviceLostError(
                    f"the process that works on the device {death} while it was starting; a script that "
                    "calls cleanplate must do so under `if __name__ == '__main__':`; --no-supervise works "
                    "without such a process"
                ) from None
        except Exception as error:  # of whatever kind: the child must not outlive it
            worker.close()
            self._worker = None
            if isinstance(error, CleanplateError) or not tries_left:
                raise

    def _plan(self) -> Blueprint:
        return Blueprint(
            settings=self._settings,
            make_pipeline=self._make_pipeline,
            make_policy=self._make_policy,
            limit_seconds=self._limit_seconds,
            start_seconds=self._start_seconds,
            memory_share=self._memory_share,
            situation=self._read_situation(),
            quiet=self._quiet,
            log_level=logging.getLogger("cleanplate").getEffectiveLevel(),
        )

    def _read_situation(self) -> Situation:
        return Situation(self._queued_bytes(), self._stopping())

    def _note_death(self, death: WorkerDiedError) -> None:
        """Put a dead child away; the next one gets half of everything."""
        worker, self._worker = self._worker, None
        self._staged_before, self._staged = self.staging, StagingUse()
        if worker is not None:
            worker.close()
            if worker.usage is not None:
                gone = ProcessUsage(
                    resident_bytes=0,
                    cpu_seconds=worker.usage.cpu_seconds,
                    gpu_allocated_bytes=worker.usage.gpu_allocated_bytes,
                    gpu_reserved_bytes=worker.usage.gpu_reserved_bytes,
                )
                self._past = add_usage(gone, self._past)
        if self._closed:
            raise DeviceLostError("the run has ended") from None
        self._calm = 0
        self._most_together = max(1, self._most_together // 2)
        self._memory_share = max(LEAST_MEMORY_SHARE, self._memory_share / 2)
        self._emit(
            Warned(
                message=f"the process that works on the device {death}; a new one goes on with half the "
                "batch and half the memory"
            )
        )

    def _note_calm(self) -> None:
        self._set_aside = 0
        self._calm += 1
        if self._calm >= CALM_BATCHES:
            self._calm = 0
            self._most_together = min(self._settings.batch_size, 2 * self._most_together)


def _find_device_type(settings: RepairSettings) -> str:
    """Asks the driver, but makes no CUDA context."""
    if settings.device == "cpu":
        return "cpu"
    configure_threads()  # before torch is imported: OpenMP reads its wait policy only once
    from cleanplate.device.selection import resolve_device

    return resolve_device(settings.device).type
