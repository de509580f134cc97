"""Holding a run: it finishes what is in hand and takes up nothing more until it is let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from cleanplate.device.memory import StagingUse
from cleanplate.engine.events import Event, Paused
from cleanplate.engine.owner import Answer, DeviceOwner
from cleanplate.engine.usage import ProcessUsage
from cleanplate.structures import Photo

#: How long a wait goes on before it looks whether the run is to end.
_TICK_SECONDS = 0.2


class Hold:
    """A wish that a run waits. Any thread may make it and take it back.

    A run that has taken up its last batch waits no more, so a wish can come too late: whoever waits for the
    run to wait must be told so. `wait_until_reached` does; `reached` alone may stay False for ever.

    >>> hold = Hold()
    >>> hold.ask()
    >>> hold.asked, hold.reached
    (True, False)
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked = self._reached = self._ended = False

    def ask(self) -> None:
        """Ask the run to wait. Asking twice is asking once."""
        with self._changing():
            self._asked = True

    def release(self) -> None:
        """Let it go on."""
        with self._changing():
            self._asked = False

    @property
    def asked(self) -> bool:
        return self._asked

    @property
    def reached(self) -> bool:
        """Whether the run waits; between asking and this, it finishes what is in hand."""
        return self._reached

    def wait_until_reached(self, most_seconds: float) -> bool:
        """Wait until the run waits; False where it ended, was let go or took longer than `most_seconds`."""

        def is_settled() -> bool:
            return self._reached or self._ended or not self._asked

        with self._changed:
            self._changed.wait_for(is_settled, most_seconds)
            return self._reached

    @contextmanager
    def over_a_run(self) -> Iterator[None]:
        """While entered there is a run that can wait; afterwards nobody waits for it in vain."""
        with self._changing():
            self._ended = False
        try:
            yield
        finally:
            with self._changing():
                self._ended = True

    def wait(self, is_over: Callable[[], bool]) -> float:
        """Wait while it is asked for and not over; how many seconds that was."""
        if not self.asked:
            return 0.0
        began = time.monotonic()
        with self._changing():
            self._reached = True
        try:
            with self._changed:
                while self._asked and not is_over():
                    self._changed.wait(_TICK_SECONDS)
        finally:
            with self._changing():
                self._reached = False
        return time.monotonic() - began

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()


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
