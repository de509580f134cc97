"""The chooser: of what a marked crop could become, how much of each is right at every pixel?

It sees the candidates beside each other - the crop as it is, with the mark inverted, as the restorer imagines
it, and filled from around - with what is known of the mark, and says in which shares they are mixed. It adds
nothing of its own: where all candidates agree, it cannot change the result.

Source: Ronneberger et al. 2015 (U-Net), He et al. 2016 (residual blocks), Shi et al. 2016 (pixel shuffle).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.models.nets.finder import enlarge

#: Candidates, each of three planes, in the order of the shares: as it is, inverted, imagined, filled.
CANDIDATES = 4
#: Planes beside them: what is known of the mark (`remove/candidates`). The last says what may be rewritten.
KNOWN_PLANES = 8
INPUT_PLANES = 3 * CANDIDATES + KNOWN_PLANES
#: Widths at half, a quarter and an eighth of the resolution.
CHANNELS = (24, 40, 56)
#: Differences between candidates are small; they come in enlarged.
DIFFERENCE_GAIN = 4.0
#: No share is surer than this logit: a saturated one learns no more.
MOST_LOGIT = 5.0


class Block(nn.Module):
    """Two convolutions added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> the same shape."""
        y: Tensor = self.second(F.relu(self.first(x), inplace=True))
        return F.relu(y.add_(x), inplace=True)


class Chooser(nn.Module):
    """Shares of the candidates at every pixel.

    forward: (N, INPUT_PLANES, H, W) float32, H and W multiples of 8 -> (N, CANDIDATES, H, W) float32 shares,
    which add up to 1. dtypes: what its weights may be.

    >>> Chooser()(torch.zeros(1, INPUT_PLANES, 16, 24)).sum(1).mean().item()
    1.0
    """

    stride = 8
    dtypes = ("float32", "bfloat16")

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = CHANNELS
        self.enter = nn.Conv2d((INPUT_PLANES + 3 * CANDIDATES) * 4, fine, 3, padding=1)
        self.fine = Block(fine)
        self.to_middle = nn.Conv2d(fine, middle, 3, stride=2, padding=1)
        self.middle = Block(middle)
        self.to_coarse = nn.Conv2d(middle, coarse, 3, stride=2, padding=1)
        self.coarse = nn.Sequential(Block(coarse), Block(coarse))
        self.from_coarse = nn.Conv2d(coarse, middle, 1)
        self.middle_again = Block(middle)
        self.from_middle = nn.Conv2d(middle, fine, 1)
        self.fine_again = Block(fine)
        self.head = nn.Conv2d(fine, CANDIDATES * 4, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # Conv2d is built with its bias

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        pictures, known = x[:, : 3 * CANDIDATES], x[:, 3 * CANDIDATES :]
        marked, inverted, imagined, filled = pictures.chunk(CANDIDATES, dim=1)
        differences = [inverted - marked, imagined - marked, filled - marked, inverted - filled]
        parts = [pictures - 0.5, *(DIFFERENCE_GAIN * difference for difference in differences), known]
        together = torch.cat([part.to(self.head.weight.dtype) for part in parts], dim=1)
        fine = self.fine(F.relu(self.enter(F.pixel_unshuffle(together, 2)), inplace=True))
        middle = self.middle(F.relu(self.to_middle(fine), inplace=True))
        coarse = self.coarse(F.relu(self.to_coarse(middle), inplace=True))
        middle = self.middle_again(middle + enlarge(self.from_coarse(coarse)))
        fine = self.fine_again(fine + enlarge(self.from_middle(middle)))
        logits = F.pixel_shuffle(self.head(fine), 2).float()
        return (MOST_LOGIT * torch.tanh(logits / MOST_LOGIT)).softmax(dim=1)
