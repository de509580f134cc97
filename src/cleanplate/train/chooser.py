"""Training the chooser: the finder and the restorer say what they say, and it learns what to make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cleanplate.device.precision import choose_dtype
from cleanplate.marks.assets import Assets
from cleanplate.models.nets.chooser import INPUT_PLANES, Chooser
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import load_networks
from cleanplate.remove.base import Crop
from cleanplate.remove.candidates import Candidates, find_candidates
from cleanplate.settings import EMBEDDED_MODEL
from cleanplate.structures import Box
from cleanplate.train.coding import unpack_coding
from cleanplate.train.examples import Example, Examples, ExampleSource, make_chooser_examples
from cleanplate.train.found import ask_finder
from cleanplate.train.loop import TrainingOptions, train
from cleanplate.train.losses import chooser_loss
from cleanplate.train.predicted import predict_crops
from cleanplate.train.validation import make_chooser_validation

VALIDATION_CROPS = 96
#: Crops without a mark: what the finder takes for one there is to be left alone.
CLEAN_SHARE = 0.12
#: What of the finder's answer counts as found: less than in a run, so that doubtful marks are among them.
FOUND = 0.3


def train_chooser(
    source: ExampleSource,
    validation: tuple[tuple[Path, ...], Assets],
    options: TrainingOptions,
    report: Callable[[dict[str, Any]], None],
    init: str | None = None,
) -> Path:
    """Train a chooser; returns the path of its best weights. Arguments: see `train_finder`.

    init: `embedded` or a checkpoint: its chooser is gone on from, and its finder and restorer say what the
    chooser learns from; None: the embedded ones do, and it begins from nothing.
    """
    networks = load_networks(init or EMBEDDED_MODEL)
    chooser = Chooser()
    if init is not None:
        chooser.load_state_dict(networks.chooser.state_dict())
    device = torch.device(options.device)
    for network in (networks.finder, networks.restorer):
        network.to(device=device, dtype=choose_dtype(device, network.dtypes))
    source = replace(source, clean_share=CLEAN_SHARE)

    def examples(seed: int) -> Examples:
        return Examples(source, make_chooser_examples, seed)

    def prepare(batch: Example) -> Example:
        image = ask_finder(networks.finder, batch["image"], batch["way"])
        apart = take_apart(networks.restorer, {**batch, "image": image})
        planes = [_lay_out(found, crop) for found, crop in zip(apart, image, strict=True)]
        return {"image": torch.stack(planes).to(device), "clean": batch["clean"]}

    validate = make_chooser_validation(
        *validation, options.validation_count or VALIDATION_CROPS, networks.restorer
    )
    groups: list[dict[str, Any]] = [{"params": list(chooser.parameters())}]
    return train("chooser", chooser, groups, examples, chooser_loss, validate, options, report, prepare)


def take_apart(restorer: Restorer, batch: Example) -> list[Candidates | None]:
    """What crops could become by what a restorer says.

    batch: `image` (N, 4, h, w), picture and finder's answer, and the rest of `make_chooser_examples`.
    """
    crops = []
    for number, planes in enumerate(batch["image"].cpu().permute(0, 2, 3, 1).numpy()):
        height, width = planes.shape[:2]
        probability = np.ascontiguousarray(planes[..., 3])
        steps, left, top = unpack_coding(batch, number)
        crop = Crop(
            rgb=np.ascontiguousarray(planes[..., :3]),
            probability=probability,
            mask=probability > FOUND,
            box=Box(left, top, left + width, top + height),
            quantisation=steps,
            enlarged=float(batch["enlarged"][number]),
        )
        crops.append(crop)
    said = predict_crops(restorer, crops)
    return [find_candidates(crop, prediction) for crop, prediction in zip(crops, said, strict=True)]


def _lay_out(found: Candidates | None, image: Tensor) -> Tensor:
    """(INPUT_PLANES, h, w); where nothing was found, nothing may be rewritten and nothing is learned."""
    if found is None:
        return torch.zeros(INPUT_PLANES, *image.shape[1:])
    planes = np.dstack(found.lay_out()).astype(np.float32).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(planes))
