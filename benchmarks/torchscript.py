"""How long the first calls of a TorchScript take by shape, with torch's profiling executor and without.

    python benchmarks/torchscript.py [--width 16] [--blocks 9]

Writes a LaMa-shaped TorchScript with random numbers, and calls it four times at each of six shapes, in a
process of its own for each way. The default executor watches the first call and compiles at the second.
Printed are processor seconds, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

from cleanplate.device.torchscript import call_plainly
from lama_weights import write_weights

SHAPES = ((128, 128), (192, 256), (256, 160), (320, 320), (256, 384), (128, 128))
CALLS = 4


def main() -> None:
    """Each way in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], Path(arguments.measure[1]))
        return
    print(
        f"| executor | shape | {' | '.join(f'call {n + 1}' for n in range(CALLS))} |\n"
        f"|{' --- |' * (CALLS + 2)}"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.pt"
        write_weights(file, width=arguments.width, blocks=arguments.blocks)
        for how in ("default", "plain"):
            subprocess.run([sys.executable, __file__, "--measure", how, str(file)], check=True)


def measure(how: str, file: Path) -> None:
    """Print one row a shape."""
    warnings.simplefilter("ignore")
    script = torch.jit.load(str(file)).eval()
    run = call_plainly(script) if how == "plain" else script
    for height, width in SHAPES:
        picture, mask = torch.rand(1, 3, height, width), torch.ones(1, 1, height, width)
        seconds = []
        for _ in range(CALLS):
            began = time.process_time()
            with torch.no_grad():
                run(picture, mask)
            seconds.append(time.process_time() - began)
        print(f"| {how} | {height} x {width} | {' | '.join(f'{s:.2f}' for s in seconds)} |", flush=True)


if __name__ == "__main__":
    main()
