"""What commands share that serve a page: the extra, the port, the address, the wait for the end."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.cli.wording import count
from cleanplate.errors import UsageError
from cleanplate.extras import require

if TYPE_CHECKING:
    from cleanplate.review.desk import Desk
    from cleanplate.review.serve import Server

#: What the extra `review` brings.
MODULES = ("fastapi", "uvicorn")


class Bell:
    """Rings when it is time to leave."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def request(self) -> None:
        """Ring."""
        self._rung.set()

    def wait(self) -> None:
        """Wait for it; in short waits, so that Ctrl-C gets through on Windows too."""
        while not self._rung.wait(0.2):
            pass


def check_serving(port: int) -> None:
    """Raises MissingExtraError where the extra is not installed, UsageError for what is no port."""
    for module in MODULES:
        require(module, extra="review")
    check_port("--port", port)


def check_port(option: str, port: int) -> None:
    """Raises UsageError for what is no port."""
    if not 0 <= port < 65536:
        raise UsageError(f"{option} is {port}; wanted: a number from 1 to 65535, or 0 for any that is free")


def announce(server: Server, *, browser: bool) -> None:
    """Show the address, and open it."""
    address = server.make_address()
    _print_address(address)
    server.on_address = _print_address
    if browser:
        import webbrowser

        webbrowser.open(address)


def tell_waiting(desk: Desk) -> None:
    """Say at the end of a review how many jobs wait, where any do."""
    waiting = desk.queue.to_json()["waiting_count"]
    if waiting:
        print(
            f"{count(waiting, 'photograph')} still in the queue: the next review goes on with it",
            file=sys.stderr,
            flush=True,
        )


def renew_report(output: Path) -> None:
    """Make the report that lies in the folder anew, after a review has changed what it tells."""
    from cleanplate.cli.page import write_page
    from cleanplate.report import REPORT_FILE

    if (output / REPORT_FILE).is_file():
        # One that cleanplate did not write is none of its business.
        with suppress(UsageError):
            print(f"report: {write_page(output, overwrite=False, quiet=False)}", file=sys.stderr)


def _print_address(address: str) -> None:
    print(
        f"the page is at {address}\nthe address lets one browser in, once; Ctrl-C ends",
        file=sys.stderr,
        flush=True,
    )
