"""U-Net and U-Net++ over a ResNet, by the tensors' names of `segmentation_models_pytorch`.

So checkpoints of that library load without it, and without the torchvision and timm that it needs.

Source: He et al. 2016 (ResNet), Ronneberger et al. 2015 (U-Net), Zhou et al. 2018 (U-Net++); sizes as the
library has them by default (decoder of 256 to 16 channels, batch norms, one class).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SPREAD = (0.229, 0.224, 0.225)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a way round. forward: (N, C, H, W) -> (N, width, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _make_way_round(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return F.relu(y.add_(x if self.downsample is None else self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a way round. forward: (N, C, H, W) -> (N, 4 * width, H / stride, W / stride)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _make_way_round(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y.add_(x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNetEncoder(nn.Module):
    """A ResNet without its head: features at strides 2, 4, 8, 16 and 32."""

    def __init__(self, blocks: Sequence[int], *, bottleneck: bool) -> None:
        super().__init__()
        kind = Bottleneck if bottleneck else BasicBlock
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.channels = [64]
        inputs = 64
        for number, count in enumerate(blocks):
            width = 64 * 2**number
            layer: list[nn.Module] = []
            for place in range(count):
                layer.append(kind(inputs, width, 2 if place == 0 and number > 0 else 1))
                inputs = width * kind.expansion
            self.add_module(f"layer{number + 1}", nn.Sequential(*layer))
            self.channels.append(inputs)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W), normalised -> five features."""
        features = [F.relu(self.bn1(self.conv1(x)), inplace=True)]
        y = F.max_pool2d(features[0], 3, 2, 1)
        for number in range(1, len(self.channels)):
            y = self.get_submodule(f"layer{number}")(y)
            features.append(y)
        return features


class DecoderBlock(nn.Module):
    """Doubles a feature's size, joins what lies beside it, two convolutions."""

    def __init__(self, inputs: int, skips: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = _make_convolution(inputs + skips, outputs)
        self.conv2 = _make_convolution(outputs, outputs)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        """(N, inputs, H, W), (N, skips, 2H, 2W) -> (N, outputs, 2H, 2W)."""
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        y: Tensor = self.conv2(self.conv1(x))
        return y


class UnetDecoder(nn.Module):
    """One block a level."""

    def __init__(self, encoder: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        deep_first = list(reversed(encoder))
        inputs = [deep_first[0], *widths[:-1]]
        skips = [*deep_first[1:], 0]
        self.blocks = nn.ModuleList(map(DecoderBlock, inputs, skips, widths))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features, shallow first -> (N, widths[-1], H, W)."""
        y, *skips = reversed(features)
        for block, skip in zip(self.blocks, [*skips, None], strict=True):
            y = block(y, skip)
        return y


class UnetPlusPlusDecoder(nn.Module):
    """A block for every pair of levels: `x_0_2` is the third of the deepest row."""

    def __init__(self, encoder: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        deep_first = list(reversed(encoder))
        inputs, skips = [deep_first[0], *widths[:-1]], [*deep_first[1:], 0]
        self.depth = len(inputs) - 1
        self.blocks = nn.ModuleDict()
        for layer in range(self.depth):
            for row in range(layer + 1):
                joined = skips[layer] * (layer + 1 - row)
                block = (
                    DecoderBlock(inputs[layer], joined, widths[layer])
                    if row == 0
                    else DecoderBlock(skips[layer - 1], joined, skips[layer])
                )
                self.blocks[f"x_{row}_{layer}"] = block
        self.blocks[f"x_0_{self.depth}"] = DecoderBlock(inputs[-1], 0, widths[-1])

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features, shallow first -> (N, widths[-1], H, W)."""
        deep_first = list(reversed(features))
        known: dict[str, Tensor] = {}
        for distance in range(self.depth):
            for row in range(self.depth - distance):
                layer = row + distance
                beside = [known[f"x_{other}_{layer}"] for other in range(row + 1, layer + 1)]
                skip = torch.cat([*beside, deep_first[layer + 1]], dim=1)
                below = deep_first[row] if distance == 0 else known[f"x_{row}_{layer - 1}"]
                known[f"x_{row}_{layer}"] = self.blocks[f"x_{row}_{layer}"](below, skip)
        y: Tensor = self.blocks[f"x_0_{self.depth}"](known[f"x_0_{self.depth - 1}"])
        return y


class Segmenter(nn.Module):
    """Marks on whole photographs, as a finder (`models/nets/finder`).

    forward: (N, 3, H, W) float RGB in [0, 1], H and W multiples of 32 -> (N, 1, H, W) logits. ImageNet's
    normalisation, which such checkpoints are trained with, happens inside.

    >>> Segmenter((1, 1, 1, 1), plus_plus=True).eval()(torch.zeros(1, 3, 64, 32)).shape
    torch.Size([1, 1, 64, 32])
    """

    stride = 32

    def __init__(
        self,
        blocks: Sequence[int],
        *,
        bottleneck: bool = False,
        plus_plus: bool = False,
        widths: Sequence[int] = (256, 128, 64, 32, 16),
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(blocks, bottleneck=bottleneck)
        decoder = UnetPlusPlusDecoder if plus_plus else UnetDecoder
        self.decoder = decoder(self.encoder.channels, widths)
        self.segmentation_head = nn.Sequential(nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(IMAGENET_SPREAD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y: Tensor = self.segmentation_head(self.decoder(self.encoder((x - self.mean) / self.spread)))
        return y


def _make_convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _make_way_round(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
