"""One pass of LaMa: the layers as published against norms folded and the ends in pieces. Bytes and time.

    python benchmarks/lama_pass.py

Random weights of the published size (`lama_weights.py`'s). Bytes are those of live tensors by pixel of the
input, metered in a real pass, the input counted and the weights not. Passes of both kinds take turns, so that
other work on the machine meets both; printed are the medians of the processor's seconds, which such work
changes least, and their ratio, then that of the wall's.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time

import torch
from torch import Tensor, nn

from cleanplate.device.meter import StorageMeter
from cleanplate.device.threads import configure_threads
from cleanplate.models.nets import pieces
from cleanplate.models.nets.lama import Lama


class Whole(nn.Module):
    """LaMa with every layer as a whole, as the published program runs it."""

    def __init__(self, lama: Lama) -> None:
        super().__init__()
        self.lama = lama

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4, H, W) -> (N, 3, H, W)."""
        picture, mask = x[:, :3], x[:, 3:]
        fill = self.lama.generator.model(torch.cat([picture * (1 - mask), mask], dim=1))
        return torch.lerp(picture, fill, mask)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", nargs="+", default=["264x264", "512x512", "1024x768"], help="width x height"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pieces", type=int, nargs="+", default=[pieces.PIECE_PIXELS], help="pixels of one")
    arguments = parser.parse_args()
    configure_threads()
    torch.manual_seed(0)
    whole = Lama().eval().requires_grad_(False)
    folded = copy.deepcopy(whole).fold_norms()
    print("| size | piece | bytes a pixel, whole | in pieces | ratio | processor s, whole | in pieces | "
          "ratio | wall, ratio | largest difference |\n" + "| --- " * 10 + "|")  # fmt: skip
    for size in arguments.sizes:
        width, height = map(int, size.split("x"))
        x = torch.rand(1, 4, height, width)
        x[:, 3:] = (x[:, 3:] > 0.5).float()
        for piece in arguments.pieces:
            pieces.PIECE_PIXELS = piece
            compare(f"| {size} | {piece} |", Whole(whole), folded, x, arguments.repeats)


def compare(label: str, whole: nn.Module, folded: nn.Module, x: Tensor, repeats: int) -> None:
    """One line."""
    pixels = x.shape[2] * x.shape[3]
    peaks, filled = zip(*(meter(network, x) for network in (whole, folded)), strict=True)
    used: dict[nn.Module, list[float]] = {whole: [], folded: []}
    wall: dict[nn.Module, list[float]] = {whole: [], folded: []}
    for _ in range(repeats):
        for network in (whole, folded):
            began, began_used = time.perf_counter(), time.process_time()
            with torch.no_grad():
                network(x)
            used[network].append(time.process_time() - began_used)
            wall[network].append(time.perf_counter() - began)
    before, after = (statistics.median(used[network]) for network in (whole, folded))
    ratio = statistics.median(wall[folded]) / statistics.median(wall[whole])
    apart = float((filled[0] - filled[1]).abs().max())
    print(f"{label} {peaks[0] / pixels:.0f} | {peaks[1] / pixels:.0f} | {peaks[1] / peaks[0]:.2f} | "
          f"{before:.2f} | {after:.2f} | {after / before:.2f} | {ratio:.2f} | {apart:.1e} |",
          flush=True)  # fmt: skip


def meter(network: nn.Module, x: Tensor) -> tuple[int, Tensor]:
    """Most bytes alive in a pass, the input's among them, and what it gives."""
    count = StorageMeter()
    with torch.no_grad(), count.metering():
        y = network(x)
    return count.peak_bytes + x.untyped_storage().nbytes(), y


if __name__ == "__main__":
    main()
