"""Training the networks by their own entry, from the weights of a file."""

import numpy as np
import pytest
import torch

from cleanplate.errors import ModelError
from cleanplate.marks import Assets
from cleanplate.models import weights
from cleanplate.models.nets.chooser import Chooser
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import read_weights, write_weights
from cleanplate.structures import Quantisation
from cleanplate.train import chooser, finder, restorer
from cleanplate.train.chooser import take_apart, train_chooser
from cleanplate.train.coding import pack_coding
from cleanplate.train.finder import train_finder
from cleanplate.train.loop import TrainingOptions
from cleanplate.train.restorer import train_restorer

TRAINERS = {"finder": train_finder, "restorer": train_restorer, "chooser": train_chooser}


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """A weights file that stands for the package's, and validation on two pictures."""
    torch.manual_seed(1)
    path = tmp_path / "embedded.safetensors"
    write_weights(path, {"finder": Finder(), "restorer": Restorer(), "chooser": Chooser()}, {})
    monkeypatch.setattr(weights, "_read_embedded", lambda: read_weights(path))
    monkeypatch.setattr(finder, "VALIDATION_PHOTOS", 1)
    monkeypatch.setattr(restorer, "VALIDATION_CROPS", 3)
    monkeypatch.setattr(chooser, "VALIDATION_CROPS", 3)
    return path


@pytest.mark.parametrize("name", list(TRAINERS))
def test_training_starts_from_given_weights(name, source, photos, embedded, tmp_path):
    options = TrainingOptions(
        output=tmp_path / "out", examples=2, batch_size=2, learning_rate=1e-9, workers=0, report_every=1
    )
    lines = []
    path = TRAINERS[name](source, (photos, Assets()), options, lines.append, "embedded")
    trained, given = read_weights(path)[0], read_weights(embedded)[0]
    assert {n.split(".", 1)[0] for n in trained} == {name}
    for tensor_name, tensor in trained.items():
        torch.testing.assert_close(tensor, given[tensor_name], atol=1e-4, rtol=1e-3)
    assert len(lines) == 2
    assert "validation" in lines[1]


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("name", list(TRAINERS))
def test_weights_to_start_from_that_are_missing_are_named(name, source, photos, tmp_path):
    options = TrainingOptions(output=tmp_path / "out", examples=12, workers=0)
    with pytest.raises(ModelError, match=r"lost\.safetensors: there is no such model"):
        TRAINERS[name](source, (photos, Assets()), options, print, str(tmp_path / "lost.safetensors"))


def test_crops_are_taken_apart_by_what_the_restorer_says():
    image = torch.rand(2, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    image[:, 3] = torch.tensor([1.0, 0.0])[:, None, None]

    class Believing(torch.nn.Module):
        def forward(self, x):
            found = x[:, 3:]
            return {"matte": 20 * found - 10, "opacity": 0.5 * found, "background": x[:, :3]}

    coding = {name: torch.stack([plane] * 2) for name, plane in pack_coding(None, 0, 0).items()}
    marked, clean = take_apart(Believing(), {"image": image, "enlarged": torch.ones(2), **coding})
    assert clean is None
    assert marked.apart.mask.all()
    assert [layer.shape[:2] for layer in marked.lay_out()] == [(64, 64)] * 12


def test_crops_are_taken_apart_by_their_own_files_tables():
    """What a run does: candidates that are cleaned by other tables than the file's teach the wrong thing."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 4, 64, 64, generator=generator)
    image[:, 3] = 1.0
    steps = Quantisation(np.full((8, 8), 40, np.float32), np.full((8, 8), 60, np.float32), (True, True))

    class Believing(torch.nn.Module):
        def forward(self, x):
            matte = torch.full_like(x[:, 3:], -10.0)
            matte[..., 16:48, 16:48] = 10.0
            return {"matte": matte, "opacity": 0.5 * x[:, 3:], "background": x[:, :3]}

    def invert(coding):
        batch = {name: plane[None] for name, plane in coding.items()}
        batch |= {"image": image, "enlarged": torch.ones(1)}
        return take_apart(Believing(), batch)[0].pictures.unblended

    coarse, fine = invert(pack_coding(steps, 8, 16)), invert(pack_coding(None, 8, 16))
    assert np.abs(coarse - fine).max() > 0.01
