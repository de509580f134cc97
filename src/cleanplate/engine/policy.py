"""What decides about memory and pauses while photographs go through, and the one place where it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Protocol, TypeVar

from cleanplate.device.memory import DeviceMemory, StagingUse, read_system_memory
from cleanplate.engine.events import Event
from cleanplate.engine.pauses import Quiet
from cleanplate.engine.shares import MemoryShares
from cleanplate.models.request import Attempt, Request, plainly
from cleanplate.settings import RepairSettings

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Of the memory to work in, what pictures that wait for their turn may take; the rest is the networks'.
QUEUE_SHARE = 0.25

#: Waiting pictures beyond this make nothing quicker: it is forty photographs of 12 megapixels.
MOST_QUEUE_BYTES = 8 << 30

#: On a processor, where reading takes a small part of the networks' time, what is read before it is wanted:
#: several small photographs or one large one.
HOST_AHEAD_BYTES = 32 << 20

#: Of what is free, what a run works in where `--memory-limit` says nothing.
FREE_SHARE = 0.8


#: In the user's cache folder: predicted peaks, and what cards hold beyond them.
NOTES_FILE = "memory.json"


class Policy(Protocol):
    """Decides in what pieces network work is done and when to pause. Its methods are the device owner's.

    before_batch: called before the next photographs are taken up; may wait, within bounds.
    after_photos: called when `count` more photographs have been through the networks; may clean up.
    peak_bytes: the most that metered work has held at once; None where nothing is metered. staging: what
    batches took of the host's memory on their way to the device; None where that memory is not used again.
    quiet: for what causes it will not pause for now; whoever takes its place is told.
    close: gives back what it holds; called when the run ends.
    """

    @property
    def attempt(self) -> Attempt: ...

    @property
    def peak_bytes(self) -> int | None: ...

    @property
    def staging(self) -> StagingUse | None: ...

    @property
    def quiet(self) -> Quiet: ...

    def before_batch(self) -> None: ...

    def after_photos(self, count: int) -> None: ...

    def close(self) -> None: ...


class PlainPolicy:
    """Everything at once, no pauses, nothing metered: what `--no-optimize` asks for."""

    attempt = staticmethod(plainly)
    peak_bytes: int | None = None
    staging: StagingUse | None = None
    quiet: Quiet = MappingProxyType({})

    def before_batch(self) -> None:
        """Never waits."""

    def after_photos(self, count: int) -> None:
        """Never cleans up."""

    def close(self) -> None:
        """Holds nothing."""


class MeteredPlainPolicy(PlainPolicy):
    """The same on a given memory, which may be too small for it: for tests and benchmarks."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory

    def attempt(self, request: Request[Item, Result]) -> list[Result | Exception]:
        """Everything at once, metered; errors go through to the caller."""
        with self._memory.metering():
            return plainly(request)

    @property
    def peak_bytes(self) -> int | None:  # type: ignore[override]  # a plain attribute there
        """The most bytes of live tensors."""
        return self._memory.read_peak()


def choose_policy(
    settings: RepairSettings,
    *,
    emit: Callable[[Event], None],
    shares: MemoryShares | None = None,
    stopping: Callable[[], bool],
    quiet: Quiet = MappingProxyType({}),
    memory: DeviceMemory | None = None,
) -> Policy:
    """The policy of a run: the guard, or none where the user wants it plain.

    emit: hears of pauses, clean-ups and retries. shares: of the memory limit, with pictures in queues; None:
    there are none. stopping: whether waiting has lost its point. quiet: see `Policy`. memory: in place of the
    device's own (the virtual accelerator).
    """
    if not settings.optimize:
        return PlainPolicy() if memory is None else MeteredPlainPolicy(memory)
    from cleanplate.device.folders import cache_folder
    from cleanplate.device.notebook import Notebook
    from cleanplate.device.selection import resolve_device
    from cleanplate.engine.guard import Guard

    device = resolve_device(settings.device) if memory is None else memory
    notes = Notebook(cache_folder() / NOTES_FILE if memory is None else None)
    return Guard(settings, device, emit=emit, shares=shares, notes=notes, stopping=stopping, quiet=quiet)


def choose_batch_size(settings: RepairSettings) -> int:
    """How many photographs go to the device together.

    One where they would share nothing: marks that are given are not looked for, and on a processor inpainting
    networks and patches fill them one by one. So each photograph is written while the next is worked on, and
    fewer are held. (The package's own restorer is quicker on several crops, and IOPaint's start is shared.)
    """
    fills_alone = settings.inpaint_model is not None or settings.inpaint == "patchmatch"
    if not settings.is_given or not fills_alone:
        return settings.batch_size
    from cleanplate.device.selection import resolve_device

    return 1 if resolve_device(settings.device).type == "cpu" else settings.batch_size


def choose_ahead_bytes(settings: RepairSettings) -> int | None:
    """What may be read before the device's owner wants it; None where a card must be kept fed."""
    from cleanplate.device.selection import resolve_device

    return HOST_AHEAD_BYTES if resolve_device(settings.device).type == "cpu" else None


def choose_queue_bytes(settings: RepairSettings) -> int:
    """What decoded pictures may take together, from reading to writing."""
    work_bytes = settings.memory_limit or int(FREE_SHARE * read_system_memory()[0])
    return min(MOST_QUEUE_BYTES, int(QUEUE_SHARE * work_bytes))
