"""Loading inpainting networks from files of whatever kind."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cleanplate.device.torchscript import call_plainly
from cleanplate.errors import ModelError
from cleanplate.models.archive import map_tensors
from cleanplate.models.filler import Inpainter, Metered
from cleanplate.models.mapped import lend_blocks
from cleanplate.models.nets.lama import Lama
from cleanplate.models.nets.lending import Lend
from cleanplate.models.nets.pieces import HOST_PIECE_PIXELS
from cleanplate.models.spec import SPECS, FileKind, ModelFile
from cleanplate.models.store import ModelStore, compute_checksums

#: A tensor that every LaMa has; what stands before it is the file's own prefix.
_LAMA_FIRST = "model.1.ffc.convl2l.weight"
_COUNTER = ".num_batches_tracked"


def load_inpainter(what: str, store: ModelStore, device: torch.device, *, trust: bool = False) -> Inpainter:
    """The network that a model's name or a file's path stands for.

    TorchScript is a program: it is loaded only with a checksum of the catalogue, or with `trust`. Of its
    tensors alone our own LaMa is made where they are one, which the memory guard can predict and which
    compiles nothing.

    Raises ModelError naming the file: missing, damaged, not trusted, of another kind; UsageError for a name
    that nobody knows; MissingExtraError where a package must be installed.
    """
    path = Path(what)
    known: ModelFile | None = None
    if not looks_like_path(what):
        known = store.catalog.get(what)
        path = store.require(known)
    elif not path.is_file():
        raise ModelError(f"{path}: there is no such file of weights; check --inpaint")
    kind = tell_kind(path)
    sums = compute_checksums(path)
    known = store.catalog.find(sha256=sums.sha256, md5=sums.md5)
    fingerprint = sums.sha256[:16]
    if kind is FileKind.ONNX:
        from cleanplate.models.onnx import load_onnx

        return load_onnx(path, fingerprint, device)
    if kind is FileKind.TORCHSCRIPT and known is None and not trust:
        raise ModelError(
            f"{path}: TorchScript is a program, and the catalogue does not know this one (SHA-256 "
            f"{sums.sha256}); add --trust if you know where it comes from"
        )
    if device.type == "cpu":
        lama = _map_lama(path, kind, fingerprint)
        if lama is not None:
            return lama
    if kind is FileKind.TORCHSCRIPT:
        return _from_script(_load_script(path), path, fingerprint, device)
    return _from_tensors(read_tensors(path, kind), path, fingerprint, device)


def looks_like_path(what: str) -> bool:
    """Whether `--inpaint` names a file rather than a model.

    >>> looks_like_path("lama"), looks_like_path("models/my.safetensors")
    (False, True)
    """
    return Path(what).suffix.lower() in {".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".jit"}


def tell_kind(path: Path) -> FileKind:
    """What kind of weights a file holds, by its content where names do not say."""
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return FileKind.SAFETENSORS
    if suffix == ".onnx":
        return FileKind.ONNX
    try:
        with zipfile.ZipFile(path) as archive:
            is_program = any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        is_program = False
    return FileKind.TORCHSCRIPT if is_program else FileKind.STATE_DICT


def read_tensors(path: Path, kind: FileKind) -> dict[str, Tensor]:
    """The tensors of a file by name; a pickle is read under `weights_only`, and of nested dicts the weights.

    Raises ModelError where it is damaged, or holds more than tensors.
    """
    try:
        if kind is FileKind.SAFETENSORS:
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, EOFError) as exc:
        raise ModelError(f"{path}: the weights cannot be read ({exc}); download the file again") from exc
    except Exception as exc:  # a pickle can make the reader raise anything; under weights_only nothing runs
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise ModelError(
            f"{path}: it is damaged, or holds more than tensors and plain values, which is not loaded "
            f"({reason}); "
            "save its state dict alone, best as .safetensors"
        ) from exc
    for key in ("state_dict", "model_state_dict", "gen_state_dict", "params_ema", "params"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise ModelError(f"{path}: it holds no state dict but a {type(content).__name__}; save a state dict")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path}: it holds no tensors; give a file of weights")
    return tensors


def make_lama(tensors: Mapping[str, Tensor], origin: str) -> Lama | None:
    """A LaMa of these tensors, which it takes over without a copy; None where they are none.

    Raises ModelError where they begin like one and do not fit.
    """
    first = next((name for name in tensors if name == _LAMA_FIRST or name.endswith("." + _LAMA_FIRST)), None)
    if first is None:
        return None
    prefix = first.removesuffix(_LAMA_FIRST)
    own = {
        "generator." + name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix + "model.")
    }
    width = int(own["generator." + _LAMA_FIRST].shape[0])
    blocks = len({found[1] for name in own if (found := re.match(r"generator\.model\.(\d+)\.conv1\.", name))})
    with torch.device("meta"):
        network = Lama(width=width, blocks=blocks)
    wanted = network.state_dict()
    own |= {name: torch.tensor(0) for name in wanted if name.endswith(_COUNTER) and name not in own}
    wrong = sorted(n for n in wanted if n not in own or own[n].shape != wanted[n].shape)
    if wrong:
        raise ModelError(
            f"{origin}: looks like LaMa of width {width} with {blocks} blocks, but {len(wrong)} tensors are "
            f"missing or of another shape, first {wrong[0]}; download the file again"
        )
    network.load_state_dict(
        {n: own[n].detach() if n.endswith(_COUNTER) else own[n].detach().float() for n in wanted}, assign=True
    )
    return network


def _from_tensors(
    tensors: Mapping[str, Tensor], path: Path, fingerprint: str, device: torch.device
) -> Inpainter:
    lama = make_lama(tensors, str(path))
    if lama is not None:
        return _use_lama(lama, fingerprint, device)
    from cleanplate.models.spandrels import load_with_spandrel

    return load_with_spandrel(tensors, path, fingerprint, device)


def _map_lama(path: Path, kind: FileKind, fingerprint: str) -> Inpainter | None:
    """A LaMa that leaves its weights in the file; None where it has none, or they cannot stay there."""
    mapped = map_tensors(path, kind)
    lama = None if mapped is None else make_lama(mapped[0], str(path))
    if mapped is None or lama is None:
        return None
    file = mapped[1]
    inpainter = _use_lama(lama, fingerprint, torch.device("cpu"), lend_blocks(lama, file))
    file.let_go()
    return inpainter


def _use_lama(lama: Lama, fingerprint: str, device: torch.device, lend: Lend | None = None) -> Inpainter:
    lama.to(device).eval().requires_grad_(False).fold_norms(lend)
    lama.generator.piece_pixels = HOST_PIECE_PIXELS if device.type == "cpu" else None
    return Inpainter(replace(SPECS["lama"], bytes_per_pixel=None), fingerprint, lama, lama)


def _load_script(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # torch calls TorchScript deprecated; the published files are of no other kind
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]  # torch leaves it untyped
    except (RuntimeError, ValueError, OSError) as exc:
        reason = str(exc).strip().splitlines()[0]
        raise ModelError(
            f"{path}: the TorchScript file cannot be read ({reason}); download it again"
        ) from exc


def _from_script(script: Any, path: Path, fingerprint: str, device: torch.device) -> Inpainter:
    lama = make_lama(script.state_dict(), str(path))
    if lama is not None:
        return _use_lama(lama, fingerprint, device)
    inputs = len(script.forward.schema.arguments) - 1
    script = call_plainly(script.to(device).eval())
    if inputs == 2:  # a picture and a mask, as LaMa is traced
        spec = SPECS["lama"]
        run: Callable[[Tensor], Tensor] = lambda batch: script(batch[:, :3], batch[:, 3:])  # noqa: E731
    elif inputs == 1:  # one tensor of both, as MI-GAN is traced
        spec = SPECS["migan"]
        run = lambda batch: _run_migan(script, batch)  # noqa: E731
    else:
        raise ModelError(f"{path}: the TorchScript takes {inputs} inputs; wanted: a picture and a mask")
    assert spec.bytes_per_pixel is not None  # measured for all that run as TorchScript
    return Inpainter(spec, fingerprint, Metered(spec.bytes_per_pixel), run)


def _run_migan(network: Callable[..., Any], batch: Tensor) -> Tensor:
    """MI-GAN's own ranges: half minus the mask, then the picture in [-1, 1] without the hole."""
    picture, mask = 2 * batch[:, :3] - 1, batch[:, 3:]
    filled: Tensor = network(torch.cat([0.5 - mask, picture * (1 - mask)], dim=1))
    return 0.5 * filled + 0.5
