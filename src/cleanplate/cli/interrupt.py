"""Ctrl-C: the first finishes what is in hand, the second leaves at once, as does a closed terminal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from cleanplate.cli.exits import EXIT_INTERRUPTED

FIRST = "finishing what is in hand; Ctrl-C again leaves at once"
SHOW_CURSOR = "\x1b[?25h"


class Stoppable(Protocol):
    """What can be asked to stop: the engine's StopRequest."""

    def request(self) -> None: ...


@contextmanager
def stop_on_interrupt(stop: Stoppable, say: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, Ctrl-C and SIGTERM ask `stop` to stop and say so; a second one leaves at once.

    So does SIGHUP, which a closed terminal sends to this process and to no program in a session of its own;
    not under nohup, which has it ignored.

    Results are renamed into place only when they are whole, so leaving at once leaves nothing half-written
    under a result's name; what lies in the output's own temporary folder is swept by the next run.
    """
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _leave_at_once()
        asked = True
        stop.request()
        say(FIRST)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        before[hang_up] = signal.signal(hang_up, lambda _number, _frame: _leave_at_once())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave_at_once() -> None:
    """End this process and its children without unwinding: threads may be blocked in a write or a kernel."""
    import psutil  # the engine has loaded it long before; `--help` need not

    from cleanplate.device.temporary import remove_temporary

    children = psutil.Process().children(recursive=True)  # also what children have started: IOPaint
    for child in children:
        with suppress(psutil.Error):
            child.kill()
    remove_temporary([os.getpid(), *(child.pid for child in children)])
    with suppress(OSError):  # a terminal that has been closed
        if sys.stderr.isatty():
            sys.stderr.write(SHOW_CURSOR)  # the progress bar has hidden it
            sys.stderr.flush()
    os._exit(EXIT_INTERRUPTED)
