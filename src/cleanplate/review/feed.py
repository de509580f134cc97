"""What happens, told to every page that listens: numbered, so that a page that was away misses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Events that are kept for pages that come back.
KEPT_EVENTS = 2000
#: Between two signs of life on a quiet connection.
ALIVE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class _Told:
    number: int
    text: str


class Feed:
    """Any thread publishes; every listener reads at its own pace and never keeps another waiting."""

    def __init__(self, kept: int = KEPT_EVENTS) -> None:
        self._lock = threading.Lock()
        self._told: deque[_Told] = deque(maxlen=kept)
        self._number = 0
        self._closed = False
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    @property
    def number(self) -> int:
        """Of the last event; 0 before the first."""
        with self._lock:
            return self._number

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell everyone. data: plain values."""
        body = json.dumps(data)
        with self._lock:
            self._number += 1
            self._told.append(_Told(self._number, _format(kind, body, self._number)))
            self._wake()

    def close(self) -> None:
        """Let every listener go."""
        with self._lock:
            self._closed = True
            self._wake()

    async def listen(self, after: int | None = None) -> AsyncIterator[str]:
        """The stream of one page, as server-sent events. after: the number of the last that it knows."""
        woken = asyncio.Event()
        with self._lock:
            self._listeners[woken] = asyncio.get_running_loop()
        try:
            known, missed = self._find_start(after)
            yield _format("hello", json.dumps({"sequence": known, "missed": missed}))
            while True:
                woken.clear()
                texts, known, fell_behind, closed = self._take(known)
                if fell_behind:
                    yield _format("hello", json.dumps({"sequence": known, "missed": True}))
                for text in texts:
                    yield text
                if closed:
                    yield _format("bye", "{}")
                    return
                try:
                    await asyncio.wait_for(woken.wait(), ALIVE_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            with self._lock:
                self._listeners.pop(woken, None)

    def _find_start(self, after: int | None) -> tuple[int, bool]:
        """The number from which on to tell, and whether something before it is lost for this listener."""
        with self._lock:
            if after is None:
                return self._number, False
            oldest = self._number - len(self._told)
            if oldest <= after <= self._number:
                return after, False
            return self._number, True  # too long ago, or another server's number

    def _take(self, known: int) -> tuple[list[str], int, bool, bool]:
        with self._lock:
            if known < self._number - len(self._told):
                return [], self._number, True, self._closed
            texts = [told.text for told in self._told if told.number > known]
            return texts, self._number, False, self._closed

    def _wake(self) -> None:
        for woken, loop in self._listeners.items():
            with contextlib.suppress(RuntimeError):  # its loop has ended before it could say so
                loop.call_soon_threadsafe(woken.set)


def _format(kind: str, body: str, number: int | None = None) -> str:
    """One event. JSON has no line breaks of its own, so a body is one line."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {body}\n\n"
