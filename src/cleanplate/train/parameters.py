"""Which parameters of a network are trained, and how fast."""

from __future__ import annotations

from typing import Any

from torch import nn


def group_parameters(
    network: nn.Module, encoder_rate: float, *, keep_stages: int = 0
) -> list[dict[str, Any]]:
    """Groups for AdamW: the encoder at a share of the learning rate, everything else at the whole of it.

    network: has an `encoder`. encoder_rate: its share, in (0, 1]. keep_stages: so many of its first stages
    stay as they are, and what comes before them. They need no gradient at all then: a step of the finder is
    1.4 times as fast with three of six (docs/benchmarks.md).

    >>> from cleanplate.models.nets.finder import Finder
    >>> encoder, rest = group_parameters(Finder(), 0.3, keep_stages=1)
    >>> encoder["scale"], all(p.requires_grad for p in encoder["params"])
    (0.3, True)
    """
    encoder = network.get_submodule("encoder")
    if keep_stages:
        stages = encoder.get_submodule("stages")
        assert isinstance(stages, nn.ModuleList)
        for kept in (encoder.get_submodule("stem"), *stages[:keep_stages]):
            kept.requires_grad_(False)
    trained = [p for p in encoder.parameters() if p.requires_grad]
    rest = [p for name, p in network.named_parameters() if not name.startswith("encoder.")]
    return [{"params": trained, "scale": encoder_rate}, {"params": rest}]
