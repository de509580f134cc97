"""The process that owns the device, from outside: started, asked, watched and, at the latest when it makes no
progress any more, ended with all that it has started itself."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import selectors
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import psutil

from cleanplate.device.temporary import make_prefix, remove_temporary
from cleanplate.engine.channel import Channel, ChannelClosedError, ChannelStalledError
from cleanplate.engine.child import serve
from cleanplate.engine.events import Event
from cleanplate.engine.messages import (
    Beat,
    Blueprint,
    Happened,
    Leave,
    Logged,
    Lost,
    Prepare,
    Ready,
    Refused,
    Situation,
)
from cleanplate.engine.usage import ProcessUsage
from cleanplate.errors import UsageError

_log = logging.getLogger(__name__)

#: At its limit the child writes its stacks down and ends itself; so much later it is ended from here.
GRACE_SECONDS = 3.0
#: How long a child without work may take to end when it is asked to, before it is ended from here.
LEAVE_SECONDS = 5.0
#: How long a killed process may take to be gone; one that is stuck in a driver never is.
GONE_SECONDS = 10.0
#: What the child's own alarm ends it with (faulthandler's choice).
EXIT_ALARM = 1
_TICK_SECONDS = 0.2
_TREE_SECONDS = 1.0


class WorkerDiedError(Exception):
    """The process has ended, or was ended, in the middle of its work; the message says why."""


class Worker:
    """One child process. `ask` is for one thread, `close` for any.

    read_situation: what the child's policy must know; sent when it has changed. emit: hears the child's
    events, in the thread that watches the child.

    Raises UsageError where the blueprint cannot be handed to another process.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        *,
        read_situation: Callable[[], Situation] = Situation,
        emit: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.usage: ProcessUsage | None = None
        self._limit_seconds = blueprint.limit_seconds
        self._read_situation = read_situation
        self._situation = Situation()
        self._emit = emit
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._shared: Sequence[object] = ()
        self._steps = -1
        self._cause: str | None = None
        self._tree: dict[int, psutil.Process] = {}
        self._tree_read = 0.0
        self._killed = False
        self._expect(blueprint.start_seconds)
        self._stacks = _make_stacks_file()
        try:
            self._process, self._channel = _start(blueprint, self._stacks)
        except BaseException:
            self._stacks.unlink(missing_ok=True)
            raise
        self._watcher = threading.Thread(target=self._watch, name="cleanplate-watcher", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        """The child's process number."""
        assert self._process.pid is not None  # it has been started
        return self._process.pid

    def wait_until_ready(self) -> str:
        """The pipeline's fingerprint. Raises what the child could not start for, or WorkerDiedError."""
        return _take_fingerprint(self._wait())

    def prepare(self, command: Prepare) -> str:
        """The fingerprint of another pipeline. Raises what it cannot be made for, or WorkerDiedError."""
        return _take_fingerprint(self.ask(command))

    def ask(self, command: object, shared: Sequence[object] = ()) -> Any:
        """The child's reply. shared: objects of the command that may be part of the reply.

        Raises WorkerDiedError.
        """
        self._shared = shared
        self._expect(self._limit_seconds)
        with contextlib.suppress(ChannelClosedError):  # the watcher has a word on that
            self._channel.send(command)
        return self._wait()

    def close(self) -> None:
        """End the child: one without work is asked to leave, one at work is not waited for."""
        idle = self._limit is None
        if idle and self._say(Leave()):
            self._watcher.join(LEAVE_SECONDS)
        if self._watcher.is_alive():
            self._cause = self._cause or "was ended"
            self._kill()
        self._watcher.join()

    def _wait(self) -> Any:
        reply = self._replies.get()
        self._limit: float | None = None
        self._shared = ()
        if isinstance(reply, WorkerDiedError):
            self._replies.put(reply)  # for whoever asks again
            raise WorkerDiedError(str(reply))
        return reply

    def _expect(self, limit_seconds: float) -> None:
        self._moved = time.monotonic()
        self._limit = limit_seconds

    def _watch(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._channel, selectors.EVENT_READ)
                while self._watch_once(selector):
                    pass
        except ChannelStalledError:  # frozen in the middle of a message, where no beat can tell
            self._cause = self._cause or describe_standstill(self._limit_seconds)
        except ChannelClosedError:
            pass
        except Exception as error:  # an answer that cannot be read here, say: the child is of no use then
            self._cause = f"gave an answer that cannot be read ({type(error).__name__}: {error})"
        cause = "is lost"
        try:
            cause = self._bury()
        finally:  # whoever waits for an answer gets one, whatever goes wrong here
            self._replies.put(WorkerDiedError(cause))

    def _watch_once(self, selector: selectors.BaseSelector) -> bool:
        if selector.select(_TICK_SECONDS):
            patience_seconds = self._limit_seconds + GRACE_SECONDS
            self._take(self._channel.receive(self._shared, patience_seconds=patience_seconds))
        elif not self._process.is_alive():
            return False
        self._check_progress()
        return True

    def _take(self, message: object) -> None:
        match message:
            case Beat(steps, usage):
                self.usage = usage
                if steps != self._steps:
                    self._steps = steps
                    self._moved = time.monotonic()
                self._tell_situation()
            case Happened(event):
                self._moved = time.monotonic()
                self._emit(event)
            case Logged(record):
                logger = logging.getLogger(record.name)
                if logger.isEnabledFor(record.levelno):
                    logger.handle(record)
            case Lost(cause):
                self._cause = f"lost the device ({cause})"
            case _:
                self._replies.put(message)

    def _tell_situation(self) -> None:
        """Only when the child has just been heard: whoever does not listen must not be written to."""
        situation = self._read_situation()
        if situation != self._situation and self._say(situation):
            self._situation = situation

    def _say(self, message: object) -> bool:
        try:
            return self._channel.try_send(message)
        except ChannelClosedError:
            return False

    def _check_progress(self) -> None:
        """Raises ChannelClosedError when it is over: a process stuck in a driver never closes it itself."""
        limit, now = self._limit, time.monotonic()
        if limit is None:
            return
        if now - self._tree_read > _TREE_SECONDS:
            self._tree_read = now
            self._read_tree()
        if now - self._moved > limit + GRACE_SECONDS:
            self._cause = describe_standstill(limit)
            self._kill()
            raise ChannelClosedError

    def _read_tree(self) -> None:
        """Remember what the child has started: once it has ended, nobody can tell any more."""
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.pid).children(recursive=True)
            self._tree |= {child.pid: child for child in children}
            self._tree = {pid: child for pid, child in self._tree.items() if child.is_running()}

    def _kill(self) -> None:
        self._killed = True
        self._read_tree()
        self._process.kill()
        for process in self._tree.values():
            with contextlib.suppress(psutil.Error):  # gone already; a new one of its number is left alone
                process.kill()

    def _bury(self) -> str:
        """Make sure that nothing of the child is left; what it died of."""
        limit, quiet = self._limit, time.monotonic() - self._moved
        if not self._killed:
            self._process.join(LEAVE_SECONDS)  # its end of the channel closes a moment before it has ended
        self._kill()
        self._process.join(GONE_SECONDS)
        remove_temporary([self.pid])  # IOPaint's folder, say
        self._channel.close()
        code = self._process.exitcode
        if self._cause is None and code == EXIT_ALARM and limit is not None and quiet >= 0.9 * limit:
            self._cause = describe_standstill(limit)
        cause = self._cause or describe_end(code)
        self._log_stacks(cause)
        return cause

    def _log_stacks(self, cause: str) -> None:
        with contextlib.suppress(OSError):
            stacks = self._stacks.read_text(encoding="utf-8", errors="replace").strip()
            self._stacks.unlink()
            if stacks:
                _log.info("the process that owns the device %s; where it was:\n%s", cause, stacks)


def _take_fingerprint(reply: object) -> str:
    if isinstance(reply, Refused):
        raise reply.error
    assert isinstance(reply, Ready)  # a child answers nothing else to this
    return reply.fingerprint


def describe_standstill(limit_seconds: float) -> str:
    """A child that made no progress, as the end of a sentence about it.

    >>> describe_standstill(120.0)
    'made no progress for 120 seconds'
    """
    return f"made no progress for {limit_seconds:.0f} seconds"


def describe_end(exit_code: int | None) -> str:
    """How a process ended, as the end of a sentence about it.

    >>> describe_end(1), describe_end(None)
    ('ended with code 1', 'cannot be ended: it is stuck in a driver')
    """
    if exit_code is None:
        return "cannot be ended: it is stuck in a driver"
    if exit_code >= 0:
        return f"ended with code {exit_code:#x}" if exit_code > 255 else f"ended with code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    if name == "SIGKILL":
        return "was killed (SIGKILL: so the system does when memory runs out)"
    return f"was ended by {name}"


def _start(blueprint: Blueprint, stacks: Path) -> tuple[multiprocessing.context.SpawnProcess, Channel]:
    if multiprocessing.current_process().daemon:
        raise UsageError("a daemonic process may start no other process; give --no-supervise")
    ours, theirs = socket.socketpair()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, blueprint, str(stacks)), name="cleanplate-device", daemon=True
    )
    try:
        with _interrupts_held_back():
            process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as exc:
        ours.close()
        raise UsageError(
            f"the pipeline cannot be handed to a process of its own ({exc}); give --no-supervise"
        ) from exc
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, Channel(ours)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """A process started meanwhile begins with Ctrl-C held back, until it has said that it ignores it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would be started in the middle otherwise, and undo this
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _make_stacks_file() -> Path:
    handle, name = tempfile.mkstemp(prefix=make_prefix("stacks"), suffix=".txt")
    os.close(handle)
    return Path(name)
