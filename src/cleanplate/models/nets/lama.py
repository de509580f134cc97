"""LaMa: fills what a mask covers, with a network whose every block sees the whole picture at once.

After Suvorov et al. 2022, "Resolution-robust Large Mask Inpainting with Fourier Convolutions" (the Fourier
convolution is Chi et al. 2020, "Fast Fourier Convolution"), with names and sizes as the authors' published
program has them: 989 tensors and 51,057,179 numbers under `generator.`, batch norms' counters and statistics
included, so that the checkpoint "big-lama" should load by name. No weights are shipped, and none published
have been loaded or run here.

To fill, the norms are folded into the convolutions (`Lama.fold_norms`), and the layers at the ends, of 64
channels at full size, run in pieces (`pieces`): a pass takes a quarter of the memory, with the same result.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.nets.fold import fold_norm
from cleanplate.models.nets.pieces import Planes, Span, Step, choose_piece, collect, convolve, double, show
from cleanplate.models.nets.sparing import run_blocks

#: Share of channels, from the last downsampling to the first upsampling, that are transformed as a whole.
GLOBAL_SHARE = 0.75
DOWNSAMPLINGS = 3
#: Reach of the first and the last convolution, whose kernels are 7 wide.
REACH = 3

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


class Join(nn.Module):
    """Local and global features, (N, C_local, H, W) and (N, C_global, H, W), as one tensor."""

    def forward(self, features: tuple[Tensor, Tensor]) -> Tensor:
        """See the class."""
        return torch.cat(features, dim=1)


class Generator(nn.Module):
    """From a picture with a hole to a whole picture.

    forward: (N, 4, H, W), RGB in [0, 1] that is zero in the hole, and the mask -> (N, 3, H, W) in [0, 1].
    `model` is the same as a plain sequence, which takes four times the memory and can be trained or traced; a
    layer's place in it is part of its tensors' names in published files.
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
        #: Channels of local and of global features.
        self.parted = channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.fill(show(x), x.shape[0])

    def fill(self, given: Planes, batch: int) -> Tensor:
        """The same for an input made in pieces. For networks in `eval()`: norms go by what they know."""
        rows, columns = choose_piece(batch, given.width)
        planes = given
        for layer in self.model:
            if isinstance(layer, NormedConvolution):
                planes = layer.in_pieces(planes, REACH if planes is given else 1)
        features = collect(planes, rows >> DOWNSAMPLINGS, columns >> DOWNSAMPLINGS)
        blocks = [layer for layer in self.model if isinstance(layer, ResidualBlock)]
        run_blocks(blocks, features, self.parted)
        planes = show(features)
        for place, layer in enumerate(self.model):
            if isinstance(layer, nn.ConvTranspose2d):
                planes = double(planes, layer, self.model[place + 1 : place + 3])
        last, squash = self.model[-2], self.model[-1]
        assert isinstance(last, nn.Conv2d)
        return collect(convolve(planes, [(last, squash)], REACH), rows, columns)

    def fold_norms(self) -> None:
        """Make all norms part of the convolutions before them."""
        for part in self.modules():
            if isinstance(part, NormedConvolution):
                part.fold_norms()
        for place, layer in enumerate(self.model):
            if isinstance(layer, nn.ConvTranspose2d):
                self.model[place + 1] = fold_norm(self.model[place + 1], [layer])


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

        def make(rows: Span, columns: Span) -> Tensor:
            place = (..., slice(*rows), slice(*columns))
            return torch.cat([picture[place] * (1 - mask[place]), mask[place]], dim=1)

        fill = self.generator.fill(Planes(picture.shape[2], picture.shape[3], make), picture.shape[0])
        return torch.lerp(picture, fill, mask)

    def fold_norms(self) -> Lama:
        """Make all batch norms part of the convolutions before them, in place: its tensors get other names.

        Returns itself. The same result to float32's rounding, in less time and memory. Call it on a network
        in `eval()` that is not trained further.
        """
        self.generator.fold_norms()
        return self


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
