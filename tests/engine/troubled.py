"""Pipelines and policies that a child can import; what goes wrong in them is in a photograph's name."""

import contextlib
import ctypes
import faulthandler
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
from PIL import Image

from cleanplate.device.temporary import open_folder
from cleanplate.device.virtual import VirtualAccelerator
from cleanplate.engine.events import Paused, Warned
from cleanplate.engine.policy import PlainPolicy, choose_policy
from cleanplate.errors import DeviceLostError, InvalidSettingError, ModelError
from cleanplate.structures import Photo

from .simple import MagentaPipeline, draw_photo

NAP_SECONDS = 0.2


def make_photo(folder, name, seed=0, size=(96, 64)):
    """A marked photograph; what its name begins with is what happens to whoever repairs it."""
    path = draw_photo(folder / f"{name}.png", seed=seed, mark_px=0 if name == "clean" else 24, size=size)
    stays_here = threading.Lock()  # as a container: it could not be sent
    return Photo(path, np.asarray(Image.open(path)), stays_here)


class UntravelledError(Exception):
    """Cannot be made again from its own arguments."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class TroubledPipeline(MagentaPipeline):
    """Does to its process what a photograph's name says."""

    def repair_one(self, photo: Photo, settings):
        trouble = photo.path.stem.partition("-")[0]
        if trouble == "once":
            with contextlib.suppress(FileExistsError):
                photo.path.with_suffix(".seen").touch(exist_ok=False)
                os._exit(7)
        getattr(self, f"be_{trouble}", lambda: None)()
        return super().repair_one(photo, settings)

    def be_hanging(self):
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as grandchild:
            logging.getLogger("cleanplate").warning("grandchild %d", grandchild.pid)
            time.sleep(600)

    def be_frozen(self):
        """Sleep without giving Python's lock to other threads."""
        if sys.platform == "win32":
            ctypes.PyDLL("kernel32").Sleep(600_000)
        ctypes.PyDLL(None).sleep(600)

    def be_leaving(self):
        os._exit(7)

    def be_littering(self):
        """Die in the middle of what IOPaint does."""
        with open_folder("iopaint"):
            os._exit(7)

    def be_killed(self):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    def be_crashing(self):
        faulthandler._sigsegv()

    def be_lost(self):
        raise DeviceLostError("cuda:0: an illegal memory access was encountered")

    def be_wrong(self):
        raise UntravelledError("this", "that")


class SlowPipeline(MagentaPipeline):
    """Takes long over each photograph, in many short pieces."""

    def repair(self, photos, settings, attempt):
        for _ in range(12):
            done = super().repair(photos, settings, attempt)
        return done

    def repair_one(self, photo, settings):
        time.sleep(NAP_SECONDS)
        return super().repair_one(photo, settings)


class WidePipeline(MagentaPipeline):
    """Gives every part of a Repair another content and memory order."""

    def repair_one(self, photo, settings):
        done = super().repair_one(photo, settings)
        rows = np.asfortranarray(done.first.probability * np.float32(0.5))
        first = type(done.first)(
            rows, done.first.mask[:, ::-1], done.first.boxes, done.first.share, done.first.score
        )
        return type(done)(done.verdict, done.rgb, done.changed, first, done.regions, done.rounds)


class CountingPipeline(MagentaPipeline):
    """Tells how many photographs come together."""

    def repair(self, photos, settings, attempt):
        logging.getLogger("cleanplate").warning("together %d", len(photos))
        return super().repair(photos, settings, attempt)


def make_counting(_settings):
    return CountingPipeline()


def make_troubled(_settings):
    return TroubledPipeline()


def make_slow(_settings):
    return SlowPipeline()


def make_wide(_settings):
    return WidePipeline()


def refuse_model(_settings):
    raise ModelError("finder.pt: damaged; train it again")


def refuse_setting(_settings):
    raise InvalidSettingError("device", "cuda:7", "a card that is there")


def fail_to_start(_settings):
    raise RuntimeError("CUDA error: out of memory")


def die_at_start(_settings):
    os._exit(9)


def make_plain(_settings, **_):
    return PlainPolicy()


class TellingPolicy(PlainPolicy):
    """Tells what it knows as pauses."""

    def __init__(self, settings, emit, shares, stopping):
        self.settings, self.emit = settings, emit
        self.shares, self.stopping = shares, stopping
        self.peak_bytes = settings.memory_limit

    def before_batch(self):
        """Waits until it is told to stop."""
        while not self.stopping():
            time.sleep(0.01)
        self.emit(Paused(reason=f"{self.shares.queued_bytes} queued", seconds=0.0))


def make_telling(settings, *, emit, shares, stopping, quiet):  # noqa: ARG001  # a policy's
    return TellingPolicy(settings, emit, shares, stopping)


def make_limited(settings, *, emit, **_):
    """Tells its limit as a warning."""
    emit(Warned(message=f"limit {settings.memory_limit}"))
    return PlainPolicy()


def make_pressed(settings, **hooks):
    """The guard on a machine that always stands high."""
    return choose_policy(settings, memory=VirtualAccelerator(1 << 30, system_used_share=0.85), **hooks)
