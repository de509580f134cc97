"""Validation scores: right answers score full marks, and every run scores the same pictures."""

import math

import pytest
import torch
from torch import nn

from cleanplate.errors import UsageError
from cleanplate.marks import Assets
from cleanplate.train import validation
from cleanplate.train.validation import make_finder_validation, make_restorer_validation


class Constant(nn.Module):
    """A finder that says the same of every pixel."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, x):
        return self.logit.expand(len(x), 1, *x.shape[2:])


class Recall(nn.Module):
    """A finder that knows the truth of what it is shown."""

    def __init__(self, samples) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.samples = iter(samples)

    def forward(self, x):
        truth = torch.from_numpy(next(self.samples).alpha > validation.MARKED_OPACITY)
        assert x.shape[2] % 32 == x.shape[3] % 32 == 0
        logits = torch.full((1, 1, *x.shape[2:]), -9.0)
        logits[0, 0, : truth.shape[0], : truth.shape[1]][truth] = 9.0
        return logits


class Truthful(nn.Module):
    """A restorer that gives back the input as the photograph behind."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        matte = torch.logit(x[:, 3:].clamp(1e-4, 1 - 1e-4))
        return {"matte": matte, "opacity": x[:, 3:], "colour": x[:, :3], "background": x[:, :3]}


def test_a_finder_that_is_right_has_full_marks(photos):
    validate = make_finder_validation(photos, Assets(), count=4)
    samples = [validation._draw(photos, Assets(), 7, index, clean=index >= 4) for index in range(6)]
    assert validate(Recall(samples)) == {"f1": 1.0, "iou": 1.0, "clean_touched": 0.0}


def test_finders_that_say_all_or_nothing(photos):
    validate = make_finder_validation(photos, Assets(), count=2)
    assert validate(Constant(-5.0)) == {"f1": 0.0, "iou": 0.0, "clean_touched": 0.0}
    everything = validate(Constant(5.0))
    assert 0 < everything["iou"] < everything["f1"] < 1
    assert everything["clean_touched"] == 1
    assert everything == make_finder_validation(photos, Assets(), count=2)(Constant(5.0))


def test_a_restorers_scores(photos):
    scores = make_restorer_validation(photos, Assets(), count=6)(Truthful())
    assert set(scores) == {"matte_error", "opacity_error", "background_psnr", "input_psnr"}
    assert scores["background_psnr"] == pytest.approx(scores["input_psnr"])
    assert 0 < scores["matte_error"] < 1
    assert 5 < scores["input_psnr"] < 40
    assert all(math.isfinite(value) for value in scores.values())


def test_nothing_to_validate_on_is_told(photos):
    with pytest.raises(UsageError, match="no validation crop shows a mark"):
        make_restorer_validation(photos, Assets(), count=0)
