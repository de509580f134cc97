"""When to wait for memory, and when to clean up.

Memory that other programs take makes the run wait a moment, never for ever; cleaning is rare, because it
stops a card's work and mostly gains nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cleanplate.device.memory import DeviceMemory, MemorySnapshot
from cleanplate.device.units import format_bytes
from cleanplate.engine.events import Cleaned, Event, Paused

WARNING_SHARE, CRITICAL_SHARE = 0.8, 0.9
#: The wait ends this far below the share that began it, so that it does not begin again at once.
HYSTERESIS = 0.05
LONGEST_WAIT_SECONDS = 30.0
POLL_SECONDS = 0.5
#: A wait ends when nothing has become free for so long: who stands high always would wait in vain.
HOPELESS_SECONDS = 5.0
#: Photographs without another pause for the same cause; doubled each time that waiting did not help.
QUIET_PHOTOS = 25
#: What cleaning must promise: so much held idle on a card and a quarter of all that is reserved...
WORTHWHILE_IDLE_BYTES = 64_000_000
WORTHWHILE_IDLE_SHARE = 0.25
#: ... or so much growth of the process since the last time.
WORTHWHILE_GROWTH_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Pressure:
    """Where memory is short. place: "GPU" or "system"; share: used, in [0, 1]."""

    place: str
    share: float

    @property
    def limit(self) -> float:
        return CRITICAL_SHARE if self.share >= CRITICAL_SHARE else WARNING_SHARE

    @property
    def cause(self) -> tuple[str, float]:
        return self.place, self.limit

    def __str__(self) -> str:
        return f"{self.place} memory is at {self.share:.0%}, over {self.limit:.0%}"


#: By cause: photographs that still go without a pause for it, and how many after the next that does not help.
Quiet = Mapping[tuple[str, float], tuple[int, int]]


class Pauses:
    """Waits and cleans. `emit` hears of it; `clock`, `sleep` and `stopping` (ends a wait) can be replaced.

    quiet: what another one was quiet about, in whose place this one comes.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        interval: int,
        emit: Callable[[Event], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        stopping: Callable[[], bool] = lambda: False,
        quiet: Quiet = MappingProxyType({}),
    ) -> None:
        self.memory = memory
        self.interval = interval
        self.emit = emit
        self.clock = clock
        self.sleep = sleep
        self.stopping = stopping
        self._photos = 0
        self._cleaned_at = 0
        self._process_bytes = memory.read().process_bytes or 0
        self._quiet_until = {cause: left for cause, (left, _) in quiet.items()}
        self._quiet_photos = {cause: photos for cause, (_, photos) in quiet.items()}

    @property
    def quiet(self) -> Quiet:
        """What it is quiet about now."""
        return {
            cause: (max(0, until - self._photos), self._quiet_photos.get(cause, QUIET_PHOTOS))
            for cause, until in self._quiet_until.items()
        }

    def before_batch(self) -> bool:
        """Clean and wait if memory is short for a new cause; True if it was short even after cleaning."""
        pressure = self._find_pressure(self.memory.read())
        if pressure is None:
            return False
        began = self.clock()
        self.clean(str(pressure))
        left = self._find_share(pressure.place)
        helped = left < pressure.limit
        if not helped:
            helped = self._wait(pressure)
            self.emit(Paused(reason=str(pressure), seconds=self.clock() - began))
        self._quieten(pressure, helped)
        return left >= pressure.limit

    def after_photos(self, count: int = 1) -> None:
        """Count finished photographs; clean every `interval` of them if that can gain something."""
        self._photos += count
        if self._photos - self._cleaned_at < self.interval:
            return
        self._cleaned_at = self._photos
        if self._is_worthwhile(self.memory.read()):
            self.clean(f"{self.interval} photographs have passed")

    def clean(self, reason: str) -> None:
        """Give back what nothing uses, now."""
        before = self.memory.read()
        self.memory.release()
        after = self.memory.read()
        self._process_bytes = after.process_bytes or 0
        self.emit(Cleaned(reason=reason, freed_bytes=_count_freed(before, after)))

    def _wait(self, pressure: Pressure) -> bool:
        """Wait until the share is well below the limit; True if it came there."""
        began = fell = self.clock()
        lowest = pressure.share
        while self.clock() - began < LONGEST_WAIT_SECONDS and not self.stopping():
            self.sleep(POLL_SECONDS)
            share = self._find_share(pressure.place)
            if share < pressure.limit - HYSTERESIS:
                return True
            if share < lowest - 0.005:
                lowest, fell = share, self.clock()
            elif self.clock() - fell >= HOPELESS_SECONDS:
                return False
        return False

    def _quieten(self, pressure: Pressure, helped: bool) -> None:
        photos = QUIET_PHOTOS if helped else self._quiet_photos.get(pressure.cause, QUIET_PHOTOS)
        self._quiet_photos[pressure.cause] = 2 * photos
        for limit in {WARNING_SHARE, pressure.limit}:  # a critical state is also one to be warned of
            self._quiet_until[pressure.place, limit] = self._photos + photos

    def _find_pressure(self, snapshot: MemorySnapshot) -> Pressure | None:
        """The first place above a limit for which there was no pause lately."""
        for place, share in _list_shares(snapshot).items():
            pressure = Pressure(place, share)
            if share >= WARNING_SHARE and self._photos >= self._quiet_until.get(pressure.cause, 0):
                return pressure
        return None

    def _find_share(self, place: str) -> float:
        return _list_shares(self.memory.read()).get(place, 0.0)

    def _is_worthwhile(self, snapshot: MemorySnapshot) -> bool:
        if snapshot.reserved_bytes is not None:
            least = max(WORTHWHILE_IDLE_BYTES, WORTHWHILE_IDLE_SHARE * snapshot.reserved_bytes)
            return snapshot.idle_bytes >= least
        return (snapshot.process_bytes or 0) - self._process_bytes >= WORTHWHILE_GROWTH_BYTES


def describe_cleaning(event: Cleaned) -> str:
    """A cleaning as a line for people.

    >>> describe_cleaning(Cleaned(reason="25 photographs have passed", freed_bytes=1_500_000_000))
    'cleaned up (25 photographs have passed): 1.5 GB freed'
    """
    return f"cleaned up ({event.reason}): {format_bytes(event.freed_bytes)} freed"


def _list_shares(snapshot: MemorySnapshot) -> dict[str, float]:
    """Used share by place. What torch's allocator holds idle counts as free: the run can use it."""
    shares = {}
    if snapshot.reserved_bytes is not None and snapshot.free_bytes is not None and snapshot.total_bytes:
        shares["GPU"] = 1.0 - (snapshot.free_bytes + snapshot.idle_bytes) / snapshot.total_bytes
    if snapshot.system_used_share is not None:
        shares["system"] = snapshot.system_used_share
    return shares


def _count_freed(before: MemorySnapshot, after: MemorySnapshot) -> int | None:
    """What cleaning gave back: of the card's memory, or of this process's."""
    if before.reserved_bytes is not None and after.reserved_bytes is not None:
        return max(0, before.reserved_bytes - after.reserved_bytes)
    if before.process_bytes is not None and after.process_bytes is not None:
        return max(0, before.process_bytes - after.process_bytes)
    return None
