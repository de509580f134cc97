"""What the guard costs: the same looks of the finder plainly and guarded, in turn.

    python benchmarks/guard_overhead.py [--rounds 60]

In a round the finder looks at one photograph of 1024 x 768 plainly, guarded and guarded with a limit, in an
order that is drawn; compared is the processor time of the whole process, by the mean of the rounds'
differences without the tenth that is highest and lowest, with its standard error: looks at the same
photograph differ by more than the guard takes. So what the guard adds to a look is also measured where the
network has next to nothing to do, on 32 x 32 pixels, and set against a look at the photograph.

The guard's first run predicts, the others remember; that one is shown by itself, and that of a later process,
which finds the prediction in the user's cache folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cleanplate.device.threads import configure_threads

configure_threads()

import numpy as np  # noqa: E402  # after the threads are chosen
import torch  # noqa: E402

from cleanplate.detect.network import NetworkDetector  # noqa: E402
from cleanplate.device.notebook import Notebook  # noqa: E402
from cleanplate.device.precision import choose_dtype  # noqa: E402
from cleanplate.engine.guard import Guard  # noqa: E402
from cleanplate.models.request import Request  # noqa: E402
from cleanplate.models.weights import load_networks  # noqa: E402
from cleanplate.settings import RepairSettings  # noqa: E402

MOST_OVERHEAD = 0.02
HEIGHT, WIDTH = 768, 1024
SMALL_EDGE = 32
#: Looks at a small picture by round: they take a hundredth of the time.
SMALL_LOOKS = 20
TRIMMED_SHARE = 0.1

Look = Callable[[], object]


def main() -> None:
    """Measure in rounds, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    networks = load_networks()
    dtype = choose_dtype(torch.device("cpu"), networks.finder.dtypes)
    networks.finder.to(dtype)
    detector = NetworkDetector(networks.finder, torch.device("cpu"), networks.fingerprint)
    rng = np.random.default_rng(0)

    def ask(height: int, width: int) -> Request[Any, Any]:
        return detector._ask([rng.integers(0, 255, (height, width, 3), np.uint8)], (height, width))

    photo, small = ask(HEIGHT, WIDTH), ask(SMALL_EDGE, SMALL_EDGE)
    cpu = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.json"
        free = Guard(RepairSettings(), cpu, notes=Notebook(path))
        time_processor(lambda: run_plainly(photo))  # warms up
        first = time_processor(lambda: free.attempt(photo))
        second = Guard(RepairSettings(), cpu, notes=Notebook(path))
        remembered = time_processor(lambda: second.attempt(photo))
    limited = Guard(RepairSettings(memory_limit=4 << 30), cpu)
    ways: list[Callable[[Request[Any, Any]], object]] = [run_plainly, free.attempt, limited.attempt]
    for request in (photo, small):
        for way in ways:
            way(request)
    looks = measure([partial(way, photo) for way in ways], rounds)
    tiny = measure([partial(way, small) for way in ways], rounds * SMALL_LOOKS)
    plain = summarise(looks[:, 0])[0]
    print(f"the finder, {dtype}, on {WIDTH} x {HEIGHT}: {1000 * plain:.1f} ms of processor; {rounds} rounds")
    print(f"{'':<32}{'ms over':>9}{'+-':>7}{'share':>8}{'goal':>7}{'ms on little':>14}{'share':>8}")
    for index, name in enumerate(("guarded", "guarded, with --memory-limit"), start=1):
        over, error = summarise(looks[:, index] - looks[:, 0])
        exact, _ = summarise(tiny[:, index] - tiny[:, 0])
        print(
            f"{name:<32}{1000 * over:>9.2f}{1000 * error:>7.2f}{over / plain:>+8.1%}{MOST_OVERHEAD:>7.0%}"
            f"{1000 * exact:>14.2f}{exact / plain:>+8.1%}"
        )
    for name, seconds in (("the first time", first), ("the first time, remembered", remembered)):
        over = seconds - plain
        print(f"{'guarded, ' + name:<38}{1000 * over:>9.0f} ms more")


def run_plainly(request: Request[Any, Any]) -> object:
    """The same work without a guard."""
    return request.run(request.items, None)


def measure(looks: list[Look], rounds: int) -> np.ndarray:
    """Processor seconds, a row for each round and a column for each look; the order is drawn."""
    seconds = np.empty((rounds, len(looks)))
    rng = np.random.default_rng(0)
    for row in seconds:
        for index in rng.permutation(len(looks)):
            row[index] = time_processor(looks[index])
    return seconds


def summarise(values: np.ndarray) -> tuple[float, float]:
    """The mean without the outermost values, and its standard error by the values that are left."""
    cut = int(TRIMMED_SHARE * len(values))
    trimmed = np.sort(values)[cut : len(values) - cut]
    return float(trimmed.mean()), float(trimmed.std(ddof=1) / np.sqrt(len(trimmed)))


def time_processor(work: Look) -> float:
    """Processor seconds of this process, all threads together."""
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
