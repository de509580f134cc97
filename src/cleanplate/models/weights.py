"""Networks' weights as files: one safetensors file with the tensors of one or more networks, half precision.

Names begin with the network's (`finder.encoder.stem.weight`), so that a checkpoint may hold any of them;
what it lacks comes from the embedded file. Pickles are never read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from cleanplate.device.precision import choose_dtype
from cleanplate.errors import ModelError
from cleanplate.models.nets.chooser import Chooser
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer
from cleanplate.settings import EMBEDDED_MODEL

EMBEDDED_FILE = "embedded.safetensors"
#: What tensors' names begin with.
NAMES = frozenset({"finder", "restorer", "chooser"})


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks, in evaluation mode on their device, and what identifies their weights."""

    finder: Finder
    restorer: Restorer
    chooser: Chooser
    fingerprint: str


def load_networks(
    model: str = EMBEDDED_MODEL, device: torch.device | str = "cpu", *, quickest: bool = False
) -> Networks:
    """The networks, from the package or from a checkpoint made by `cleanplate train`.

    model: `embedded`, or the path of a .safetensors file; a network it lacks is the embedded one. quickest:
    in the format that the device is quickest in, to run them; else in float32, to train and to write them.
    Raises ModelError naming the file where it is missing, damaged or made for other networks.
    """
    tensors, fingerprint = _read_embedded()
    if model != EMBEDDED_MODEL:
        given, given_fingerprint = read_weights(Path(model))
        replaced = {name.split(".", 1)[0] for name in given}
        tensors = {n: t for n, t in tensors.items() if n.split(".", 1)[0] not in replaced} | given
        fingerprint = given_fingerprint if replaced == NAMES else f"{given_fingerprint}+{fingerprint}"
    finder, restorer, chooser = Finder(), Restorer(), Chooser()
    for name, network in (("finder", finder), ("restorer", restorer), ("chooser", chooser)):
        load_into(network, name, tensors, model)
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
        if quickest:
            network.to(choose_dtype(torch.device(device), network.dtypes))
        network.eval().requires_grad_(False)
    return Networks(finder, restorer, chooser, fingerprint)


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """(tensors by name as float32, fingerprint) of a weights file.

    Raises ModelError where the file is missing, is not safetensors, or holds none of the networks.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except FileNotFoundError as exc:
        raise ModelError(
            f"{path}: there is no such model; give a checkpoint made by `cleanplate train`, or 'embedded'"
        ) from exc
    except (SafetensorError, OSError) as exc:
        raise ModelError(
            f"{path}: not a readable .safetensors file ({exc}); give a checkpoint made by `cleanplate train`"
        ) from exc
    if not stored or {name.split(".", 1)[0] for name in stored} - NAMES:
        raise ModelError(
            f"{path}: holds other networks than cleanplate's; give a checkpoint made by `cleanplate train`"
        )
    return {name: tensor.float() for name, tensor in stored.items()}, _fingerprint(stored)


def load_into(network: nn.Module, name: str, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Load the tensors whose names begin with `name` into a network; every one must fit.

    Raises ModelError saying which tensors are missing or of another shape.
    """
    own = {n.split(".", 1)[1]: t for n, t in tensors.items() if n.split(".", 1)[0] == name}
    wanted = network.state_dict()
    wrong = sorted(n for n in wanted if n not in own or own[n].shape != wanted[n].shape) + sorted(
        set(own) - set(wanted)
    )
    if wrong:
        raise ModelError(
            f"{origin}: does not fit this version's {name} ({len(wrong)} tensors differ, first {wrong[0]}); "
            f"train it again, or use the version of cleanplate that made it"
        )
    network.load_state_dict(own)


def write_weights(path: Path, networks: Mapping[str, nn.Module], metadata: Mapping[str, str]) -> None:
    """Write networks as float16 safetensors. networks: name, of NAMES -> module."""
    tensors = {
        f"{name}.{key}": tensor.detach().to("cpu", torch.float16).contiguous()
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    temporary = path.with_name(path.name + ".tmp")
    save_file(tensors, temporary, metadata={str(k): str(v) for k, v in metadata.items()})
    temporary.replace(path)


def _fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """A checksum of names, shapes and values; of the file's bytes it would change with every writing, since
    safetensors stores its metadata in no fixed order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _read_embedded() -> tuple[dict[str, Tensor], str]:
    with as_file(files("cleanplate.models") / EMBEDDED_FILE) as path:
        return read_weights(path)
