"""Batch norms made part of the convolutions before them: what a trained network needs no operation for."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

Convolution = nn.Conv2d | nn.ConvTranspose2d


def fold_norm(norm: nn.Module | None, into: Iterable[Convolution | None]) -> nn.Module:
    """Scale convolutions as a norm scales their sum, its shift in the first one's bias.

    norm: a batch norm in use of its statistics; anything else is left as it is. Returns what takes its place.
    The convolutions get new weights: the old ones may be a file's (`models/mapped`), or another module's.
    The result differs by float32's rounding.

    >>> layer, norm, x = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3).eval(), torch.rand(1, 2, 4, 4)
    >>> before = norm(layer(x))
    >>> bool(torch.allclose(fold_norm(norm, [layer])(layer(x)), before, atol=1e-6))
    True
    """
    if not isinstance(norm, nn.BatchNorm2d):
        return norm or nn.Identity()
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a norm without statistics cannot be folded: it depends on its batch")
    first, *others = [layer for layer in into if layer is not None]
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var.double() + norm.eps)
        scale = scale if norm.weight is None else scale * norm.weight.double()
        shift = -norm.running_mean.double() * scale
        shift = shift if norm.bias is None else shift + norm.bias.double()
        for layer in (first, *others):
            outputs = (1, -1, 1, 1) if isinstance(layer, nn.ConvTranspose2d) else (-1, 1, 1, 1)
            weight = layer.weight * scale.to(layer.weight.dtype).view(outputs)
            layer.weight = nn.Parameter(weight, layer.weight.requires_grad)
            bias = torch.zeros_like(scale) if layer.bias is None else layer.bias.double() * scale
            if layer is first:
                bias += shift
            if layer is first or layer.bias is not None:
                layer.bias = nn.Parameter(bias.to(layer.weight.dtype), layer.weight.requires_grad)
    return nn.Identity()
