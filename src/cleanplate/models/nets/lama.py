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

import torch
from torch import Tensor, nn

from cleanplate.models.nets.fold import fold_norm
from cleanplate.models.nets.fourier import NormedConvolution, ResidualBlock
from cleanplate.models.nets.lending import Lend, keep
from cleanplate.models.nets.pieces import Planes, Span, choose_piece, collect, convolve, double, show
from cleanplate.models.nets.sparing import run_blocks

#: Share of channels, from the last downsampling to the first upsampling, that are transformed as a whole.
GLOBAL_SHARE = 0.75
DOWNSAMPLINGS = 3
#: Reach of the first and the last convolution, whose kernels are 7 wide.
REACH = 3


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
        #: Gives what is run in place of a block's layer.
        self.lend: Lend = keep
        #: Of a piece of the layers at the ends; None: as many as are quickest on a card.
        self.piece_pixels: int | None = None

    def extra_repr(self) -> str:
        """What its memory depends on besides its parts: predicted peaks are kept by it."""
        return f"piece_pixels={self.piece_pixels}"

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.fill(show(x), x.shape[0])

    def fill(self, given: Planes, batch: int) -> Tensor:
        """The same for an input made in pieces. For networks in `eval()`: norms go by what they know."""
        rows, columns = choose_piece(batch, given.width, self.piece_pixels)
        planes = given
        for layer in self.model:
            if isinstance(layer, NormedConvolution):
                planes = layer.in_pieces(planes, REACH if planes is given else 1)
        features = collect(planes, rows >> DOWNSAMPLINGS, columns >> DOWNSAMPLINGS)
        blocks = [layer for layer in self.model if isinstance(layer, ResidualBlock)]
        run_blocks(blocks, features, self.parted, self.lend)
        planes = show(features)
        for place, layer in enumerate(self.model):
            if isinstance(layer, nn.ConvTranspose2d):
                planes = double(planes, layer, self.model[place + 1 : place + 3])
        last, squash = self.model[-2], self.model[-1]
        assert isinstance(last, nn.Conv2d)
        return collect(convolve(planes, [(last, squash)], REACH), rows, columns)

    def fold_norms(self, lend: Lend | None = None) -> None:
        """Make all norms part of the convolutions before them, or, with `lend`, those outside the blocks."""
        for part in self.model if lend else self.modules():
            if isinstance(part, NormedConvolution):
                part.fold_norms()
        self.lend = lend or self.lend
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

    def fold_norms(self, lend: Lend | None = None) -> Lama:
        """Make all batch norms part of the convolutions before them, in place: its tensors get other names.

        lend: gives what is run in place of a block's layer, folded too; the blocks are then left as they are.
        Returns itself. The same result to float32's rounding, in less time and memory. Call it on a network
        in `eval()` that is not trained further.
        """
        self.generator.fold_norms(lend)
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
