"""A parent to be killed: `python -m tests.engine.orphan FOLDER NAME`. Prints the processes below it.

A photograph with the NAME "hanging" keeps the child at work; with any other the child has nothing to do.
"""

import sys
import threading
import time
from pathlib import Path

import psutil

from cleanplate.engine.supervise import SupervisedOwner
from cleanplate.settings import RepairSettings

from .troubled import make_photo, make_plain, make_troubled


def main() -> None:
    photo = make_photo(Path(sys.argv[1]), sys.argv[2])
    settings = RepairSettings(optimize=False)
    with SupervisedOwner(settings, make_pipeline=make_troubled, make_policy=make_plain) as owner:
        threading.Thread(target=owner.repair, args=([photo],), daemon=True).start()
        wanted = 2 if photo.path.stem == "hanging" else 1
        child = psutil.Process(owner.pid)
        while len(pids := [child.pid, *(below.pid for below in child.children())]) < wanted:
            time.sleep(0.05)
        print(*pids, flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main()
