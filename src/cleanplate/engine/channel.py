"""Messages between the parent and the process that owns the device: pickles over a pair of sockets.

Arrays travel beside the pickle (protocol 5), straight from one array into another. Measured for 100 MB
between two processes on a busy machine of two cores: 0.16 to 0.33 s this way, 0.17 to 0.42 s through shared
memory (written on one side, read on the other), 0.38 to 0.92 s through a `multiprocessing` connection. Shared
memory is not worth its price: a name that has to be unlinked after every kind of end, and in a container with
the usual 64 MB for it, the whole process dies of a page that is not there. Of sockets nothing can be left.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_HEAD = struct.Struct("<QQ")  # bytes of the pickle, number of arrays beside it
_SIZE = struct.Struct("<Q")


class ChannelClosedError(Exception):
    """The other side is gone."""


class ChannelStalledError(ChannelClosedError):
    """The other side fell silent in the middle of a message."""


class Channel:
    """One end. Any thread may send; one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """What a selector waits for."""
        return self._end.fileno()

    def send(self, message: object, shared: Sequence[object] = ()) -> None:
        """Send a message. shared: objects that the other side has too; of these only the place is sent.

        Raises ChannelClosedError, or whatever makes the message impossible to pickle (then nothing was sent).
        """
        parts = _pack(message, shared)
        with self._sending:
            self._send(parts)

    def try_send(self, message: object) -> bool:
        """The same if nobody else is sending; whether it was sent."""
        parts = _pack(message, ())
        if not self._sending.acquire(blocking=False):
            return False
        try:
            self._send(parts)
        finally:
            self._sending.release()
        return True

    def receive(self, shared: Sequence[object] = (), *, patience_seconds: float | None = None) -> Any:
        """The next message; waits for it. shared: as it was sent with.

        patience_seconds: how long the other side may send nothing; None: for ever. Raises ChannelClosedError,
        ChannelStalledError.
        """
        wait = self._make_wait(patience_seconds)
        pickle_bytes, count = _HEAD.unpack(self._read(_HEAD.size, wait))
        sizes = [_SIZE.unpack(self._read(_SIZE.size, wait))[0] for _ in range(count)]
        data = self._read(pickle_bytes, wait)
        return _Unpickler(io.BytesIO(data), shared, [self._read(size, wait) for size in sizes]).load()

    def close(self) -> None:
        """Close this end; the other side notices, also in the middle of a wait."""
        with contextlib.suppress(OSError):  # the other side may have been quicker
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _send(self, parts: Sequence[Any]) -> None:
        try:
            for part in parts:
                self._end.sendall(part)
        except OSError as exc:
            raise ChannelClosedError from exc

    def _make_wait(self, patience_seconds: float | None) -> Callable[[], None]:
        """What waits for bytes. Not the socket's own timeout: that one would hold for sending too."""
        if patience_seconds is None:
            return lambda: None

        def wait() -> None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._end, selectors.EVENT_READ)
                if not selector.select(patience_seconds):
                    raise ChannelStalledError

        return wait

    def _read(self, size: int, wait: Callable[[], None]) -> memoryview:
        """Exactly `size` bytes, in memory of their own."""
        rest = whole = np.empty(size, np.uint8).data
        while rest.nbytes:
            wait()
            try:
                got = self._end.recv_into(rest)
            except OSError as exc:
                raise ChannelClosedError from exc
            if got == 0:
                raise ChannelClosedError
            rest = rest[got:]
        return whole


def _pack(message: object, shared: Sequence[object]) -> list[Any]:
    beside: list[pickle.PickleBuffer] = []
    data = io.BytesIO()
    _Pickler(data, shared, beside).dump(message)
    raw = [buffer.raw() for buffer in beside]
    sizes = b"".join(_SIZE.pack(part.nbytes) for part in raw)
    return [_HEAD.pack(data.tell(), len(raw)) + sizes + data.getvalue(), *raw]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, shared: Sequence[object], beside: list[pickle.PickleBuffer]) -> None:
        # `append` gives None, which tells pickle that the buffer travels beside.
        super().__init__(file, protocol=5, buffer_callback=beside.append)
        self._places = {id(thing): place for place, thing in enumerate(shared)}

    def persistent_id(self, thing: object) -> int | None:
        return self._places.get(id(thing))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: Sequence[object], beside: Sequence[memoryview]) -> None:
        super().__init__(file, buffers=beside)
        self._shared = shared

    def persistent_load(self, place: int) -> object:
        return self._shared[place]
