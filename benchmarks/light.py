"""A pipeline with networks of a few weights, for what is about the engine and not about pictures; and its
photographs.

Marks are magenta. The finder sees how far a pixel's red and blue stand above its green, the restorer says
that what it sees is opaque, so that it is filled. A few weights are random, so that results depend on all.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from cleanplate.detect.network import NetworkDetector
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.restore import NetworkRemover

MAGENTA = (255, 0, 255)


class LightFinder(nn.Module):
    """(N, 3, H, W) in [0, 1] -> (N, 1, H, W) logits: magenta is marked."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 1, 1)
        _set_weights(self.mix, self.head)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.head(torch.relu(self.mix(x)))


class LightRestorer(nn.Module):
    """(N, 4, H, W) -> planes as of `models.nets.restorer`; all that is found is opaque."""

    stride = 8

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 1, 1)
        _set_weights(self.mix, self.head)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """See the class."""
        picture = x[:, :3]
        matte = self.head(torch.relu(self.mix(picture)))
        return {
            "matte": matte,
            "opacity": torch.sigmoid(matte + 4),
            "colour": picture,
            "background": nn.functional.avg_pool2d(picture, 9, stride=1, padding=4),
        }


def _set_weights(mix: nn.Conv2d, head: nn.Conv2d) -> None:
    """The first feature is "magenta", the others are random and weigh little."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for tensor in (mix.weight, mix.bias, head.weight, head.bias):
            tensor.copy_(0.05 * torch.randn(tensor.shape, generator=generator))
        mix.weight[0] = 0
        mix.weight[0, :, 1, 1] = torch.tensor([0.5, -1.0, 0.5])
        mix.bias[0] = -0.5
        head.weight[0, 0] = 40.0
        head.bias[0] = -6.0


def make_light_pipeline() -> MarkRepair:
    """A pipeline that takes off what is magenta."""
    finder, restorer = (
        network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        for network in (LightFinder(), LightRestorer())
    )
    device = torch.device("cpu")
    return MarkRepair(
        detector=NetworkDetector(finder, device, "light-1"),
        remover=NetworkRemover(restorer, device, "light-1"),
    )


def draw_photo(path: Path, *, seed: int, width: int = 64, height: int = 64, mark_px: int = 20) -> Path:
    """A smooth picture with a magenta square of `mark_px`; 0: without."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(40, 200, (5, 5, 3), dtype=np.uint8)
    bgr = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    left, top = (width - mark_px) // 2, (height - mark_px) // 2
    if mark_px:
        bgr[top : top + mark_px, left : left + mark_px] = MAGENTA
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, bgr)[1].tobytes())
    return path
