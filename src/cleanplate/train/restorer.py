"""Training the restorer: from scratch, or on from weights that exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from cleanplate.marks.assets import Assets
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import load_networks
from cleanplate.train.examples import Examples, ExampleSource, make_restorer_examples
from cleanplate.train.loop import TrainingOptions, train
from cleanplate.train.losses import restorer_loss
from cleanplate.train.validation import make_restorer_validation

VALIDATION_CROPS = 96
#: The restorer is only ever asked about crops round something found.
CLEAN_SHARE = 0.08


def train_restorer(
    source: ExampleSource,
    validation: tuple[tuple[Path, ...], Assets],
    options: TrainingOptions,
    report: Callable[[dict[str, Any]], None],
    init: str | None = None,
) -> Path:
    """Train a restorer; returns the path of its weights. Arguments: see `train_finder`."""
    network = Restorer()
    source = replace(source, clean_share=CLEAN_SHARE)
    if init is not None:
        network.load_state_dict(load_networks(init).restorer.state_dict())
    groups: list[dict[str, Any]] = [{"params": list(network.parameters())}]

    def examples(seed: int) -> Examples:
        return Examples(source, make_restorer_examples, seed)

    validate: Callable[[nn.Module], dict[str, float]] = make_restorer_validation(
        *validation, VALIDATION_CROPS
    )
    return train("restorer", network, groups, examples, restorer_loss, validate, options, report)
