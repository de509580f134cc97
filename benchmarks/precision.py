"""How long the shipped networks take in each number format, and how far their answers are apart.

    python benchmarks/precision.py

Processor seconds, the least of some runs, of one pass over a photograph of 1024 x 704 (finder) and a crop of
512 x 256 (restorer); the least is what other programs disturb least. Last comes what a run here chooses:
bfloat16 where the processor multiplies it itself.
"""

from __future__ import annotations

import time

from cleanplate.device.threads import configure_threads

configure_threads()

import torch  # noqa: E402  # after the threads are chosen
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from cleanplate.device.precision import choose_dtype  # noqa: E402
from cleanplate.models.weights import load_networks  # noqa: E402

SHAPES = {"finder": (1, 3, 704, 1024), "restorer": (1, 4, 256, 512)}
RUNS = 5


def main() -> None:
    table = Table("network", "float32, s", "bfloat16, s", "ratio", "mean difference")
    for name, shape in SHAPES.items():
        x = torch.rand(*shape, generator=torch.Generator().manual_seed(0)).to(
            memory_format=torch.channels_last
        )
        single, one = measure(getattr(load_networks(), name), x)
        half, other = measure(getattr(load_networks(), name).to(torch.bfloat16), x)
        apart = float((one - other).abs().mean())
        table.add_row(name, f"{single:.3f}", f"{half:.3f}", f"{half / single:.2f}", f"{apart:.4f}")
    console = Console()
    console.print(table)
    console.print(f"chosen here: {choose_dtype(torch.device('cpu'), ('float32', 'bfloat16'))}")


def measure(network: nn.Module, x: Tensor) -> tuple[float, Tensor]:
    """(least processor seconds of a pass, its answer: the finder's probability or the restorer's matte)."""
    seconds = []
    with torch.no_grad():
        for _ in range(RUNS):
            started = time.process_time()
            answer = network(x)
            seconds.append(time.process_time() - started)
    logits = answer["matte"] if isinstance(answer, dict) else answer
    return min(seconds[1:]), logits.sigmoid()


if __name__ == "__main__":
    main()
