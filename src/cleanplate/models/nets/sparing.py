"""LaMa's blocks with few planes at once: for filling, not for training.

A block as it is written holds 16 times its local features at once. Here convolutions of the neighbourhood are
done a part of the channels at a time and what is no longer needed is let go at once: 11 times. The results
are the block's own, to float32's rounding, in the same time: a part is as large as the local features, and
1x1 convolutions, which parts would make slower, are whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.nets.fourier import NormedConvolution, ResidualBlock, SpectralTransform
from cleanplate.models.nets.lending import Lend, keep

#: Parts that global features are worked on in: each is as large as the local ones in the published network.
PARTS = 3
#: Features of fewer pixels are worked on whole: they take little, and parts took a tenth longer at 33 x 33,
#: some at 56 x 80, not at 64 x 128. Source: `benchmarks/lama_pass.py`, with pictures eight times as wide.
LEAST_PARTED_PIXELS = 1 << 13


def run_blocks(
    blocks: Iterable[ResidualBlock], features: Tensor, parted: Sequence[int], lend: Lend = keep
) -> None:
    """Run blocks in `eval()` over features, which are overwritten with the result.

    features: (N, C, H, W) float, the local channels first; parted: how many are local, how many global. H and
    W at least 2. lend: gives what is run in a layer's place, which is let go after it.
    """
    near, far = torch.split(features, [*parted], dim=1)
    for block in blocks:
        change = [near, far]
        for layer in (block.conv1, block.conv2):
            change = _convolve(lend(layer), change)
        near_change, far_change = change
        near += near_change
        far += far_change
        del change, near_change, far_change  # before the next block makes others


def _convolve(layer: NormedConvolution, given: list[Tensor]) -> list[Tensor]:
    """Local and global features through a normed Fourier convolution.

    The list is emptied, so that those which nobody else holds are let go as soon as they are used up.
    """
    parts = layer.ffc
    assert parts.convg2l is not None
    assert parts.convl2g is not None
    assert parts.convg2g is not None
    far, near = given.pop(), given.pop()
    near_out = _convolve_part(_pad(near), parts.convl2l, slice(None), slice(None))
    for part in _cut(far):
        near_out += _convolve_part(_pad(far[:, part]), parts.convg2l, slice(None), part)
    near_out = F.relu(layer.bn_l(near_out), inplace=True)
    given.append(far)
    del far
    far_out = _transform(parts.convg2g, given)
    padded = _pad(near)
    del near
    for part in _cut(far_out):
        far_out[:, part] += _convolve_part(padded, parts.convl2g, part, slice(None))
    if layer.bn_g is not None:
        far_out = layer.bn_g(far_out)
    return [near_out, F.relu(far_out, inplace=True)]


def _transform(layer: SpectralTransform, given: list[Tensor]) -> Tensor:
    """Global features, taken from the list, through a spectral transform."""
    y: Tensor = layer.conv1(given.pop())
    batch, channels, height, width = y.shape
    parts = y.new_empty(batch, channels, 2, height, width // 2 + 1)
    for part in _cut(y):
        spectrum = torch.fft.rfftn(y[:, part], dim=(-2, -1), norm="ortho")
        parts[:, part] = torch.view_as_real(spectrum).movedim(-1, 2)
        del spectrum
    filtered = layer.fu.conv_layer(parts.flatten(1, 2))
    shape = parts.shape
    del parts
    filtered = F.relu(layer.fu.bn(filtered), inplace=True).view(shape)
    for part in _cut(y):
        numbers = torch.view_as_complex(filtered[:, part].movedim(2, -1).contiguous())
        y[:, part] += torch.fft.irfftn(numbers, s=(height, width), dim=(-2, -1), norm="ortho")
        del numbers
    del filtered
    out: Tensor = layer.conv2(y)
    return out


def _pad(planes: Tensor) -> Tensor:
    return F.pad(planes, (1, 1, 1, 1), mode="reflect")


def _convolve_part(padded: Tensor, layer: nn.Conv2d, outputs: slice, inputs: slice) -> Tensor:
    """Some outputs of a convolution, as far as they come from some inputs; its bias with the first ones."""
    bias = None if layer.bias is None or inputs.start else layer.bias[outputs]
    return F.conv2d(padded, layer.weight[outputs, inputs], bias)


def _cut(planes: Tensor) -> list[slice]:
    """Channels of (N, C, H, W) in at most PARTS parts, or all at once."""
    batch, channels, height, width = planes.shape
    parts = PARTS if batch * height * width >= LEAST_PARTED_PIXELS else 1
    step = -(-channels // parts)
    return [slice(start, min(start + step, channels)) for start in range(0, channels, step)]
