"""What the networks are trained to get right. Every loss takes float32 and returns a scalar."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cleanplate.models.nets.chooser import CANDIDATES

#: A crop with fewer marked pixels shows no more than a mark's edge, and has no Dice of its own.
LEAST_MARKED_PX = 16
#: Of a crop without a mark the worst pixels count once more: a false mark is a few hundred pixels, which the
#: mean over all of them hides. How many, and how much.
WORST_PX = 128
WORST_WEIGHT = 0.15
#: A chooser's crop weighs by the logarithm of its squared error, so that one that can be nearly right counts
#: as much as one that cannot; errors under the floor (5 grey levels) are good enough. Crops of which fewer
#: pixels may be rewritten weigh as if so many were.
LOGARITHM_WEIGHT, ERROR_FLOOR, LEAST_REWRITTEN_PX = 0.25, 3e-4, 50.0


def dice_loss(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - Dice over the whole batch (a Dice per crop punishes clean crops without end and learns nothing)."""
    shared = (probability * target * weight).sum()
    total = ((probability + target) * weight).sum()
    return 1 - (2 * shared + 1) / (total + 1)


def dice_loss_by_crop(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The mean of 1 - Dice over the crops that hold a mark; 0 where none does.

    A stamp of a hundred pixels counts as much as a pattern over the whole crop. All (N, 1, H, W).
    """
    planes = (1, 2, 3)
    shared = (probability * target * weight).sum(planes)
    total = ((probability + target) * weight).sum(planes)
    marked = (target.sum(planes) >= LEAST_MARKED_PX).float()
    return ((1 - (2 * shared + 1) / (total + 1)) * marked).sum() / marked.sum().clamp(min=1)


def worst_of_clean(entropy: Tensor, target: Tensor) -> Tensor:
    """The mean over crops without a mark of their WORST_PX largest losses; 0 where every crop has one.

    entropy: (N, 1, H, W), the cross entropy of each pixel; target: the same shape.
    """
    clean = (target.sum((1, 2, 3)) == 0).float()
    largest = entropy.flatten(1).topk(min(WORST_PX, entropy[0].numel()), dim=1).values.mean(1)
    return (largest * clean).sum() / clean.sum().clamp(min=1)


def finder_loss(logits: Tensor, example: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Cross entropy plus Dice, over the batch and by crop, and what is worst on clean crops.

    logits (N, 1, H, W); example: see `make_finder_examples`.
    """
    target, weight = example["target"], example["weight"]
    probability = logits.sigmoid()
    by_pixel = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none")
    parts = {
        "entropy": by_pixel.mean(),
        "dice": dice_loss(probability, target, weight),
        "dice_by_crop": dice_loss_by_crop(probability, target, weight),
        "worst": worst_of_clean(by_pixel, target),
    }
    total = parts["entropy"] + 0.3 * parts["dice"] + 0.3 * parts["dice_by_crop"]
    return total + WORST_WEIGHT * parts["worst"], {name: part.item() for name, part in parts.items()}


def restorer_loss(planes: dict[str, Tensor], example: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """The exact matte first, then opacity, colour and the photograph behind, inside the mark.

    planes: the restorer's output; example: see `make_restorer_examples`.
    """
    matte, alpha = example["matte"], example["alpha"]
    marked = (alpha > 0.02).float()
    near = F.max_pool2d(marked, 7, stride=1, padding=3)
    pixels = marked.sum().clamp(min=1000.0)
    entropy = F.binary_cross_entropy_with_logits(planes["matte"], matte)
    shape = planes["matte"].sigmoid()
    edges = ((shape - matte).abs() * near).sum() / pixels
    dice = dice_loss(shape, matte, 1 + 0 * matte)
    opacity = ((planes["opacity"] - alpha).abs() * (near + 0.05)).sum() / pixels
    colour = ((planes["colour"] - example["colour"]).abs() * alpha).sum() / (3 * pixels)
    error = (planes["background"] - example["clean"]).abs()
    background = (error * (marked + 0.02)).sum() / (3 * pixels)
    parts = {
        "matte": entropy + 0.5 * edges + 0.3 * dice,
        "opacity": opacity,
        "colour": colour,
        "background": background,
    }
    total = parts["matte"] + parts["opacity"] + 0.5 * parts["colour"] + 2 * parts["background"]
    return total, {name: part.item() for name, part in parts.items()} | {"edges": edges.item()}


def chooser_loss(shares: Tensor, example: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """How far the mixture of the candidates is from the photograph, where it may be rewritten.

    shares: the chooser's output; example: `image`, what it saw (`models/nets/chooser`), and `clean`.
    """
    candidates = example["image"][:, : 3 * CANDIDATES].chunk(CANDIDATES, dim=1)
    mixed = sum(shares[:, k : k + 1] * picture for k, picture in enumerate(candidates))
    error = (mixed - example["clean"]) * (example["image"][:, -1:] > 0.5)
    values = 3 * (example["image"][:, -1:] > 0.5).sum((1, 2, 3)).clamp(min=LEAST_REWRITTEN_PX)
    absolute = (error.abs().sum((1, 2, 3)) / values).mean()
    logarithm = torch.log10((error**2).sum((1, 2, 3)) / values + ERROR_FLOOR).mean()
    return absolute + LOGARITHM_WEIGHT * logarithm, {
        "absolute": absolute.item(),
        "logarithm": logarithm.item(),
    }
