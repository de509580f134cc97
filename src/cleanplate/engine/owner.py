"""The owner of the device: the one that runs networks. Here it lives in this process."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from cleanplate.device.memory import StagingUse
from cleanplate.engine.policy import Policy
from cleanplate.engine.profile import Tracer
from cleanplate.engine.usage import ProcessUsage
from cleanplate.errors import DeviceLostError, drop_frames
from cleanplate.models.request import Attempt, Request
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import Photo, Repair

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

#: The stage for what a pipeline does between its requests: masks, crops, compositing.
BETWEEN = "compose"
#: The stage for what a policy does round the network work: predicting, admitting, retrying.
ADMITTING = "guard"


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one photograph on the device. seconds: by stage, its even part of the batch's."""

    result: Repair | Exception
    seconds: Mapping[str, float]


class DeviceOwner(Protocol):
    """Repairs batches, one after the other, on one thread. A child process can stand behind it.

    fingerprint: its pipeline's. peak_bytes, staging: see `Policy`. before_batch: called before the next
    photographs are taken up; may wait, within bounds. read_usage: what its process takes, None where that is
    this one.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def peak_bytes(self) -> int | None: ...

    @property
    def staging(self) -> StagingUse | None: ...

    def before_batch(self) -> None: ...

    def read_usage(self) -> ProcessUsage | None: ...

    def repair(self, photos: Sequence[Photo]) -> list[Answer]:
        """One answer a photograph, in order. Only what ends the whole run is raised."""
        ...


class LocalOwner:
    """Runs a pipeline in this process, under a policy. A context manager; at its end the policy is closed."""

    def __init__(self, pipeline: Pipeline, settings: RepairSettings, policy: Policy) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._policy = policy
        self._tracer = Tracer(Path(settings.profile) if settings.profile else None)

    def __enter__(self) -> LocalOwner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._policy.close()

    @property
    def fingerprint(self) -> str:
        """The pipeline's."""
        return self._pipeline.fingerprint

    @property
    def peak_bytes(self) -> int | None:
        """The policy's."""
        return self._policy.peak_bytes

    @property
    def staging(self) -> StagingUse | None:
        """The policy's."""
        return self._policy.staging

    def change(self, pipeline: Pipeline, settings: RepairSettings) -> None:
        """Repair with another pipeline and other settings from now on, under the same policy."""
        self._pipeline, self._settings = pipeline, settings

    def before_batch(self) -> None:
        """Let the policy wait, if it wants to."""
        self._policy.before_batch()

    def read_usage(self) -> None:
        """There is no other process."""

    def repair(self, photos: Sequence[Photo]) -> list[Answer]:
        """One answer a photograph. A batch that fails as a whole is tried again one by one.

        Raises DeviceLostError where nothing more can be done on the device.
        """
        with self._tracer.tracing():
            answers = self._try_together(photos)
        if any(isinstance(answer.result, _BatchError) for answer in answers):
            answers = [self._try_alone(photo) for photo in photos]
        self._policy.after_photos(len(photos))
        return answers

    def _try_alone(self, photo: Photo) -> Answer:
        (answer,) = self._try_together([photo])
        if isinstance(answer.result, _BatchError):
            return Answer(answer.result.error, answer.seconds)
        return answer

    def _try_together(self, photos: Sequence[Photo]) -> list[Answer]:
        clock = _StageClock()
        error: Exception | None = None
        try:
            results = self._pipeline.repair(photos, self._settings, clock.timing(self._policy.attempt))
            if len(results) != len(photos):
                raise RuntimeError(f"the pipeline gave {len(results)} results for {len(photos)} photographs")
        except DeviceLostError:
            raise
        except Exception as exc:  # one photograph's trouble, of whatever kind, must not end the batch
            _log.debug("a batch of %d failed", len(photos), exc_info=True)
            error = exc
        # Outside the except block, and without its frames: they hold every array of the failed batch.
        if error is not None:
            results = [_BatchError(drop_frames(error))] * len(photos)
        seconds = clock.shares(len(photos))
        return [Answer(_without_frames(result), seconds) for result in results]


class _BatchError(Exception):
    """Says that an error came from the batch as a whole."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _StageClock:
    """Times network work by stage, `ADMITTING` round it; what is left of the batch's time is `BETWEEN`."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._seconds: dict[str, float] = defaultdict(float)

    def timing(self, attempt: Attempt) -> Attempt:
        def timed(request: Request[Item, Result]) -> list[Result | Exception]:
            def run(items: Sequence[Item], tile: int | None) -> list[Result]:
                with self._counting(request.stage):
                    return request.run(items, tile)

            with self._counting(ADMITTING):
                return attempt(dataclasses.replace(request, run=run))

        return timed

    @contextmanager
    def _counting(self, stage: str) -> Iterator[None]:
        """Count the time inside the block for a stage, without that of blocks inside it."""
        began, inside = time.perf_counter(), sum(self._seconds.values())
        try:
            yield
        finally:
            counted_inside = sum(self._seconds.values()) - inside
            self._seconds[stage] += time.perf_counter() - began - counted_inside

    def shares(self, count: int) -> Mapping[str, float]:
        """Seconds by stage for each of `count` photographs."""
        rest = time.perf_counter() - self._began - sum(self._seconds.values())
        return {stage: seconds / count for stage, seconds in {**self._seconds, BETWEEN: rest}.items()}


def _without_frames(result: Repair | Exception) -> Repair | Exception:
    return drop_frames(result) if isinstance(result, Exception) else result
