"""Holding a run: it finishes what is in hand and takes up nothing more until it is let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from cleanplate.device.memory import StagingUse
from cleanplate.engine.events import Event, Paused
from cleanplate.engine.owner import Answer, DeviceOwner
from cleanplate.engine.usage import ProcessUsage
from cleanplate.structures import Photo

#: How long a wait goes on before it looks whether the run is to end.
_TICK_SECONDS = 0.2


class Hold:
    """A wish that a run waits. Any thread may make it and take it back.

    >>> hold = Hold()
    >>> hold.ask()
    >>> hold.asked, hold.reached
    (True, False)
    """

    def __init__(self) -> None:
        self._free = threading.Event()
        self._free.set()
        self._reached = False

    def ask(self) -> None:
        """Ask the run to wait. Asking twice is asking once."""
        self._free.clear()

    def release(self) -> None:
        """Let it go on."""
        self._free.set()

    @property
    def asked(self) -> bool:
        return not self._free.is_set()

    @property
    def reached(self) -> bool:
        """Whether the run waits; between asking and this, it finishes what is in hand."""
        return self._reached

    def wait(self, is_over: Callable[[], bool]) -> float:
        """Wait while it is asked for and not over; how many seconds that was."""
        if not self.asked:
            return 0.0
        began = time.monotonic()
        self._reached = True
        try:
            while not self._free.wait(_TICK_SECONDS) and not is_over():
                pass
        finally:
            self._reached = False
        return time.monotonic() - began


class HeldOwner:
    """A device owner that waits before each batch while its hold is asked for.

    stopping: whether waiting has lost its point. emit: hears how long each wait was.
    """

    def __init__(
        self, owner: DeviceOwner, hold: Hold, *, stopping: Callable[[], bool], emit: Callable[[Event], None]
    ) -> None:
        self._owner = owner
        self._hold = hold
        self._stopping = stopping
        self._emit = emit

    @property
    def fingerprint(self) -> str:
        """The owner's."""
        return self._owner.fingerprint

    @property
    def peak_bytes(self) -> int | None:
        """The owner's."""
        return self._owner.peak_bytes

    @property
    def staging(self) -> StagingUse | None:
        """The owner's."""
        return self._owner.staging

    def before_batch(self) -> None:
        """Wait for whoever holds the run, then as the owner does."""
        seconds = self._hold.wait(self._stopping)
        if seconds:
            self._emit(Paused(reason="held by hand", seconds=seconds))
        self._owner.before_batch()

    def read_usage(self) -> ProcessUsage | None:
        """The owner's."""
        return self._owner.read_usage()

    def repair(self, photos: Sequence[Photo]) -> list[Answer]:
        """The owner's."""
        return self._owner.repair(photos)
