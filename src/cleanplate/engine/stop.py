"""Asking a run to stop."""

from __future__ import annotations

import threading


class StopRequest:
    """A wish that a run finishes what is in hand and then stops. Any thread or signal handler may make it.

    >>> stop = StopRequest()
    >>> stop.request()
    >>> stop.requested
    True
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    def request(self) -> None:
        """Ask. Asking twice is asking once."""
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()


class StoppedError(Exception):
    """Work was given up because somebody asked to stop; whoever began it catches this."""
