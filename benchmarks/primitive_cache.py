"""What oneDNN keeps for every shape that a network has seen: resident memory over 200 different shapes.

    python benchmarks/primitive_cache.py [--width 16] [--blocks 4] [--shapes 200] [--capacities 1024 256 64 0]

A LaMa-shaped network with random numbers sees pictures of different sizes, each twice, in a process of its
own for each capacity of the cache (ONEDNN_PRIMITIVE_CACHE_CAPACITY, 1024 without a setting). Printed are the
resident memory that is there after the last shape and was not after the tenth, and processor seconds.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import time

import numpy as np
import psutil


def main() -> None:
    """Each capacity in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--shapes", type=int, default=200)
    parser.add_argument("--capacities", type=int, nargs="+", default=[1024, 256, 64, 0])
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.width, arguments.blocks, arguments.shapes)
        return
    print("| capacity | grown by, MB | in all, MB | processor s, new shapes | the same again |\n"
          "| --- | --- | --- | --- | --- |")  # fmt: skip
    for capacity in arguments.capacities:
        print(f"| {capacity} ", end="", flush=True)
        sizes = [f"--{name}={getattr(arguments, name)}" for name in ("width", "blocks", "shapes")]
        environment = {**os.environ, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": str(capacity)}
        subprocess.run([sys.executable, __file__, "--measure", *sizes], check=True, env=environment)


def measure(width: int, blocks: int, count: int) -> None:
    """Print the rest of a row."""
    import torch

    from cleanplate.models.nets.lama import Lama

    torch.manual_seed(0)
    network = Lama(width=width, blocks=blocks).eval()
    rng = np.random.default_rng(0)
    shapes = rng.permutation([(8 * high, 8 * wide) for high in range(4, 24) for wide in range(4, 24)])
    seconds = [0.0, 0.0]
    first = 0
    with torch.no_grad():
        for number, (height, wide) in enumerate(shapes[:count]):
            for again in (0, 1):
                began = time.process_time()
                network(torch.rand(1, 4, int(height), int(wide)))
                seconds[again] += time.process_time() - began
            if number == 9:
                first = read_resident()
    last = read_resident()
    print(
        f"| {(last - first) / 1e6:.0f} | {last / 1e6:.0f} | {seconds[0]:.1f} | {seconds[1]:.1f} |", flush=True
    )


def read_resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()
