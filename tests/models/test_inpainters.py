"""Inpainting networks from files: every kind that is published, on files of the same structure."""

from __future__ import annotations

import hashlib
import pickle
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cleanplate.errors import MissingExtraError, ModelError, UsageError
from cleanplate.models.filler import Inpainter, Metered
from cleanplate.models.inpainters import load_inpainter, looks_like_path, make_lama, read_tensors, tell_kind
from cleanplate.models.memory import PeakPredictor
from cleanplate.models.nets.lama import Lama
from cleanplate.models.registry import Registry
from cleanplate.models.spec import SPECS, FileKind, ModelFile
from cleanplate.models.store import ModelStore
from tests.models.weightsfiles import (
    NoInput,
    OneInput,
    TwoInputs,
    Wrapped,
    small_lama,
    write_script,
    write_tensors,
)

CPU = torch.device("cpu")


def store(folder: Path, *models: ModelFile) -> ModelStore:
    return ModelStore(Registry(models), (folder,))


def load(path: Path, *, trust: bool = True) -> Inpainter:
    return load_inpainter(str(path), store(path.parent), CPU, trust=trust)


def fill(inpainter: Inpainter, edge: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """(what came out, the batch): two pictures with a hole."""
    torch.manual_seed(1)
    batch = torch.rand(2, 4, edge, edge)
    batch[:, 3] = 0
    batch[:, 3, 8:16, 8:20] = 1
    with torch.no_grad():
        return inpainter.run(batch), batch


def expected(lama: Lama) -> torch.Tensor:
    return fill(Inpainter(SPECS["lama"], "", lama, lama))[0]


def test_torchscript_of_lama_becomes_our_own_network(tmp_path: Path) -> None:
    lama = small_lama()
    inpainter = load(write_script(tmp_path / "big-lama.pt", Wrapped(lama)))
    assert isinstance(inpainter.network, Lama)
    assert torch.allclose(fill(inpainter)[0], expected(lama), atol=1e-6)
    assert PeakPredictor().predict(inpainter.network, (2, 4, 64, 64)) is not None
    assert inpainter.fingerprint == hashlib.sha256((tmp_path / "big-lama.pt").read_bytes()).hexdigest()[:16]


@pytest.mark.parametrize("prefix", ["generator.", "model.generator.", "", "model."])
def test_tensors_of_lama_are_told_whatever_stands_before_their_names(tmp_path: Path, prefix: str) -> None:
    lama = small_lama()
    tensors = {prefix + name.removeprefix("generator."): t for name, t in lama.state_dict().items()}
    inpainter = load(write_tensors(tmp_path / "l.safetensors", tensors))
    assert torch.allclose(fill(inpainter)[0], expected(lama), atol=1e-6)


@pytest.mark.parametrize("key", [None, "state_dict", "gen_state_dict", "model_state_dict"])
def test_pickles_of_tensors_are_read(tmp_path: Path, key: str | None) -> None:
    lama = small_lama()
    state = lama.state_dict()
    extra = {"discriminator.weight": torch.zeros(3)}
    content = {**state, **extra} if key is None else {key: {**state, **extra}, "epoch": 3}
    torch.save(content, tmp_path / "l.ckpt")
    assert torch.allclose(fill(load(tmp_path / "l.ckpt"))[0], expected(lama), atol=1e-6)


def test_half_precision_and_missing_counters_are_no_hindrance(tmp_path: Path) -> None:
    lama = small_lama()
    tensors = {name: tensor.half() for name, tensor in lama.state_dict().items() if "num_batches" not in name}
    network = load(write_tensors(tmp_path / "l.safetensors", tensors)).network
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert torch.allclose(expected(network), expected(lama), atol=0.02)


def test_a_lama_with_a_tensor_missing_or_wrong_is_refused_by_name(tmp_path: Path) -> None:
    tensors = dict(small_lama().state_dict())
    del tensors["generator.model.18.weight"]
    with pytest.raises(
        ModelError, match=r"l\.safetensors: looks like LaMa of width 4 with 2 blocks.*model\.18\.weight"
    ):
        load(write_tensors(tmp_path / "l.safetensors", tensors))
    assert make_lama({"a.weight": torch.zeros(1)}, "x") is None


def test_torchscript_wants_trust_or_a_known_checksum(tmp_path: Path) -> None:
    path = write_script(tmp_path / "mine.pt", TwoInputs())
    with pytest.raises(ModelError, match=r"mine\.pt: TorchScript is a program.*--trust"):
        load(path, trust=False)
    known = ModelFile(
        name="mine",
        file="mine.pt",
        architecture="lama",
        kind=FileKind.TORCHSCRIPT,
        licence="MIT",
        purpose="tests",
        urls=(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    for what in ("mine", str(path)):
        inpainter = load_inpainter(what, store(tmp_path, known), CPU)
        filled, batch = fill(inpainter)
        assert torch.allclose(filled[:, :, 8:16, 8:20], torch.tensor(0.5))
        assert torch.equal(filled[:, :, :8], batch[:, :3, :8])
    assert isinstance(inpainter.network, Metered)
    assert (
        PeakPredictor().predict(inpainter.network, (1, 4, 10, 10)) == 100 * inpainter.network.bytes_per_pixel
    )


def test_torchscript_of_one_input_is_run_as_migan(tmp_path: Path) -> None:
    inpainter = load(write_script(tmp_path / "migan_traced.pt", OneInput()))
    assert inpainter.spec.fixed_px == 512
    filled, batch = fill(inpainter)
    hole = batch[:, 3:].bool().expand(-1, 3, -1, -1)
    assert torch.allclose(filled[hole], torch.tensor(1.0))  # 0 in [-1, 1] is grey; the hole adds 1
    assert torch.allclose(filled[~hole], batch[:, :3][~hole], atol=1e-6)


def test_torchscript_of_no_use_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="takes 0 inputs"):
        load(write_script(tmp_path / "none.pt", NoInput()))
    whole = write_script(tmp_path / "cut.pt", TwoInputs()).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"cut\.pt: it is damaged"):
        load(tmp_path / "cut.pt")
    with pytest.raises(ModelError, match="no such file of weights"):
        load(tmp_path / "missing.pt")


def test_a_damaged_torchscript_says_so(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "odd.pt", "w") as archive:
        archive.writestr("odd/constants.pkl", b"no pickle")
    with pytest.raises(ModelError, match=r"odd\.pt: the TorchScript file cannot be read"):
        load(tmp_path / "odd.pt")


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("a pickle ran",))


def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"w": Bomb()}))
    with pytest.raises(ModelError, match=r"bomb\.pth: it is damaged, or holds more than tensors"):
        load(tmp_path / "bomb.pth")
    torch.save({"w": Bomb()}, tmp_path / "bomb2.pth")
    with pytest.raises(ModelError, match="holds more than tensors"):
        load(tmp_path / "bomb2.pth")
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "cause"), [([1, 2], "no state dict but a list"), ({"a": 1}, "no tensors")]
)
def test_a_file_without_tensors_is_refused(tmp_path: Path, content: object, cause: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ModelError, match=cause):
        load(tmp_path / "x.pth")


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"x\.safetensors: the weights cannot be read"):
        read_tensors(tmp_path / "x.safetensors", tell_kind(tmp_path / "x.safetensors"))


def test_a_name_that_is_not_at_hand_says_how_to_get_it(tmp_path: Path) -> None:
    from cleanplate.models.catalog import CATALOG

    with pytest.raises(ModelError, match="models fetch lama"):
        load_inpainter("lama", ModelStore(CATALOG, (tmp_path,)), CPU)
    with pytest.raises(UsageError, match="catalogue"):
        load_inpainter("nosuch", ModelStore(CATALOG, (tmp_path,)), CPU)
    assert looks_like_path("a.onnx")
    assert not looks_like_path("mat")


def test_without_spandrel_other_tensors_name_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(MissingExtraError, match=r"cleanplate\[spandrel\]"):
        load(write_tensors(tmp_path / "mat.safetensors", {"a": torch.zeros(1)}))


def stand_in_spandrel(descriptor: object) -> types.ModuleType:
    module = types.ModuleType("spandrel")

    class Loader:
        def __init__(self, device: str) -> None:
            assert device == "cpu"

        def load_from_state_dict(self, tensors: dict[str, torch.Tensor]) -> object:
            if "unknown" in tensors:
                raise module.UnsupportedModelError("no such architecture")  # type: ignore[attr-defined]
            return descriptor

    class UnsupportedModelError(Exception):
        pass

    module.ModelLoader = Loader  # type: ignore[attr-defined]
    module.UnsupportedModelError = UnsupportedModelError  # type: ignore[attr-defined]
    module.MaskedImageModelDescriptor = Descriptor  # type: ignore[attr-defined]
    return module


class Descriptor:
    """As spandrel's: one picture at a time, sizes as requirements."""

    def __init__(self, multiple_of: int = 512) -> None:
        self.size_requirements = types.SimpleNamespace(minimum=multiple_of, multiple_of=multiple_of)
        self.architecture = types.SimpleNamespace(name="MAT")
        self.network = nn.Identity()

    def to(self, device: torch.device) -> Descriptor:
        assert device == CPU
        return self

    def eval(self) -> Descriptor:
        return self

    def __call__(self, picture: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        assert picture.shape[0] == mask.shape[0] == 1
        return picture * (1 - mask) + mask


@pytest.mark.parametrize(("multiple", "fixed"), [(512, 512), (8, None)])
def test_spandrel_s_networks_are_run_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, multiple: int, fixed: int | None
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", stand_in_spandrel(Descriptor(multiple)))
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    inpainter = load(write_tensors(tmp_path / "mat.safetensors", {"a": torch.zeros(1)}))
    assert (inpainter.spec.fixed_px, inpainter.spec.batches) == (fixed, False)
    filled, batch = fill(inpainter)
    assert torch.allclose(filled[batch[:, 3:].bool().expand(-1, 3, -1, -1)], torch.tensor(1.0))
    with pytest.raises(ModelError, match="neither LaMa nor a network that spandrel knows"):
        load(write_tensors(tmp_path / "u.safetensors", {"unknown": torch.zeros(1)}))


def test_a_network_that_fills_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = types.SimpleNamespace(architecture=types.SimpleNamespace(name="ESRGAN"))
    monkeypatch.setitem(sys.modules, "spandrel", stand_in_spandrel(other))
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    with pytest.raises(ModelError, match="ESRGAN fills no holes"):
        load(write_tensors(tmp_path / "e.safetensors", {"a": torch.zeros(1)}))


@dataclass
class Port:
    name: str
    shape: list[Any]
    type: str = "tensor(float)"


def stand_in_onnxruntime(inputs: list[Port], *, scale: float = 1.0) -> types.ModuleType:
    module = types.ModuleType("onnxruntime")

    class Session:
        def __init__(self, path: str, options: object, providers: list[str]) -> None:  # noqa: ARG002  # its own
            assert providers == ["CPUExecutionProvider"]
            if not Path(path).read_bytes():
                raise RuntimeError("no graph")

        def get_inputs(self) -> list[Port]:
            return inputs

        def run(self, _outputs: None, feed: dict[str, Any]) -> list[Any]:
            image, mask = feed["image"], feed["mask"]
            assert image.shape[0] == 1 or not isinstance(inputs[0].shape[0], int)
            if image.dtype == np.uint8:
                return [np.where(mask == 0, 200, image).astype(np.uint8)]
            return [((image * (1 - mask) + 0.25 * mask) * scale).astype(np.float32)]

    module.InferenceSession = Session  # type: ignore[attr-defined]
    module.SessionOptions = types.SimpleNamespace  # type: ignore[attr-defined]
    module.get_available_providers = lambda: ["CPUExecutionProvider"]  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize("batch", [1, "N"])
def test_onnx_in_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float, batch: int | str
) -> None:
    ports = [Port("image", [batch, 3, 512, 512]), Port("mask", [batch, 1, 512, 512])]
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in_onnxruntime(ports, scale=scale))
    (tmp_path / "lama.onnx").write_bytes(b"x")
    inpainter = load(tmp_path / "lama.onnx")
    assert (inpainter.spec.fixed_px, inpainter.spec.batches) == (512, batch == "N")
    filled, given = fill(inpainter)
    hole = given[:, 3:].bool().expand(-1, 3, -1, -1)
    assert torch.allclose(filled[hole], torch.tensor(0.25), atol=1e-6)
    assert torch.allclose(filled[~hole], given[:, :3][~hole], atol=1e-5)


def test_onnx_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [
        Port("image", ["N", 3, "H", "W"], "tensor(uint8)"),
        Port("mask", ["N", 1, "H", "W"], "tensor(uint8)"),
    ]
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in_onnxruntime(ports))
    (tmp_path / "migan.onnx").write_bytes(b"x")
    inpainter = load(tmp_path / "migan.onnx")
    assert inpainter.spec.fixed_px is None
    filled, given = fill(inpainter)
    hole = given[:, 3:].bool().expand(-1, 3, -1, -1)
    assert torch.allclose(filled[hole], torch.tensor(200 / 255), atol=1e-6)
    assert torch.allclose(filled[~hole], given[:, :3][~hole], atol=0.6 / 255)


def test_onnx_that_cannot_be_used_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", stand_in_onnxruntime([Port("x", [1, 3, 8, 8])]))
    (tmp_path / "a.onnx").write_bytes(b"x")
    (tmp_path / "b.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"a\.onnx: wanted inputs"):
        load(tmp_path / "a.onnx")
    with pytest.raises(ModelError, match=r"b\.onnx: onnxruntime cannot load it"):
        load(tmp_path / "b.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"cleanplate\[onnx\]"):
        load(tmp_path / "a.onnx")
