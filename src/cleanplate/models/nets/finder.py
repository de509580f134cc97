"""The finder: where on a whole photograph are visible marks?

An EfficientNet-Lite0 encoder whose batch norms are folded into the convolutions (so that training and
running use the same, faster network), cut before its last stage, and a light decoder back to full size.

Source: Tan & Le 2019 (EfficientNet) for the encoder's shape, Ronneberger et al. 2015 (U-Net) for the skips.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Stage:
    """A row of EfficientNet-Lite0: so many inverted-bottleneck blocks."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


ENCODER_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
)
STEM_CHANNELS = 32
#: The encoder's features that the decoder sees beside its own, and its widths, at strides 16, 8, 4 and 2.
SKIP_CHANNELS = (112, 40, 24, 16)
DECODER_CHANNELS = (128, 88, 56, 32)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: what does not divide evenly goes right and to the bottom.

    With a stride, the kernel gets a first row and column of zeros: then it is padded alike on all sides,
    which oneDNN does by itself, and no padded copy of the input is made. That took 6 % of the finder's time
    and a quarter of its memory; the results are the same to the bit.

    Under autocast on a CPU two kinds compute in float32, whose gradients in bfloat16 are slow: strided
    depthwise ones (that of the input of 12 x 96 x 129 x 129: 130 ms, and 51 in float32), and depthwise
    filters larger than 3 x 3 that learn (that of 5 x 5 filters on 6 x 240 x 64 x 64: 142 ms, and 28).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), H and W multiples of the stride -> (N, C', H / stride, W / stride)."""
        if self.groups > 1 and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            learns = torch.is_grad_enabled() and self.weight.requires_grad
            if self.stride != (1, 1) or (learns and self.kernel_size[0] > 3):
                with torch.autocast("cpu", enabled=False):
                    return self._convolve(x.float()).to(x.dtype)
        return self._convolve(x)

    def _convolve(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.stride == (1, 1) else self._convolve_strided(x)

    def _convolve_strided(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            # the larger kernel's gradients cost more than the copy
            before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
            padded = F.pad(x, (before, after, before, after))
            return F.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)
        weight = F.pad(self.weight, (1, 0, 1, 0))
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, groups=self.groups)


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, project; added to its input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = inputs * expand
        self.expand = SameConv2d(inputs, middle, 1) if expand != 1 else None
        self.depthwise = SameConv2d(middle, middle, kernel, stride, groups=middle)
        self.project = SameConv2d(middle, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        y: Tensor = F.relu6(self.expand(x), inplace=True) if self.expand is not None else x
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return y.add_(x) if self.adds else y


class Encoder(nn.Module):
    """EfficientNet-Lite0 without its last stage and head; gives features at strides 2, 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, STEM_CHANNELS, 3, stride=2)
        stages = []
        inputs = STEM_CHANNELS
        for stage in ENCODER_STAGES:
            blocks = []
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedBottleneck(inputs, stage.channels, stage.kernel, stride, stage.expand))
                inputs = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) float32 in [0, 1] -> 16, 24, 40, 112 and 192 features, of the weights' type."""
        scaled = (x * (255.0 / 128.0)).sub_(127.0 / 128.0)
        y = F.relu6(self.stem(scaled.to(self.stem.weight.dtype)), inplace=True)
        features = []
        for index, stage in enumerate(self.stages):
            y = stage(y)
            if index != 3:  # the fourth stage shares its stride with the fifth
                features.append(y)
        return features


def enlarge(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2H, 2W), between the pixels linearly."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class Finder(nn.Module):
    """Marks on whole photographs.

    forward: (N, 3, H, W) float32 RGB in [0, 1], H and W multiples of 32 -> (N, 1, H, W) float32 logits of
    "marked". dtypes: what its weights may be.

    >>> Finder().eval()(torch.zeros(1, 3, 64, 96)).shape
    torch.Size([1, 1, 64, 96])
    """

    stride = 32
    dtypes = ("float32", "bfloat16")

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        inputs = 192
        merges = []
        for skip, outputs in zip(SKIP_CHANNELS, DECODER_CHANNELS, strict=True):
            merges.append(nn.Conv2d(inputs + skip, outputs, 3, padding=1))
            inputs = outputs
        self.merges = nn.ModuleList(merges)
        self.refine = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.head = nn.Conv2d(inputs, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        skips = self.encoder(x)
        y = skips.pop()
        for merge in self.merges:
            y = torch.cat([enlarge(y), skips.pop()], dim=1)
            y = F.relu(merge(y), inplace=True)
        y = F.relu(self.refine(y), inplace=True)
        return F.pixel_shuffle(self.head(y), 2).float()
