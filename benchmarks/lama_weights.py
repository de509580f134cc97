"""Writes a file of the published big-lama.pt's structure and size, with random numbers in it.

    python benchmarks/lama_weights.py big-lama.pt

It costs what the published weights cost and fills with noise. It is for measuring speed and memory only.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from cleanplate.models.nets.lama import Lama


class Published(nn.Module):
    """What the published file's program does: picture and mask in, picture with the hole filled out."""

    def __init__(self, lama: Lama) -> None:
        super().__init__()
        self.model = lama

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] and (N, 1, H, W) -> (N, 3, H, W)."""
        fill: Tensor = self.model.generator.model(torch.cat([image * (1 - mask), mask], dim=1))
        return mask * fill + (1 - mask) * image


def write_weights(path: Path, *, width: int = 64, blocks: int = 18, seed: int = 0) -> None:
    """Write random weights as TorchScript. width, blocks: the published network's, or less for a test."""
    torch.manual_seed(seed)
    module = Published(Lama(width=width, blocks=blocks)).eval()
    example = (torch.rand(1, 3, 128, 192), torch.ones(1, 1, 128, 192))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
        torch.jit.trace(module, example, check_trace=False).save(str(path))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="where to write the weights")
    write_weights(parser.parse_args().file)
