"""The first Ctrl-C asks, the second leaves, so does a closed terminal; the handlers of before come back."""

import io
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from cleanplate.cli import interrupt
from cleanplate.cli.interrupt import FIRST, SHOW_CURSOR, stop_on_interrupt


class Stop:
    """Counts how often it was asked to stop."""

    requests = 0

    def request(self) -> None:
        self.requests += 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_one_asks_to_stop_and_says_so(number):
    stop, said = Stop(), []
    with stop_on_interrupt(stop, said.append):
        signal.raise_signal(number)
    assert stop.requests == 1
    assert said == [FIRST]


NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@pytest.mark.parametrize("number", NUMBERS)
def test_the_handlers_of_before_come_back(number):
    before = signal.getsignal(number)
    with stop_on_interrupt(Stop(), print):
        assert signal.getsignal(number) is not before
    assert signal.getsignal(number) is before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="terminals of this system send no signal")
def test_a_closed_terminal_leaves_no_program_behind_unless_it_is_ignored():
    script = """
import signal, subprocess, sys
from cleanplate.cli.interrupt import stop_on_interrupt

class Stop:
    def request(self):
        print("asked", flush=True)

program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(program.pid, flush=True)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with stop_on_interrupt(Stop(), print):
    signal.raise_signal(signal.SIGHUP)
print("still here", flush=True)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with stop_on_interrupt(Stop(), print):
    signal.raise_signal(signal.SIGHUP)
print("not left", flush=True)
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    pid, *said = finished.stdout.splitlines()
    assert (finished.returncode, said) == (130, ["still here"])
    deadline = time.monotonic() + 10  # what is killed takes a moment to go
    while is_running(int(pid)) and time.monotonic() < deadline:
        time.sleep(0.01)
    if is_running(int(pid)):
        os.kill(int(pid), signal.SIGKILL)
        pytest.fail("it is left")


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_second_one_leaves_at_once_with_its_children():
    script = """
import multiprocessing, signal, time
from cleanplate.cli.interrupt import stop_on_interrupt

class Stop:
    def request(self):
        print("asked", flush=True)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,)).start()
    with stop_on_interrupt(Stop(), lambda text: print(text, flush=True)):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    print("still here", flush=True)
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 130
    assert finished.stdout.splitlines() == ["asked", FIRST]


def test_leaving_at_once_ends_the_children_and_gives_the_cursor_back(monkeypatch):
    done = []

    class Child:
        pid = 4194305

        def kill(self):
            done.append("killed")

    class Process:
        def children(self, *, recursive):
            return [Child()] if recursive else []

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(psutil, "Process", Process)
    monkeypatch.setattr(interrupt.os, "_exit", done.append)
    monkeypatch.setattr(interrupt.sys, "stderr", terminal)
    with stop_on_interrupt(Stop(), str):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert done == ["killed", 130]
    assert terminal.getvalue() == SHOW_CURSOR
