"""A supervised run to be interrupted: `python -m tests.engine.interrupted IN OUT`.

Prints the child's number when the work has begun; at the end the exit code and how many photographs failed.
"""

import signal
import sys
import time

import psutil

from cleanplate.cli.interrupt import stop_on_interrupt
from cleanplate.engine import run
from cleanplate.engine.events import PhotoFinished
from cleanplate.engine.stop import StopRequest
from cleanplate.settings import RepairSettings

from .simple import MagentaPipeline
from .troubled import make_plain


class UnhurriedPipeline(MagentaPipeline):
    """Is still at work when the signal comes."""

    def repair_one(self, photo, settings):
        time.sleep(0.1)
        return super().repair_one(photo, settings)


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell may have it ignored
    run.choose_policy = make_plain
    said = []

    def say_when_working(event):
        if isinstance(event, PhotoFinished) and not said:
            children = psutil.Process().children()
            said.extend(child.pid for child in children if "spawn_main" in " ".join(child.cmdline()))
            print(*said, flush=True)

    stop = StopRequest()
    settings = RepairSettings(supervise=True, device="cpu", batch_size=2)
    with stop_on_interrupt(stop, lambda _: None):
        summary = run.repair_folder(
            *sys.argv[1:3],
            settings,
            pipeline=UnhurriedPipeline(),
            subscribers=[say_when_working],
            stop=stop,
        )
    print(summary.exit_code, len(summary.failures))


if __name__ == "__main__":
    main()
