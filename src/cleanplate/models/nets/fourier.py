"""LaMa's layers, as published: convolutions of the neighbourhood and of the spectrum beside each other.

Source: Chi et al. 2020, "Fast Fourier Convolution", in the form and with the names of Suvorov et al. 2022.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.nets.fold import fold_norm
from cleanplate.models.nets.pieces import Planes, Step, convolve

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
        self.bn: nn.Module = nn.BatchNorm2d(2 * channels)

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
        y += self.fu(y)
        out: Tensor = self.conv2(y)
        return out

    def fold_norms(self) -> None:
        """Make its norms part of its convolutions."""
        convolution, norm, rectifier = self.conv1
        assert isinstance(convolution, nn.Conv2d)
        self.conv1 = nn.Sequential(convolution, fold_norm(norm, [convolution]), rectifier)
        self.fu.bn = fold_norm(self.fu.bn, [self.fu.conv_layer])


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
        if far is None or self.convg2g is None:
            return near_out, self.convl2g(near)
        far_out: Tensor = self.convg2g(far)  # it takes most on its way, so it goes first
        far_out += self.convl2g(near)
        return near_out, far_out

    def fold_norms(self, near: nn.Module, far: nn.Module | None) -> tuple[nn.Module, nn.Module | None]:
        """Fold the norms of its outputs, and its own; returns what is left of those two."""
        near = fold_norm(near, [self.convl2l, self.convg2l])
        if self.convl2g is not None:
            last = None if self.convg2g is None else self.convg2g.conv2
            far = fold_norm(far, [self.convl2g, last])
        if self.convg2g is not None:
            self.convg2g.fold_norms()
        return near, far


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
        self.bn_l: nn.Module = nn.BatchNorm2d(outputs[0])
        self.bn_g: nn.Module | None = nn.BatchNorm2d(outputs[1]) if outputs[1] else None

    def forward(self, features: Features | Tensor) -> Features:
        """Features, or a tensor of local ones alone -> features."""
        near, far = self.ffc((features, None) if isinstance(features, Tensor) else features)
        near = F.relu(self.bn_l(near), inplace=True)
        if self.bn_g is not None:
            far = F.relu(self.bn_g(far), inplace=True)
        return near, far

    def fold_norms(self) -> None:
        """Make its norms part of its convolutions."""
        self.bn_l, self.bn_g = self.ffc.fold_norms(self.bn_l, self.bn_g)

    def in_pieces(self, given: Planes, padding: int) -> Planes:
        """Local features' planes -> those of all its features, the local ones first."""
        steps: list[Step] = [(self.ffc.convl2l, lambda y: F.relu(self.bn_l(y), inplace=True))]
        if self.ffc.convl2g is not None and self.bn_g is not None:
            norm = self.bn_g
            steps.append((self.ffc.convl2g, lambda y: F.relu(norm(y), inplace=True)))
        return convolve(given, steps, padding)


class ResidualBlock(nn.Module):
    """Two normed Fourier convolutions, added to their input. forward: features -> features of same shapes."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = NormedConvolution(channels, channels, 3)
        self.conv2 = NormedConvolution(channels, channels, 3)

    def forward(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """See the class."""
        near, far = self.conv2(self.conv1(features))
        near += features[0]
        far += features[1]
        return near, far
