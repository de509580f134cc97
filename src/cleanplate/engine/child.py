"""The process that owns the device, from inside: it builds pipeline and policy and does what it is asked.

Its main thread works. A second one listens, so that it notices at any time that the parent is gone. A third
one reports every half second how many steps the work has made; where that number stands still for too long,
the process writes its stacks down and ends itself, also when nothing in it runs any more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import logging
import logging.handlers
import os
import pickle
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

import psutil

from cleanplate.device.memory import StagingUse
from cleanplate.device.temporary import remove_temporary
from cleanplate.engine.channel import Channel, ChannelClosedError
from cleanplate.engine.messages import (
    Admit,
    Admitted,
    Beat,
    Blueprint,
    Happened,
    Leave,
    Logged,
    Lost,
    Prepare,
    Ready,
    Refused,
    RepairBatch,
    Repaired,
    Situation,
)
from cleanplate.engine.owner import Answer, LocalOwner
from cleanplate.engine.pauses import Quiet
from cleanplate.engine.policy import FREE_SHARE, Policy
from cleanplate.engine.shares import MemoryShares
from cleanplate.engine.usage import read_process_usage
from cleanplate.errors import DeviceLostError
from cleanplate.models.request import Attempt, Request
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings

Item = TypeVar("Item")
Result = TypeVar("Result")

BEAT_SECONDS = 0.5
#: What it ends with when the parent is gone; nobody is left to read it.
EXIT_ORPHANED = 3


def serve(end: socket.socket, blueprint: Blueprint, stacks: str) -> None:
    """Work for the parent at the other end until it says `Leave` or is gone. stacks: file for last words."""
    _leave_signals_to_the_parent()
    with Path(stacks).open("w", encoding="utf-8") as file:
        faulthandler.enable(file)
        child = _Child(Channel(end), blueprint, file)
        try:
            child.work()
        except ChannelClosedError:
            child.leave_at_once()  # the listener is about to; who is first does not matter
        finally:
            child.close()
            faulthandler.disable()


class Progress:
    """Counts steps of work. limit_seconds: the longest that one may take; None while there is no work."""

    def __init__(self, limit_seconds: float | None) -> None:
        self.limit_seconds = limit_seconds
        self.steps = 0

    def step(self, *_: object) -> None:
        """Count one; takes and ignores whatever a hook is given."""
        self.steps += 1

    def count_layers(self) -> None:
        """Count every layer that any network runs: so that a slow network is not taken for a stuck one."""
        if "torch" in sys.modules:
            from torch.nn.modules.module import register_module_forward_hook

            register_module_forward_hook(self.step)

    def counting(self, attempt: Attempt) -> Attempt:
        """An attempt that counts each piece of work, before and after."""

        def counted(request: Request[Item, Result]) -> list[Result | Exception]:
            def run(items: Sequence[Item], tile: int | None) -> list[Result]:
                self.step()
                results = request.run(items, tile)
                self.step()
                return results

            return attempt(dataclasses.replace(request, run=run))

        return counted


class _Alarm:
    """Goes off when it is not set again in time: the stacks are written down and the process ends.

    It is a thread of C and needs no lock of the interpreter's, which a stuck thread may hold.
    """

    def __init__(self, stacks: TextIO) -> None:
        self._stacks = stacks
        self._changing = threading.Lock()

    def set(self, seconds: float) -> None:
        with self._changing:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._stacks)

    def cancel(self) -> None:
        with self._changing:
            faulthandler.cancel_dump_traceback_later()


class _CountedPolicy:
    """A policy whose work counts as progress."""

    def __init__(self, policy: Policy, progress: Progress) -> None:
        self._policy = policy
        self.attempt = progress.counting(policy.attempt)
        self.before_batch = policy.before_batch
        self.after_photos = policy.after_photos
        self.close = policy.close

    @property
    def peak_bytes(self) -> int | None:
        return self._policy.peak_bytes

    @property
    def staging(self) -> StagingUse | None:
        return self._policy.staging

    @property
    def quiet(self) -> Quiet:
        return self._policy.quiet


class _Child:
    def __init__(self, channel: Channel, blueprint: Blueprint, stacks: TextIO) -> None:
        self._channel = channel
        self._blueprint = blueprint
        self._stacks = stacks
        self._alarm = _Alarm(stacks)
        self._alarm.set(blueprint.start_seconds)
        self._progress = Progress(blueprint.start_seconds)
        self._shares = MemoryShares()
        self._note(blueprint.situation)
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ended = threading.Event()
        logger = logging.getLogger("cleanplate")
        logger.setLevel(blueprint.log_level)
        logger.addHandler(_Forwarder(self._channel))
        self._reporter = threading.Thread(target=self._report, name="cleanplate-report", daemon=True)
        self._reporter.start()
        threading.Thread(target=self._listen, name="cleanplate-listen", daemon=True).start()

    def close(self) -> None:
        """Report no more, set off no alarm."""
        self._ended.set()
        self._reporter.join()
        self._alarm.cancel()

    def work(self) -> None:
        """Raises ChannelClosedError where the parent is gone."""
        try:
            pipeline = self._blueprint.make_pipeline(self._blueprint.settings)
            policy = _CountedPolicy(self._make_policy(), self._progress)
            fingerprint = pipeline.fingerprint
        except Exception as error:  # the parent raises it, whatever it is
            self._channel.send(Refused(_make_portable(error)))
            return
        self._progress.count_layers()
        owner = LocalOwner(pipeline, self._blueprint.settings, policy)
        self._channel.send(Ready(fingerprint))
        try:
            while self._serve_next(owner, policy):
                pass
        except ChannelClosedError:
            raise
        except DeviceLostError as error:
            self._channel.send(Lost(str(error)))
        except Exception as error:  # nothing is known about this process any more: a new one is better
            self._channel.send(Lost(f"{type(error).__name__}: {error}"))

    def _serve_next(self, owner: LocalOwner, policy: Policy) -> bool:
        """Take one command. A method of its own: waiting must not hold the last command's pictures."""
        self._progress.limit_seconds = None
        command = self._inbox.get()
        self._progress.step()
        self._progress.limit_seconds = self._blueprint.limit_seconds
        self._alarm.set(self._blueprint.limit_seconds)
        match command:
            case Admit():
                policy.before_batch()
                self._channel.send(Admitted(dict(policy.quiet)))
            case Prepare(settings, make_pipeline):
                self._channel.send(_change(owner, settings, make_pipeline))
            case RepairBatch(photos, situation):
                self._note(situation)
                answers = [_make_answer_portable(answer) for answer in owner.repair(photos)]
                reply = Repaired(answers, policy.peak_bytes, policy.staging, dict(policy.quiet))
                self._channel.send(reply, shared=[photo.rgb for photo in photos])
        return not isinstance(command, Leave)

    def _make_policy(self) -> Policy:
        blueprint = self._blueprint
        settings = _limit_memory(blueprint.settings, blueprint.memory_share, blueprint.situation.queued_bytes)
        self._shares.limit_bytes = settings.memory_limit
        return self._blueprint.make_policy(
            settings,
            emit=lambda event: self._channel.send(Happened(event)),
            shares=self._shares,
            stopping=lambda: self._situation.stopping,
            quiet=blueprint.quiet,
        )

    def _listen(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except ChannelClosedError:
                self.leave_at_once()
            if isinstance(message, Situation):
                self._note(message)
            else:
                self._inbox.put(message)

    def _note(self, situation: Situation) -> None:
        self._situation = situation
        self._shares.set_queued(situation.queued_bytes)

    def leave_at_once(self) -> None:
        """The parent is gone. Whatever this process is in the middle of, it ends, and what it started too."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        with contextlib.suppress(OSError):
            Path(self._stacks.name).unlink()
        remove_temporary([os.getpid()])
        os._exit(EXIT_ORPHANED)

    def _report(self) -> None:
        """Tell how far the work is, and set the alarm that goes off when it gets no further."""
        counted = -1
        while not self._ended.wait(BEAT_SECONDS):
            steps, limit = self._progress.steps, self._progress.limit_seconds
            if limit is None:
                self._alarm.cancel()
                counted = -1
            elif steps != counted:
                self._alarm.set(limit)
                counted = steps
            with contextlib.suppress(ChannelClosedError):  # the listener sees to that
                self._channel.send(Beat(steps, read_process_usage()))


def _change(
    owner: LocalOwner, settings: RepairSettings, make_pipeline: Callable[[RepairSettings], Pipeline]
) -> Ready | Refused:
    try:
        pipeline = make_pipeline(settings)
        fingerprint = pipeline.fingerprint
    except Exception as error:  # as at the start: the parent raises it, and this process stays of use
        return Refused(_make_portable(error))
    owner.change(pipeline, settings)
    return Ready(fingerprint)


class _Forwarder(logging.handlers.QueueHandler):
    """Sends what is logged to the parent, which knows where it goes."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(queue.SimpleQueue())
        self._channel = channel

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(ChannelClosedError):
            self._channel.send(Logged(record))


def _limit_memory(settings: RepairSettings, share: float, queued_bytes: int = 0) -> RepairSettings:
    """The settings with `share` of the memory that they allow to work.

    queued_bytes: what pictures may take of it on a processor; that stays theirs.
    """
    if share >= 1 or not settings.optimize:
        return settings
    from cleanplate.device.memory import read_memory
    from cleanplate.device.selection import resolve_device

    device = resolve_device(settings.device)
    limit = settings.memory_limit
    if limit is None:
        limit = int(FREE_SHARE * (read_memory(device, initialise=True).free_bytes or 0))
    kept = min(limit, queued_bytes) if device.type == "cpu" else 0
    return dataclasses.replace(settings, memory_limit=max(1, kept + int(share * (limit - kept))))


def _make_answer_portable(answer: Answer) -> Answer:
    if isinstance(answer.result, Exception):
        return Answer(_make_portable(answer.result), answer.seconds)
    return answer


def _make_portable(error: Exception) -> Exception:
    """The error itself if it survives the journey, else one that says the same."""
    try:
        arrived = pickle.loads(pickle.dumps(error))
    except Exception:  # an exception's class can fail in every way when it is made from its own arguments
        arrived = None
    if type(arrived) is type(error) and str(arrived) == str(error):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def _leave_signals_to_the_parent() -> None:
    """Ctrl-C and a closed terminal reach every process; the parent ends this one when it has drained."""
    for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
