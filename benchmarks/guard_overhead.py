"""What the guard costs: the same network work plainly and guarded, in turn.

    python benchmarks/guard_overhead.py [--pairs 10]

The finder looks at five photographs of 1024 x 768; plainly too one after the other, as the guard lets it,
since five at once take longer (`batch_size.py`), which is not the guard's doing. Compared is the processor
time of the whole process, best of all pairs: other programs on the machine can only make it more. The
guard's first run predicts, the others remember; that one is shown by itself, and that of a later process,
which finds the prediction in the user's cache folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cleanplate.detect.network import NetworkDetector
from cleanplate.device.notebook import Notebook
from cleanplate.device.threads import configure_threads
from cleanplate.engine.guard import Guard
from cleanplate.models.request import Attempt
from cleanplate.models.weights import load_networks
from cleanplate.settings import RepairSettings

MOST_OVERHEAD = 0.02
BATCH, HEIGHT, WIDTH = 5, 768, 1024


def main() -> None:
    """Measure in pairs, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=10)
    pairs = parser.parse_args().pairs
    configure_threads()
    networks = load_networks()
    detector = NetworkDetector(networks.finder, torch.device("cpu"), networks.fingerprint)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(BATCH)]
    request = detector._ask(pictures, (HEIGHT, WIDTH))

    def singly() -> object:
        return [request.run([picture], None) for picture in pictures]

    def measure(attempt: Attempt) -> float:
        return time_processor(lambda: attempt(request))

    cpu = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.json"
        free = Guard(RepairSettings(), cpu, notes=Notebook(path))
        time_processor(singly)  # warms up
        first = measure(free.attempt)
        remembered = measure(Guard(RepairSettings(), cpu, notes=Notebook(path)).attempt)
    limited = Guard(RepairSettings(memory_limit=4 << 30), torch.device("cpu"))

    measure(limited.attempt)
    rows = [(time_processor(singly), measure(free.attempt), measure(limited.attempt)) for _ in range(pairs)]
    plain, *guarded = (min(column) for column in zip(*rows, strict=True))
    print(f"{BATCH} photographs of {WIDTH} x {HEIGHT}, best of {pairs}, processor seconds")
    print(f"{'':<38}{'seconds':>9}{'over':>8}{'goal':>8}")
    print(f"{'plainly':<38}{plain:>9.3f}")
    for name, seconds in zip(("guarded", "guarded, with --memory-limit"), guarded, strict=True):
        print(f"{name:<38}{seconds:>9.3f}{seconds / plain - 1:>+8.1%}{MOST_OVERHEAD:>8.0%}")
    for name, seconds in (("the first time", first), ("the first time, remembered", remembered)):
        print(f"{'guarded, ' + name:<38}{seconds:>9.3f}{seconds / plain - 1:>+8.1%}")


def time_processor(work: Callable[[], object]) -> float:
    """Processor seconds of this process, all threads together."""
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
