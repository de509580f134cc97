"""A run in a process of its own, to be killed: `python -m tests.engine.child IN OUT MODE [OPERATION]`.

With OPERATION it kills itself at the file operation of that number.
"""

import os
import signal
import sys
from pathlib import Path

from cleanplate.engine import run
from cleanplate.engine.events import Event, RunStarted
from cleanplate.engine.policy import PlainPolicy
from cleanplate.settings import RepairSettings

from .faults import Faults
from .simple import MagentaPipeline

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def die(_name: str) -> BaseException:
    os.kill(os.getpid(), KILL)
    return AssertionError("still alive")


def say_when_working(event: Event) -> None:
    if isinstance(event, RunStarted):
        print("working", flush=True)


def main() -> None:
    photos, output, mode, *operation = sys.argv[1:]
    run.choose_policy = lambda *_, **__: PlainPolicy()  # the guard's pauses depend on the machine
    settings = RepairSettings(optimize=mode == "overlapped", batch_size=3, save_masks=True)
    faults = Faults(Path(output), (lambda n: n == int(operation[0])) if operation else (lambda _: False), die)
    with faults.armed():
        run.repair_folder(
            photos, output, settings, pipeline=MagentaPipeline(), subscribers=[say_when_working]
        )


if __name__ == "__main__":
    main()
