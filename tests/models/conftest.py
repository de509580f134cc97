"""Weights files of fresh networks."""

from pathlib import Path

import pytest
import torch

from cleanplate.models import weights
from cleanplate.models.nets.chooser import Chooser
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer


def make_networks(seed: int) -> dict[str, torch.nn.Module]:
    torch.manual_seed(seed)
    return {"finder": Finder(), "restorer": Restorer(), "chooser": Chooser()}


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights file of all networks that stands for the one in the package."""
    path = tmp_path / "stand-in.safetensors"
    weights.write_weights(path, make_networks(1), {"step": "0"})
    monkeypatch.setattr(weights, "_read_embedded", lambda: weights.read_weights(path))
    return path
