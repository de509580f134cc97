"""What the process that owns the device and its parent say to each other; all of it can be pickled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cleanplate.device.memory import StagingUse
from cleanplate.engine.events import Event
from cleanplate.engine.owner import Answer
from cleanplate.engine.pauses import Quiet
from cleanplate.engine.policy import Policy
from cleanplate.engine.usage import ProcessUsage
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import Photo

#: How long the child may take until it is ready: torch and the networks can come from a cold network disk.
START_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Situation:
    """What the child's policy must know of the parent.

    queued_bytes: of a processor's memory limit, what belongs to pictures. stopping: whether waiting has lost
    its point.
    """

    queued_bytes: int = 0
    stopping: bool = False


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What the child is made from; everything in it can be pickled.

    limit_seconds: how long work may go on without a step; start_seconds: how long starting may take.
    memory_share: of the memory that it may use, halved after each death. situation: as it is at first. quiet:
    what the child before it would not pause for. log_level: from where on it tells what it logs.
    """

    settings: RepairSettings
    make_pipeline: Callable[[RepairSettings], Pipeline]
    make_policy: Callable[..., Policy]
    limit_seconds: float
    start_seconds: float = START_SECONDS
    memory_share: float = 1.0
    situation: Situation = Situation()
    quiet: Quiet = field(default_factory=dict)
    log_level: int = logging.WARNING


@dataclass(frozen=True, slots=True)
class Admit:
    """Asks the policy whether to wait before the next batch; answered by `Admitted` when that is over."""


@dataclass(frozen=True, slots=True)
class RepairBatch:
    """Asks for photographs to be repaired; answered by `Repaired`. situation: as it is now."""

    photos: Sequence[Photo]
    situation: Situation = Situation()


@dataclass(frozen=True, slots=True)
class Prepare:
    """Asks for another pipeline, under the same policy; answered by `Ready` or `Refused`."""

    settings: RepairSettings
    make_pipeline: Callable[[RepairSettings], Pipeline]


@dataclass(frozen=True, slots=True)
class Leave:
    """Asks the child to end."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The first answer: pipeline and policy are there. Also to `Prepare`."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The same, where they could not be made."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Admitted:
    """The next batch may come. quiet: see `Policy`."""

    quiet: Quiet = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repaired:
    """One answer a photograph, in order. The rest: see `Policy`."""

    answers: list[Answer]
    peak_bytes: int | None
    staging: StagingUse | None
    quiet: Quiet = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happened:
    """An event to pass on."""

    event: Event


@dataclass(frozen=True, slots=True)
class Logged:
    """A line for the parent's log."""

    record: logging.LogRecord


@dataclass(frozen=True, slots=True)
class Beat:
    """Sign of life. steps: grows with the work."""

    steps: int
    usage: ProcessUsage


@dataclass(frozen=True, slots=True)
class Lost:
    """The device can do nothing more in this process, which ends."""

    cause: str
