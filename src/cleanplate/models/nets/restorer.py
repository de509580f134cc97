"""The restorer: on a crop at native resolution, what exactly is the mark, and what is behind it?

It has the finder's encoder and the finder's decoder down to stride 4, so that it starts from what the finder
has learned; a branch of its own at half resolution brings the exact edges, and the finder's answer about the
whole photograph comes in at three scales.

Source: Ronneberger et al. 2015 (U-Net), Shi et al. 2016 (pixel shuffle). A U-shaped network of the same size
from scratch had a matte error of 0.26 after 16,000 crops (docs/training-log.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.nets.finder import SKIP_CHANNELS, Encoder, Finder, enlarge

#: Decoder widths at strides 16, 8 and 4.
DECODER_CHANNELS = (96, 64, 40)
#: Width of the half-resolution branch.
DETAIL_CHANNELS = 32
#: Width of the last features, at half resolution.
FINE_CHANNELS = 48
#: Output planes: matte 1, opacity 1, colour 3, background 3.
OUTPUT_PLANES = 8


class Restorer(nn.Module):
    """Takes a mark apart on a crop.

    forward: (N, 4, H, W) float32, RGB in [0, 1] and the finder's probability; H and W multiples of 32.
    Returns a dict of full-size float32 planes: `matte` (N, 1, H, W), logits of the mark's shape; `opacity`
    (N, 1, H, W) in [0, 1], the mark's alpha at each pixel; `colour` (N, 3, H, W) in [0, 1]; `background` (N,
    3, H, W), the photograph behind, about [0, 1] and not clipped. dtypes: what its weights may be.

    >>> sorted(Restorer()(torch.zeros(1, 4, 64, 32)))
    ['background', 'colour', 'matte', 'opacity']
    """

    stride = 32
    dtypes = ("float32", "bfloat16")

    def __init__(self) -> None:
        super().__init__()
        wide, middle, narrow = DECODER_CHANNELS
        self.encoder = Encoder()
        self.detail = nn.Sequential(
            nn.Conv2d(16, DETAIL_CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(DETAIL_CHANNELS, DETAIL_CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.merges = nn.ModuleList(
            [
                nn.Conv2d(192 + 112, wide, 3, padding=1),
                nn.Conv2d(wide + 40 + 1, middle, 3, padding=1),
                nn.Conv2d(middle + 24 + 1, narrow, 3, padding=1),
                nn.Conv2d(narrow + 16 + DETAIL_CHANNELS, FINE_CHANNELS, 3, padding=1),
            ]
        )
        self.refine = nn.Sequential(
            nn.Conv2d(FINE_CHANNELS, FINE_CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(FINE_CHANNELS, FINE_CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(FINE_CHANNELS, OUTPUT_PLANES * 4, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # Conv2d is built with its bias

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """See the class."""
        skips = self.encoder(x[:, :3])
        y = skips.pop()
        for merge, pooled in zip(self.merges, (None, 8, 4, None), strict=True):
            beside = [skips.pop()]
            if pooled is not None:
                beside.append(F.avg_pool2d(x[:, 3:4].to(y.dtype), pooled))
            if not skips:
                beside.append(self.detail(F.pixel_unshuffle((x - 0.5).to(y.dtype), 2)))
            y = torch.cat([enlarge(y), *beside], dim=1)
            del beside  # what is not needed any more goes before the largest feature comes
            y = F.relu(merge(y), inplace=True)
        planes = F.pixel_shuffle(self.head(self.refine(y)), 2).float()
        return {
            "matte": planes[:, 0:1],
            "opacity": torch.sigmoid(planes[:, 1:2]),
            "colour": torch.sigmoid(planes[:, 2:5]),
            "background": x[:, :3] + planes[:, 5:8],
        }

    @torch.no_grad()
    def start_from(self, finder: Finder) -> None:
        """Take over the encoder of a finder and, as far as it is as wide, its decoder."""
        self.encoder.load_state_dict(finder.encoder.state_dict())
        own_before = given_before = 192
        for own, given, skip in zip(self.merges, finder.merges, SKIP_CHANNELS, strict=True):
            weight, source = own.get_parameter("weight"), given.get_parameter("weight")
            outputs, inputs = min(len(weight), len(source)), min(own_before, given_before)
            weight.mul_(0.1)  # what the finder has nothing for
            weight[:outputs, :inputs] = source[:outputs, :inputs]
            weight[:outputs, own_before : own_before + skip] = source[:outputs, given_before:]
            own.get_parameter("bias")[:outputs] = given.get_parameter("bias")[:outputs]
            own_before, given_before = len(weight), len(source)
