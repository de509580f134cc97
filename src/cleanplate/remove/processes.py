"""Running another program so that it can neither hang nor block nor outlive its caller."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

#: The end of what a program says is kept, where its last error stands.
KEPT_BYTES = 8192
#: Between two looks at which children a program has: one whose parent has ended is found only if seen before.
LOOK_SECONDS = 0.5
#: How long a killed program may take to be gone, and what it had said to be read.
GONE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. code: None where it ran past its time. output: the end of what it said."""

    code: int | None
    output: str

    @property
    def timed_out(self) -> bool:
        return self.code is None

    @property
    def last_line(self) -> str:
        """The last line that is not empty, or nothing.

        >>> Finished(1, "Traceback\\nValueError: no\\n").last_line
        'ValueError: no'
        """
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


def run_bounded(
    command: Sequence[str], *, timeout_seconds: float, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run a program without a shell until it ends or its time is over, and end all that it has started.

    Its output is read all the while, so that a full pipe cannot block it, and only the end is kept. However
    this function is left, also by Ctrl-C, no process of the program's is alive.

    Raises OSError where the program cannot be started.

    >>> run_bounded([sys.executable, "-c", "print('done')"], timeout_seconds=60)
    Finished(code=0, output='done\\n')
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        env=None if environment is None else dict(environment),
        start_new_session=os.name == "posix",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    drain = _Drain(process)
    family: set[psutil.Process] = set()
    try:
        code = _wait(process, timeout_seconds, family)
    finally:
        _end_family(process, family)
        drain.finish()
    return Finished(code, drain.text)


def find_descendants(pid: int) -> list[psutil.Process]:
    """The living processes that a process has started, and those that they have; none where it is gone."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


class _Drain:
    """Reads what a program says, in a thread, and keeps the end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # it was asked to be a pipe
        self._pipe = process.stdout
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, name="cleanplate-drain", daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace").replace("\r\n", "\n")

    def finish(self) -> None:
        """Wait for the rest. The pipe stays open where a stranger still holds it: closing would block."""
        self._thread.join(GONE_SECONDS)
        if not self._thread.is_alive():
            self._pipe.close()

    def _read(self) -> None:
        while chunk := self._pipe.read(65536):
            self._kept += chunk
            del self._kept[:-KEPT_BYTES]


def _wait(
    process: subprocess.Popen[bytes], timeout_seconds: float, family: set[psutil.Process]
) -> int | None:
    """The exit code, or None when the time is over. `family` collects all descendants that were seen."""
    end = time.monotonic() + timeout_seconds
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(min(LOOK_SECONDS, left))
        family.update(find_descendants(process.pid))
    return process.poll()


def _end_family(process: subprocess.Popen[bytes], family: set[psutil.Process]) -> None:
    """Kill the program, its session, and every descendant that was ever seen; wait until they are gone."""
    family.update(find_descendants(process.pid))
    if sys.platform != "win32":  # its session: also whose parent has ended before anybody looked
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GONE_SECONDS)
    psutil.wait_procs(list(family), timeout=GONE_SECONDS)
