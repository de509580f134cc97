"""Memory that several threads share, by what each says it needs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class ByteBudget:
    """Bytes that several threads share; who wants more than all of it waits till it is alone."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def held(self, nbytes: int) -> Iterator[None]:
        """Hold so many bytes inside the block, once they are free."""
        wanted = min(nbytes, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._held + wanted <= self._most)
            self._held += wanted
        try:
            yield
        finally:
            with self._changed:
                self._held -= wanted
                self._changed.notify_all()
