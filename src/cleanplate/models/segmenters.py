"""Loading finders that were trained with `segmentation_models_pytorch`, told by their tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from cleanplate.errors import ModelError
from cleanplate.models.inpainters import looks_like_path, read_tensors, tell_kind
from cleanplate.models.nets.segmenter import Segmenter
from cleanplate.models.spec import FileKind
from cleanplate.models.store import compute_checksums

#: The longer edge at which such networks look at photographs. Source: the original plan's training size.
WORKING_SIZE_PX = 512
_STEM = "encoder.conv1.weight"
_COUNTER = "num_batches_tracked"
WANTED = "a Unet or UnetPlusPlus of segmentation_models_pytorch over a ResNet, with one class"


def is_segmenter(model: str) -> bool:
    """Whether `--model` names a checkpoint of another program: by its suffix, which ours never has."""
    return looks_like_path(model) and Path(model).suffix.lower() not in {".safetensors", ".onnx"}


def load_segmenter(path: Path, device: torch.device) -> tuple[Segmenter, str]:
    """(the finder, its fingerprint) from a bare state dict or a dict with `model_state_dict`.

    Raises ModelError saying what does not fit.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such checkpoint; check --model")
    kind = tell_kind(path)
    if kind is FileKind.TORCHSCRIPT:
        raise ModelError(f"{path}: TorchScript, which is a program; wanted: the state dict of {WANTED}")
    tensors = _strip(read_tensors(path, kind))
    network = make_segmenter(tensors, str(path))
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no such stub
    network.eval().requires_grad_(False)
    return network, compute_checksums(path).sha256[:16]


def make_segmenter(tensors: Mapping[str, Tensor], origin: str) -> Segmenter:
    """A network of the architecture that the tensors' names and shapes tell, with them in it."""
    if _STEM not in tensors or "segmentation_head.0.weight" not in tensors:
        first = ", ".join(sorted(tensors)[:3])
        raise ModelError(f"{origin}: its tensors ({first}, ...) are not those of {WANTED}")
    head = tensors["segmentation_head.0.weight"]
    if head.shape[0] != 1:
        raise ModelError(f"{origin}: it tells {head.shape[0]} classes apart; wanted: one, marked or not")
    if tuple(tensors[_STEM].shape) != (64, 3, 7, 7):
        shape = tuple(tensors[_STEM].shape)
        raise ModelError(f"{origin}: its encoder begins with {shape}, a ResNet's with (64, 3, 7, 7)")
    plus_plus = "decoder.blocks.x_0_0.conv1.0.weight" in tensors
    last = "x_0_{}" if plus_plus else "{}"
    widths: list[int] = []
    while (name := f"decoder.blocks.{last.format(len(widths))}.conv2.0.weight") in tensors:
        widths.append(int(tensors[name].shape[0]))
    blocks = [_count(tensors, rf"encoder\.layer{number}\.(\d+)\.conv1\.weight") for number in range(1, 5)]
    if len(widths) != 5 or 0 in blocks:
        raise ModelError(
            f"{origin}: {len(widths)} decoder levels over ResNet layers of {blocks} blocks; wanted: "
            f"{WANTED}, with five levels"
        )
    bottleneck = "encoder.layer1.0.conv3.weight" in tensors
    network = Segmenter(blocks, bottleneck=bottleneck, plus_plus=plus_plus, widths=widths)
    wanted = network.state_dict()
    own = {name: tensors[name] for name in wanted if name in tensors}
    own |= {name: value for name, value in wanted.items() if name.endswith(_COUNTER) and name not in own}
    wrong = sorted(n for n in wanted if n not in own or own[n].shape != wanted[n].shape)
    spare = sorted(set(tensors) - set(wanted))
    if wrong or spare:
        name = "UnetPlusPlus" if plus_plus else "Unet"
        raise ModelError(
            f"{origin}: looks like {name} over a ResNet of {blocks} blocks, but {len(wrong)} tensors are "
            f"missing or of another shape and {len(spare)} have no place, first {(wrong + spare)[0]}; "
            f"wanted: {WANTED}"
        )
    network.load_state_dict(own)
    return network


def _strip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put before every name (`module.`, `model.`)."""
    first = next((name for name in tensors if name.endswith(_STEM)), _STEM)
    prefix = first.removesuffix(_STEM)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return len({found[1] for name in tensors if (found := re.fullmatch(pattern, name))})
