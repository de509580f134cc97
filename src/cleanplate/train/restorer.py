"""Training the restorer: from a finder, or on from weights that exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cleanplate.device.precision import choose_dtype
from cleanplate.marks.assets import Assets
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import load_into, load_networks, read_weights
from cleanplate.settings import EMBEDDED_MODEL
from cleanplate.train.examples import Example, Examples, ExampleSource, make_restorer_examples
from cleanplate.train.found import ask_finder
from cleanplate.train.loop import TrainingOptions, train
from cleanplate.train.losses import restorer_loss
from cleanplate.train.parameters import group_parameters
from cleanplate.train.pretrained import load_pretrained_encoder
from cleanplate.train.validation import make_restorer_validation

VALIDATION_CROPS = 96
#: The restorer is only ever asked about crops round something found.
CLEAN_SHARE = 0.08
#: The encoder has learned from the finder already; it goes on at this share of the decoder's rate.
ENCODER_RATE = 0.5


def train_restorer(
    source: ExampleSource,
    validation: tuple[tuple[Path, ...], Assets],
    options: TrainingOptions,
    report: Callable[[dict[str, Any]], None],
    init: str | None = None,
) -> Path:
    """Train a restorer; returns the path of its best weights. Arguments: see `train_finder`.

    init: `embedded`, a checkpoint with a restorer to go on from, or one with a finder alone to begin with;
    None: ImageNet weights for the encoder (extra `train`). The finder that comes with it, or else the
    embedded one, says where crops are marked.
    """
    network = make_restorer(init)
    finder = load_networks(init or EMBEDDED_MODEL).finder
    device = torch.device(options.device)
    finder.to(device=device, dtype=choose_dtype(device, finder.dtypes))
    source = replace(source, clean_share=CLEAN_SHARE)
    groups = group_parameters(network, ENCODER_RATE)

    def examples(seed: int) -> Examples:
        return Examples(source, make_restorer_examples, seed)

    def prepare(batch: Example) -> Example:
        return {**batch, "image": ask_finder(finder, batch["image"], batch["way"])}

    validate = make_restorer_validation(*validation, options.validation_count or VALIDATION_CROPS)
    return train(
        "restorer", network, groups, examples, restorer_loss, validate, options, report, prepare=prepare
    )


def make_restorer(init: str | None) -> Restorer:
    """The restorer that a run begins with; see `train_restorer`.

    Raises ModelError where `init` does not fit.
    """
    network = Restorer()
    if init is None:
        load_pretrained_encoder(network.encoder)
    elif init == EMBEDDED_MODEL:
        network.load_state_dict(load_networks().restorer.state_dict())
    else:
        tensors, _ = read_weights(Path(init))
        if any(name.startswith("restorer.") for name in tensors):
            load_into(network, "restorer", tensors, init)
        else:
            finder = Finder()
            load_into(finder, "finder", tensors, init)
            network.start_from(finder)
    return network
