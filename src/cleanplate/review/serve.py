"""The server: a socket on loopback, uvicorn on a thread of its own, an end that leaves nobody waiting."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from types import TracebackType

import uvicorn

from cleanplate.errors import UsageError
from cleanplate.review.app import Run, make_app
from cleanplate.review.desk import Desk
from cleanplate.review.gate import Gate

LOOPBACK = "127.0.0.1"
#: How long answers under way may take when the server ends.
LEAVE_SECONDS = 3
#: Requests that are answered at a time; a browser asks six at most.
MOST_AT_ONCE = 64


class Server:
    """Serves a desk while entered.

    port: 0: any that is free. on_address: told an address with a new token when one has been used up and
    another browser asks for the page.

    Raises UsageError where the port is taken.
    """

    def __init__(self, desk: Desk, run: Run, port: int = 0) -> None:
        self._desk = desk
        self._socket = open_socket(port)
        self.port: int = self._socket.getsockname()[1]
        self.gate = Gate(self.port)
        self.on_address: Callable[[str], None] = lambda _address: None
        config = uvicorn.Config(
            make_app(desk, self.gate, run, on_stranger=self._meet_stranger),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_graceful_shutdown=LEAVE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="cleanplate-server", daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._desk.feed.close()  # else every open page would be waited for
        self._server.should_exit = True
        self._thread.join()
        with contextlib.suppress(OSError):
            self._socket.close()

    @property
    def origin(self) -> str:
        """The server's own, as browsers write it."""
        return f"http://{LOOPBACK}:{self.port}"

    def make_address(self) -> str:
        """An address that lets one browser in, once; an older one is void."""
        return f"{self.origin}/?token={self.gate.mint()}"

    def _meet_stranger(self) -> None:
        if not self.gate.has_token:
            self.on_address(self.make_address())

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def open_socket(port: int) -> socket.socket:
    """A listening socket on loopback. Raises UsageError where the port is taken or may not be used."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two programs listen on one port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, port))
        opened.listen()
    except (OSError, OverflowError) as exc:
        opened.close()
        reason = getattr(exc, "strerror", None) or exc
        raise UsageError(
            f"--port {port}: nothing can be served there ({reason}); give another port, or none"
        ) from exc
    return opened
