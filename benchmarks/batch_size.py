"""How long the shipped networks take by item on the processor, by how many items go through at once.

    python benchmarks/batch_size.py [--rounds 5]

Processor seconds by item, of the program and of the system (which clears new pages of memory); the sizes in
turn, the second best of the rounds; and what the batch takes in memory. In a thread, as in a run.
`THP_MEM_ALLOC_ENABLE=0` before the command shows the same in small pages. By it
`device.memory.HOST_QUICKEST_BYTES` was chosen.
"""

from __future__ import annotations

import argparse
import resource
import threading
from typing import Any

import torch

from cleanplate.engine.assembly import build_pipeline
from cleanplate.models.memory import trace_peak_bytes
from cleanplate.settings import RepairSettings

#: (network, channels, height, width, batches).
CASES = (
    ("finder", 3, 704, 1024, (1, 2, 4)),
    ("finder", 3, 384, 512, (1, 2, 4, 8)),
    ("restorer", 4, 512, 512, (1, 2, 4)),
    ("restorer", 4, 256, 256, (1, 2, 4, 8, 16)),
    ("restorer", 4, 128, 192, (1, 4, 8, 16, 32)),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each size is tried (default 5)")
    rounds = parser.parse_args().rounds
    pipeline: Any = build_pipeline(RepairSettings())
    networks = {"finder": pipeline.detector.network, "restorer": pipeline.remover.network}
    work = threading.Thread(target=print_table, args=(networks, rounds))
    work.start()
    work.join()


def print_table(networks: dict[str, Any], rounds: int) -> None:
    """All cases."""
    print("| network | input | batch | memory, MB | program, s | system, s | together by the best |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, channels, height, width, batches in CASES:
        network = networks[name]
        tries: dict[int, list[tuple[float, float]]] = {batch: [] for batch in batches}
        for _ in range(rounds):
            for batch in batches:
                tries[batch].append(measure(network, (batch, channels, height, width)))
        typical = {batch: sorted(times, key=sum)[min(1, rounds - 1)] for batch, times in tries.items()}
        best = min(map(sum, typical.values()))
        for batch, (program, system) in typical.items():
            held = trace_peak_bytes(network, (batch, channels, height, width)) / 1e6
            print(
                f"| {name} | {width} x {height} | {batch} | {held:.0f} | {program:.3f} | {system:.3f} "
                f"| {(program + system) / best - 1:+.0%} |",
                flush=True,
            )


def measure(network: Any, shape: tuple[int, int, int, int]) -> tuple[float, float]:
    """Processor seconds by item: the program's and the system's."""
    x = torch.rand(shape).to(memory_format=torch.channels_last)
    before = resource.getrusage(resource.RUSAGE_SELF)
    with torch.no_grad():
        network(x)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime - before.ru_utime) / shape[0], (after.ru_stime - before.ru_stime) / shape[0]


if __name__ == "__main__":
    main()
