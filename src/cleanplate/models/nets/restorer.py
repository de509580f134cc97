"""The restorer: on a crop at native resolution, what exactly is the mark, and what is behind it?

A U-shaped network without norms that works at half resolution (pixel unshuffle), so that a crop of 256 pixels
costs 1.5 billion multiplications, and writes its answers at full resolution.

Source: Ronneberger et al. 2015 (U-Net), He et al. 2016 (residual blocks), Shi et al. 2016 (pixel shuffle).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Widths at strides 2, 4, 8, 16 and 32.
CHANNELS = (24, 48, 96, 128, 160)
#: Output planes: matte 1, opacity 1, colour 3, background 3.
OUTPUT_PLANES = 8


class ResidualBlock(nn.Module):
    """Two convolutions added to their input; starts as the identity, so that depth needs no norms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]  # Conv2d is built with its bias

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        change: Tensor = self.second(F.relu(self.first(x)))
        return x + change


class Restorer(nn.Module):
    """Takes a mark apart on a crop.

    forward: (N, 4, H, W) float, RGB in [0, 1] and the finder's probability; H and W multiples of 32. Returns
    a dict of full-size planes: `matte` (N, 1, H, W), logits of the mark's shape; `opacity` (N, 1, H, W) in
    [0, 1], the mark's alpha at each pixel; `colour` (N, 3, H, W) in [0, 1]; `background` (N, 3, H, W), the
    photograph behind, about [0, 1] and not clipped.

    >>> sorted(Restorer()(torch.zeros(1, 4, 64, 32)))
    ['background', 'colour', 'matte', 'opacity']
    """

    stride = 32

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(16, CHANNELS[0], 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(CHANNELS))
        self.encoder_blocks = nn.ModuleList(ResidualBlock(c) for c in CHANNELS)
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(CHANNELS))
        self.merges = nn.ModuleList(nn.Conv2d(2 * c, c, 3, padding=1) for c in CHANNELS[:-1])
        self.decoder_blocks = nn.ModuleList(ResidualBlock(c) for c in CHANNELS[:-1])
        self.head = nn.Conv2d(CHANNELS[0], OUTPUT_PLANES * 4, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # Conv2d is built with its bias

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """See the class."""
        y = F.relu(self.stem(F.pixel_unshuffle(x - 0.5, 2)))
        y = self.encoder_blocks[0](y)
        skips = []
        for down, block in zip(self.downs, self.encoder_blocks[1:], strict=True):
            skips.append(y)
            y = block(F.relu(down(y)))
        for level in reversed(range(len(self.merges))):
            y = F.interpolate(self.ups[level](y), scale_factor=2.0, mode="bilinear", align_corners=False)
            y = self.decoder_blocks[level](F.relu(self.merges[level](torch.cat([y, skips[level]], dim=1))))
        planes = F.pixel_shuffle(self.head(y), 2).float()
        return {
            "matte": planes[:, 0:1],
            "opacity": torch.sigmoid(planes[:, 1:2]),
            "colour": torch.sigmoid(planes[:, 2:5]),
            "background": x[:, :3] + planes[:, 5:8],
        }
