"""Checkpoints of segmentation_models_pytorch: told by their tensors, loaded without that library.

`test_it_is_that_library_s_network` compares with the library itself where it is installed.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from cleanplate.errors import ModelError
from cleanplate.models.nets.segmenter import Segmenter
from cleanplate.models.segmenters import is_segmenter, load_segmenter, make_segmenter

CPU = torch.device("cpu")
RESNET34 = (3, 4, 6, 3)


def small(*, plus_plus: bool = True) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter((1, 1, 1, 1), plus_plus=plus_plus, widths=(16, 12, 8, 6, 4)).eval()


@pytest.mark.parametrize("plus_plus", [False, True])
@pytest.mark.parametrize("wrap", ["bare", "model_state_dict", "module."])
def test_a_checkpoint_is_told_and_gives_the_same_logits(tmp_path: Path, plus_plus: bool, wrap: str) -> None:
    network = small(plus_plus=plus_plus)
    content: dict[str, Any] = dict(network.state_dict())
    if wrap == "module.":
        content = {f"module.{name}": tensor for name, tensor in content.items()}
    if wrap == "model_state_dict":
        content = {wrap: content, "epoch": 30, "val_iou": 0.8, "optimizer_state_dict": {"state": {}}}
    torch.save(content, tmp_path / "checkpoint_epoch_030.pth")
    loaded, fingerprint = load_segmenter(tmp_path / "checkpoint_epoch_030.pth", CPU)
    x = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        assert torch.allclose(loaded(x), network(x), atol=1e-5)
    assert len(fingerprint) == 16
    assert not loaded.training


@pytest.mark.parametrize("plus_plus", [False, True])
@pytest.mark.parametrize(
    ("blocks", "bottleneck"), [(RESNET34, False), ((2, 2, 2, 2), False), ((3, 4, 6, 3), True)]
)
def test_encoders_are_told_by_their_blocks(
    blocks: tuple[int, ...], bottleneck: bool, plus_plus: bool
) -> None:
    with torch.device("meta"):
        network = Segmenter(blocks, bottleneck=bottleneck, plus_plus=plus_plus)
    tensors = {name: torch.zeros(tensor.shape) for name, tensor in network.state_dict().items()}
    made = make_segmenter(tensors, "x")
    assert {n: t.shape for n, t in made.state_dict().items()} == {n: t.shape for n, t in tensors.items()}


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    state = dict(small().state_dict())

    def load(content: object) -> None:
        torch.save(content, tmp_path / "c.pth")
        load_segmenter(tmp_path / "c.pth", CPU)

    with pytest.raises(ModelError, match=r"c\.pth: its tensors \(a, .*UnetPlusPlus"):
        load({"a": torch.zeros(1)})
    with pytest.raises(ModelError, match="tells 3 classes apart"):
        load({**state, "segmentation_head.0.weight": torch.zeros(3, 4, 3, 3)})
    with pytest.raises(ModelError, match=r"begins with \(32, 3, 3, 3\)"):
        load({**state, "encoder.conv1.weight": torch.zeros(32, 3, 3, 3)})
    with pytest.raises(ModelError, match="decoder levels"):
        load({n: t for n, t in state.items() if not n.startswith("encoder.layer4")})
    with pytest.raises(ModelError, match=r"1 have no place, first decoder\.attention"):
        load({**state, "decoder.attention": torch.zeros(1)})
    missing = {n: t for n, t in state.items() if n != "decoder.blocks.x_0_1.conv1.1.bias"}
    with pytest.raises(ModelError, match=r"1 tensors are missing .*x_0_1\.conv1\.1\.bias"):
        load(missing)
    (tmp_path / "c.pth").write_bytes(pickle.dumps({"w": print}))
    with pytest.raises(ModelError, match="more than tensors"):
        load_segmenter(tmp_path / "c.pth", CPU)
    with pytest.raises(ModelError, match="no such checkpoint"):
        load_segmenter(tmp_path / "none.pth", CPU)


def test_counters_may_be_missing() -> None:
    state = {n: t for n, t in small().state_dict().items() if "num_batches" not in n}
    assert make_segmenter(state, "x").encoder.channels == [64, 64, 128, 256, 512]


def test_only_other_programs_suffixes_are_theirs() -> None:
    assert is_segmenter("models/checkpoints/checkpoint_epoch_030.pth")
    assert not is_segmenter("embedded")
    assert not is_segmenter("mine.safetensors")


@pytest.mark.second_environment
@pytest.mark.parametrize("name", ["Unet", "UnetPlusPlus"])
@pytest.mark.parametrize("encoder", ["resnet18", "resnet34", "resnet50"])
def test_it_is_that_library_s_network(tmp_path: Path, name: str, encoder: str) -> None:
    import segmentation_models_pytorch as library

    torch.manual_seed(0)
    theirs = getattr(library, name)(encoder, encoder_weights=None, classes=1).eval()
    torch.save({"model_state_dict": theirs.state_dict(), "epoch": 1}, tmp_path / "c.pth")
    ours, _ = load_segmenter(tmp_path / "c.pth", CPU)
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.allclose(ours(x), theirs((x - ours.mean) / ours.spread), atol=1e-4)
