"""The memory budget's keeper: predicts, admits, shrinks, retries and pauses.

Work that does not fit is made smaller before it starts. When memory runs out all the same, the error is
handled after its `except` block has ended: inside it, the traceback still holds every tensor of the failed
run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import cv2
import torch

from cleanplate.device.failures import ErrorKind, classify_error, is_outside_allocator
from cleanplate.device.memory import DeviceMemory, StagingUse, open_memory
from cleanplate.device.notebook import Notebook
from cleanplate.device.staging import make_staging, staging_through
from cleanplate.device.units import format_bytes
from cleanplate.engine.admission import Admission, Size, list_sizes
from cleanplate.engine.events import Event, Retried
from cleanplate.engine.pauses import Pauses, Quiet
from cleanplate.engine.shares import MemoryShares
from cleanplate.errors import DeviceLostError, TooLittleMemoryError
from cleanplate.models.request import Request
from cleanplate.settings import RepairSettings

Item = TypeVar("Item")
Result = TypeVar("Result")


#: Share of the time that looking through all objects for garbage may take while failures come thick and fast.
THOROUGH_SHARE = 0.05
#: Share of the host's free memory, or of the limit, in which batches may be kept for the next ones.
KEEP_SHARE = 1 / 16
MOST_KEEP_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Failure:
    """What is kept of an error: words, no frames. retry_same: whether the same size is worth another try.

    out_of_room: whether an allocation failed. That may have been for a moment, or for pictures in queues,
    which can leave; so where nothing smaller is left it is tried again.
    """

    kind: ErrorKind
    retry_same: bool
    cause: str
    out_of_room: bool = False


class Guard:
    """Keeps work on one device within its memory. Its methods are for the one thread that owns the device.

    device: where the networks are, or its memory (the virtual accelerator). emit: hears `Retried`, `Paused`
    and `Cleaned`. shares: the limit that work on a processor shares with pictures in queues. notes: see
    `Admission`. clock, sleep, stopping, quiet: see `Pauses`.
    """

    def __init__(
        self,
        settings: RepairSettings,
        device: torch.device | DeviceMemory,
        *,
        emit: Callable[[Event], None] = lambda _: None,
        shares: MemoryShares | None = None,
        notes: Notebook | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        stopping: Callable[[], bool] = lambda: False,
        quiet: Quiet = MappingProxyType({}),
    ) -> None:
        limit = settings.memory_limit
        self.shares = shares or MemoryShares(limit)
        self.memory = (
            open_memory(device, limit, self.shares.allow) if isinstance(device, torch.device) else device
        )
        self.admission = Admission(self.memory, limit, lambda: self.shares.queued_bytes, notes)
        self.pauses = Pauses(
            self.memory,
            settings.pause_interval,
            emit,
            clock=clock,
            sleep=sleep,
            stopping=stopping,
            quiet=quiet,
        )
        self.emit = emit
        self._staging = make_staging(self.memory.device, self._choose_keep_bytes(limit))
        self.out_of_memory_count = 0
        self._peak_bytes = 0
        self._clock = clock
        self._thorough_from = clock()

    @property
    def peak_bytes(self) -> int:
        """The most held at once by work: on a CPU live tensors and queued pictures, on a card reserved."""
        return self._peak_bytes

    @property
    def staging(self) -> StagingUse:
        """What batches took of the host's memory."""
        return self._staging.use

    @property
    def quiet(self) -> Quiet:
        """For what causes there is to be no pause for now."""
        return self.pauses.quiet

    def attempt(self, request: Request[Item, Result]) -> list[Result | Exception]:
        """Run a request in pieces that fit; for every item its result, or a TooLittleMemoryError.

        An implementation of `models.request.Attempt`. What is not about memory goes through to the caller.
        Raises DeviceLostError where the device can do nothing more in this process.
        """
        sizes = list_sizes(len(request.items), request.tiles)
        results: list[Result | Exception] = []
        # Within one request the size only goes up again when a ceiling has; so attempts are bounded by the
        # number of sizes, and one more at each, for every item.
        at = retried_at = room_made_at = -1
        while len(results) < len(request.items):
            if at < 0:
                at, retried_at = self.admission.choose(request, sizes), -1
            size = sizes[at]
            items = request.items[len(results) : len(results) + size.batch]
            smaller = _find_smaller(sizes, at, len(items))
            done, failure = self._run(request, items, size, is_last=smaller is None)
            if failure is None:
                results.extend(done)
                retried_at = -1
                if self.admission.note_success(request, size):
                    at = -1
            elif retried_at != at and (failure.retry_same or (smaller is None and failure.out_of_room)):
                retried_at = at
                self._tell(request.stage, size, size, failure)
            elif smaller is not None:
                at = smaller
                self.admission.lower(request, sizes[at])
                self._tell(request.stage, size, sizes[at], failure)
            elif failure.out_of_room and room_made_at != len(results) and self._make_room():
                room_made_at = len(results)
                self._tell(request.stage, size, size, failure)
            else:
                self._tell(request.stage, size, None, failure)
                results.extend(_give_up(request.stage, size, failure) for _ in items)
                retried_at = -1
        return results

    def before_batch(self) -> None:
        """Wait if memory is short, within bounds; go on at the smallest sizes if cleaning did not help."""
        if self.pauses.before_batch():
            self._staging.clear()
            self.admission.lower_all()

    def after_photos(self, count: int = 1) -> None:
        """Tell that photographs are finished; cleans up now and then."""
        self.pauses.after_photos(count)

    def clean(self, reason: str) -> None:
        """Give back what nothing uses, for instance before going idle."""
        self.pauses.clean(reason)

    def close(self) -> None:
        """Give back what is kept for the next batch."""
        self._staging.clear()

    def _choose_keep_bytes(self, limit_bytes: int | None) -> int:
        snapshot = self.memory.read()
        if not self.admission.on_host:
            room = snapshot.system_available_bytes or 0
        else:
            room = snapshot.free_bytes or 0
            room = room if limit_bytes is None else min(room, limit_bytes)
        return min(MOST_KEEP_BYTES, int(KEEP_SHARE * room))

    def _run(
        self, request: Request[Item, Result], items: Sequence[Item], size: Size, *, is_last: bool
    ) -> tuple[list[Result], Failure | None]:
        """The results of one piece, or what is left of its error; in that case nothing else is left."""
        if is_last and (cost := self._find_hopeless_cost(request, size)) is not None:
            return [], Failure(ErrorKind.SHRINK, False, f"needs {format_bytes(cost)}, more than is free")
        results: list[Result] = []
        failure: Failure | None = None
        measuring = self._begin_measuring(request)
        try:
            with self._sharing(request, size), self.memory.metering(), staging_through(self._staging):
                results = request.run(items, size.tile)
        except (RuntimeError, MemoryError, cv2.error) as error:
            kind = classify_error(error)
            if kind is ErrorKind.BUG:
                raise
            again = kind is ErrorKind.AMBIGUOUS or is_outside_allocator(error)
            failure = Failure(kind, again, _first_line(error), isinstance(error, torch.OutOfMemoryError))
        # Only here, with the error and its traceback gone, is there something to give back.
        self._note_peak()
        if failure is None:
            if len(results) != len(items):
                raise ValueError(f"stage {request.stage} gave {len(results)} results for {len(items)} items")
            if measuring is not None:
                held = (self.memory.read_peak() or 0) - measuring
                self.admission.note_measured(request, Size(len(items), size.tile), held)
            return results, None
        if failure.kind is ErrorKind.STICKY:
            raise DeviceLostError(f"{self.memory.device}: {failure.cause}; the process must be started again")
        self.out_of_memory_count += 1
        self._release()
        return [], failure

    def _make_room(self) -> bool:
        """Have pictures that wait leave for a piece that cannot be made smaller; whether any did."""
        return self.admission.on_host and self.shares.make_room()

    def _sharing(self, request: Request[Any, Any], size: Size) -> AbstractContextManager[None]:
        """Keeps pictures out of what the piece is going to need; without a limit there is enough for both."""
        if not self.admission.on_host or self.shares.limit_bytes is None:
            return nullcontext()
        planned = self.admission.plan_cost(request, size, self.shares.limit_bytes)
        return self.shares.working(planned, self.memory.read_live)

    def _find_hopeless_cost(self, request: Request[Any, Any], size: Size) -> int | None:
        """The cost of a piece that would not fit into all that is left; None where there is hope."""
        if self.admission.fits(request, size, self.admission.read_budget()):
            return None
        cost = self.admission.predict_cost(request, size)
        return cost if self.admission.is_hopeless(cost) else None

    def _release(self) -> None:
        """Clean up after a failure; thoroughly as long as that takes little of the time."""
        self._staging.clear()
        began = self._clock()
        thorough = began >= self._thorough_from
        self.memory.release(thorough=thorough)
        if thorough:
            self._thorough_from = began + (self._clock() - began) / THOROUGH_SHARE

    def _begin_measuring(self, request: Request[Item, Result]) -> int | None:
        """Bytes held before a network's first run on this card; None where there is nothing to measure."""
        measures = self.admission.wants_measuring(request.network)
        if measures:
            self.memory.release()  # what is already held idle would hide what the run takes
        self.memory.reset_peak()
        return self.memory.read().reserved_bytes if measures else None

    def _note_peak(self) -> None:
        peak = self.memory.read_peak() or 0
        if self.admission.on_host:  # there pictures lie in the same memory
            peak = max(peak + self.shares.queued_bytes, self.shares.peak_bytes)
        self._peak_bytes = max(self._peak_bytes, peak)

    def _tell(self, stage: str, size: Size, following: Size | None, failure: Failure) -> None:
        self.emit(
            Retried(
                stage=stage,
                batch=size.batch,
                tile=size.tile,
                next_batch=following.batch if following else 0,
                next_tile=following.tile if following else None,
                cause=failure.cause,
            )
        )


def _find_smaller(sizes: Sequence[Size], at: int, count: int) -> int | None:
    """Index of the next size that makes less of `count` items than they are; None where nothing does."""
    for index in range(at + 1, len(sizes)):
        if sizes[index].batch < count or sizes[index].tile is not None:
            return index
    return None


def _first_line(error: BaseException) -> str:
    """An error's type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _give_up(stage: str, size: Size, failure: Failure) -> TooLittleMemoryError:
    """The error of one item; each item has its own, so that none shares another's traceback."""
    whole = "whole" if size.tile is None else f"in tiles of {size.tile} pixels"
    return TooLittleMemoryError(
        f"memory ran out at the smallest size (stage {stage}, one at a time, {whole}: {failure.cause})",
        "close other programs, raise --memory-limit if one is given, or use another --device",
    )
