"""One limit on the machine's memory, shared by pictures on their way and by work on the processor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class MemoryShares:
    """Who takes how much of a limit, under one lock: what one is given, the other cannot get as well.

    Pictures wait until there is room for them (see `Conveyor`); work is refused and made smaller (see
    `Guard`), and where it cannot be, pictures that nobody works on yet leave. limit_bytes: of both together;
    None: there is room for all. changed: notified when either gives something back; who waits for room waits
    on it. drop_waiting: lets go of pictures that wait, and says how many bytes that was.

    >>> shares = MemoryShares(100)
    >>> shares.queue(30)
    >>> shares.allow(70), shares.allow(71), shares.has_room(1)
    (True, False, False)
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.changed = threading.Condition()
        self.drop_waiting: Callable[[], int] = lambda: 0
        self._queued = self._planned = self._live = self._peak = 0
        self._refused = self._wanted = self._kept = 0

    @property
    def queued_bytes(self) -> int:
        """What pictures on their way take."""
        return self._queued

    @property
    def peak_bytes(self) -> int:
        """The most that pictures and tensors have taken together."""
        return self._peak

    def has_room(self, nbytes: int) -> bool:
        """Whether pictures may take so much more beside what work takes, or is going to take."""
        if self.limit_bytes is None:
            return True
        with self.changed:
            return self._queued + nbytes + max(self._planned, self._live, self._kept) <= self.limit_bytes

    def queue(self, nbytes: int) -> None:
        """Pictures take so much more, or less where it is negative. Whoever adds has asked `has_room`."""
        with self.changed:  # two writers may give back at once
            self.set_queued(self._queued + nbytes)

    @contextmanager
    def holding(self, nbytes: int) -> Iterator[None]:
        """While inside, so much is held of pictures that somebody works on without waiting for room.

        >>> shares = MemoryShares(100)
        >>> with shares.holding(40):
        ...     shares.allow(70)
        False
        """
        self.queue(nbytes)
        try:
            yield
        finally:
            self.queue(-nbytes)

    def set_queued(self, nbytes: int) -> None:
        """Pictures take so much now, as told by whoever has them."""
        with self.changed:
            self._queued = nbytes
            self._note_peak()
            self.changed.notify_all()

    def allow(self, live_bytes: int) -> bool:
        """Whether live tensors may take so much; if so they count, until the piece of work ends."""
        with self.changed:
            if self.limit_bytes is not None and self._queued + live_bytes > self.limit_bytes:
                self._refused = max(self._refused, live_bytes)
                return False
            self._live = max(self._live, live_bytes)
            self._note_peak()
            return True

    @contextmanager
    def working(self, planned_bytes: int, read_live: Callable[[], int]) -> Iterator[None]:
        """While a piece of work runs, no picture is let in where the piece is going to need the room.

        planned_bytes: what it will take above what `read_live` says now.
        """
        live = read_live()
        with self.changed:
            self._live, self._planned, self._refused = live, live + planned_bytes, 0
        try:
            yield
        finally:
            live = read_live()
            with self.changed:
                self._wanted = max(self._planned, self._refused)
                self._planned, self._live = 0, live
                self.changed.notify_all()

    def make_room(self) -> bool:
        """Have pictures leave for the last piece of work; True if any did. It is kept free from now on, so
        that they do not come and go with each piece."""
        if self.limit_bytes is None:
            return False
        with self.changed:
            self._kept = max(self._kept, self._wanted)
        return self.drop_waiting() > 0

    def _note_peak(self) -> None:
        self._peak = max(self._peak, self._queued + self._live)
