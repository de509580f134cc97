"""LaMa: fills what a mask covers, with a network whose every block sees the whole picture at once.

After Suvorov et al. 2022, "Resolution-robust Large Mask Inpainting with Fourier Convolutions" (the Fourier
convolution is Chi et al. 2020, "Fast Fourier Convolution"), with names and sizes as the authors' published
program has them: 989 tensors and 51,057,179 numbers under `generator.`, batch norms' counters and statistics
included, so that the checkpoint "big-lama" should load by name. No weights are shipped, and none published
have been loaded or run here.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Share of channels, from the last downsampling to the first upsampling, that are transformed as a whole.
GLOBAL_SHARE = 0.75
DOWNSAMPLINGS = 3

#: Local and global features of one picture, (N, C_local, H, W) and (N, C_global, H, W).
Features = tuple[Tensor, Tensor | None]


class FourierUnit(nn.Module):
    """A 1x1 convolution of the spectrum: each output pixel depends on all input pixels.

    forward: (N, C, H, W) float32 -> the same shape. Real and imaginary parts are neighbouring channels; the
    transforms are orthonormal.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_layer = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        spectrum = torch.view_as_real(torch.fft.rfftn(x, dim=(-2, -1), norm="ortho"))
        y = spectrum.movedim(-1, 2).flatten(1, 2)
        del spectrum
        y = F.relu(self.bn(self.conv_layer(y)), inplace=True)
        y = y.view(y.shape[0], -1, 2, *y.shape[-2:]).movedim(2, -1).contiguous()
        # The size must be told: an odd width and the next even one have spectra of the same width.
        back: Tensor = torch.fft.irfftn(torch.view_as_complex(y), s=x.shape[-2:], dim=(-2, -1), norm="ortho")
        return back


class SpectralTransform(nn.Module):
    """A Fourier unit at half the channels, added to its input. forward: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = nn.Sequential(
            nn.Conv2d(channels, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)
        )
        self.fu = FourierUnit(half)
        self.conv2 = nn.Conv2d(half, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y = self.conv1(x)
        out: Tensor = self.conv2(y + self.fu(y))
        return out


class FourierConvolution(nn.Module):
    """Local features by convolutions, global ones by the spectrum, and each also fed by the other.

    inputs, outputs: (local, global) channels; no global ones: 0. Global outputs without global inputs come
    from the local ones alone. forward: features -> features, H and W divided by `stride`.
    """

    def __init__(
        self,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        kernel: int,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()

        def convolve(given: int, made: int) -> nn.Conv2d:
            # Without padding the mode is "zeros": "reflect" would copy the input to add nothing.
            mode: Literal["reflect", "zeros"] = "reflect" if padding else "zeros"
            return nn.Conv2d(given, made, kernel, stride, padding, bias=False, padding_mode=mode)

        self.convl2l = convolve(inputs[0], outputs[0])
        self.convl2g = convolve(inputs[0], outputs[1]) if outputs[1] else None
        self.convg2l = convolve(inputs[1], outputs[0]) if inputs[1] else None
        self.convg2g = SpectralTransform(inputs[1]) if inputs[1] and outputs[1] else None

    def forward(self, features: Features) -> Features:
        """See the class."""
        near, far = features
        near_out: Tensor = self.convl2l(near)
        if far is not None and self.convg2l is not None:
            near_out += self.convg2l(far)
        if self.convl2g is None:
            return near_out, None
        far_out: Tensor = self.convl2g(near)
        if far is not None and self.convg2g is not None:
            far_out += self.convg2g(far)
        return near_out, far_out


class NormedConvolution(nn.Module):
    """A Fourier convolution with a batch norm and ReLU on each kind of features."""

    def __init__(
        self,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        kernel: int,
        stride: int = 1,
        padding: int = 1,
    ) -> None:
        super().__init__()
        self.ffc = FourierConvolution(inputs, outputs, kernel, stride, padding)
        self.bn_l = nn.BatchNorm2d(outputs[0])
        self.bn_g = nn.BatchNorm2d(outputs[1]) if outputs[1] else None

    def forward(self, features: Features | Tensor) -> Features:
        """Features, or a tensor of local ones alone -> features."""
        near, far = self.ffc((features, None) if isinstance(features, Tensor) else features)
        near = F.relu(self.bn_l(near), inplace=True)
        if self.bn_g is not None:
            far = F.relu(self.bn_g(far), inplace=True)
        return near, far


class ResidualBlock(nn.Module):
    """Two normed Fourier convolutions, added to their input. forward: features -> features of same shapes."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = NormedConvolution(channels, channels, 3)
        self.conv2 = NormedConvolution(channels, channels, 3)

    def forward(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """See the class."""
        near, far = self.conv2(self.conv1(features))
        return near + features[0], far + features[1]


class Join(nn.Module):
    """Local and global features, (N, C_local, H, W) and (N, C_global, H, W), as one tensor."""

    def forward(self, features: tuple[Tensor, Tensor]) -> Tensor:
        """See the class."""
        return torch.cat(features, dim=1)


class Generator(nn.Module):
    """From a picture with a hole to a whole picture.

    forward: (N, 4, H, W), RGB in [0, 1] that is zero in the hole, and the mask -> (N, 3, H, W) in [0, 1].
    A layer's place in `model` is part of its tensors' names in published files.
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        # Local features alone at first; the last downsampling parts them.
        channels = [(width * 2**level, 0) for level in range(DOWNSAMPLINGS + 1)]
        deepest = channels[-1][0]
        parted = int(deepest * GLOBAL_SHARE)
        channels[-1] = (deepest - parted, parted)
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            NormedConvolution((4, 0), channels[0], 7, padding=0),
        ]
        for shallow, deep in pairwise(channels):
            layers.append(NormedConvolution(shallow, deep, 3, stride=2))
        layers += [ResidualBlock(channels[-1]) for _ in range(blocks)]
        layers.append(Join())
        for level in reversed(range(DOWNSAMPLINGS)):
            outputs = width * 2**level
            layers += [
                nn.ConvTranspose2d(2 * outputs, outputs, 3, stride=2, padding=1, output_padding=1),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Sigmoid()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        y: Tensor = self.model(x)
        return y


class Lama(nn.Module):
    """Fills what a mask covers from what surrounds it.

    forward: picture (N, 3, H, W) float32 RGB in [0, 1] and mask (N, 1, H, W) float32 in [0, 1], 1 where to
    fill -> (N, 3, H, W): the fill where the mask is 1, the picture itself, bit for bit, where it is 0, a
    mixture between. Published weights have only seen masks of 0 and 1. Or one tensor (N, 4, H, W) of both, as
    the memory guard has it. H and W: multiples of `stride`, at least `least_size`; pad before (the authors
    mirror) and cut after.

    float32 only, and not under autocast: torch has no FFT in bfloat16, and in float16 only on CUDA and for
    sizes that are powers of two. Work on whole crops: each output pixel depends on all of the input, so that
    tiles of any overlap differ from the whole.

    width, blocks: 64 and 18 are the published "big-lama" (51 M parameters); less is quick and for tests.
    Names of tensors are those of the published checkpoint, `generator.model.N...`; its other tensors (those
    not under `generator.`) belong to training. Where names in a file begin with `model.model.`, replace that
    by `generator.model.`.

    Raises ValueError for another size, number of planes or dtype, saying which is wanted.

    >>> network = Lama(width=4, blocks=1).eval()
    >>> picture, mask = torch.rand(1, 3, 32, 48), torch.zeros(1, 1, 32, 48)
    >>> mask[..., 8:16, 8:24] = 1
    >>> with torch.no_grad():
    ...     filled = network(picture, mask)
    >>> filled.shape, bool(((filled == picture) | (mask == 1)).all())
    (torch.Size([1, 3, 32, 48]), True)

    Source: Suvorov et al. 2022 for the architecture; the authors' configuration `big-lama.yaml` for the
    sizes.
    """

    stride = 8
    #: At an eighth of it there must still be two pixels, for the innermost convolutions to mirror one.
    least_size = 16
    dtypes = (torch.float32,)

    def __init__(self, *, width: int = 64, blocks: int = 18) -> None:
        super().__init__()
        if width < 1 or blocks < 0:
            raise ValueError(f"width must be at least 1 and blocks at least 0, not {width} and {blocks}")
        self.generator = Generator(width, blocks)

    def forward(self, picture: Tensor, mask: Tensor | None = None) -> Tensor:
        """See the class."""
        if mask is None:
            picture, mask = picture[:, :3], picture[:, 3:]
        _check(picture, mask)
        fill = self.generator(torch.cat([picture * (1 - mask), mask], dim=1))
        return torch.lerp(picture, fill, mask)


def _check(picture: Tensor, mask: Tensor) -> None:
    """Refuse what the network cannot take."""
    batch, planes, height, width = picture.shape
    if planes != 3 or mask.shape != (batch, 1, height, width):
        raise ValueError(
            f"want a picture (N, 3, H, W) and a mask (N, 1, H, W), not {tuple(picture.shape)} and "
            f"{tuple(mask.shape)}"
        )
    if min(height, width) < Lama.least_size or height % Lama.stride or width % Lama.stride:
        raise ValueError(
            f"want height and width in multiples of {Lama.stride} from {Lama.least_size} on, not {height} "
            f"and {width}: pad the picture and the mask, and cut the result"
        )
    if picture.dtype not in Lama.dtypes or mask.dtype not in Lama.dtypes:
        raise ValueError(f"want float32, not {picture.dtype} and {mask.dtype}: the network has no other")
