"""Training the finder: from an ImageNet encoder, or on from weights that exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cleanplate.marks.assets import Assets
from cleanplate.models.nets.finder import Finder
from cleanplate.models.weights import load_networks
from cleanplate.train.examples import (
    Example,
    Examples,
    ExampleSource,
    make_finder_examples,
    make_small_examples,
)
from cleanplate.train.loop import TrainingOptions, train
from cleanplate.train.losses import finder_loss
from cleanplate.train.parameters import group_parameters
from cleanplate.train.pretrained import load_pretrained_encoder
from cleanplate.train.validation import make_finder_validation

#: The encoder knows photographs already; it learns at this share of the decoder's rate.
ENCODER_RATE = 0.3
#: Of a trained finder so many of the encoder's first stages are kept, on a CPU: see `group_parameters`.
KEPT_STAGES = 1
#: Many photographs of a folder may be clean, and the scene's own lettering is what is most like a mark.
CLEAN_SHARE = 0.3
SCENE_TEXT_SHARE = 0.25
#: Parts of the photographs with plain shapes in their scene, and of the pictures that are small and whole,
#: under one logo of any size, as the papers' are. None where it adapts to one mark, which may be plain.
SCENE_SHAPE_SHARE, SMALL_SHARE = 0.15, 0.2
VALIDATION_PHOTOS = 48


def train_finder(
    source: ExampleSource,
    validation: tuple[tuple[Path, ...], Assets],
    options: TrainingOptions,
    report: Callable[[dict[str, Any]], None],
    init: str | None = None,
) -> Path:
    """Train a finder; returns the path of its best weights.

    validation: photographs and assets that training does not see. init: `embedded` or a checkpoint to start
    from; None: ImageNet weights for the encoder (extra `train`).
    """
    network = Finder()
    source = replace(
        source,
        clean_share=CLEAN_SHARE,
        scene_text_share=SCENE_TEXT_SHARE,
        scene_shape_share=SCENE_SHAPE_SHARE if source.assets.mark is None else 0.0,
    )
    if init is not None:
        network.load_state_dict(load_networks(init).finder.state_dict())
    else:
        load_pretrained_encoder(network.encoder)
    keep = KEPT_STAGES if init is not None and options.device == "cpu" else 0
    groups = group_parameters(network, ENCODER_RATE, keep_stages=keep)

    def examples(seed: int) -> Examples:
        return Examples(source, make_examples, seed)

    validate = make_finder_validation(*validation, options.validation_count or VALIDATION_PHOTOS)
    return train("finder", network, groups, examples, finder_loss, validate, options, report)


def make_examples(source: ExampleSource, rng: np.random.Generator) -> list[Example]:
    """Crops of a marked photograph, or two small pictures (`train/examples`)."""
    if source.assets.mark is None and rng.random() < SMALL_SHARE:
        return make_small_examples(source, rng) + make_small_examples(source, rng)
    return make_finder_examples(source, rng)
