"""Validation scores: right answers score full marks, and every run scores the same pictures."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cleanplate.errors import UsageError
from cleanplate.images.tensor import resize_for_network
from cleanplate.marks import Assets
from cleanplate.structures import Mark
from cleanplate.train import validation
from cleanplate.train.validation import (
    describe_groups,
    make_chooser_validation,
    make_finder_validation,
    make_restorer_validation,
)


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
    scores = validate(Recall(samples))
    assert scores.figures == {"f1": 1.0, "iou": 1.0, "mean_f1": 1.0, "found": 1.0, "clean_touched": 0.0}
    assert scores.goal == 1.0
    kinds = {sample.kind for sample in samples} - {"clean"}
    assert set(scores.groups) - kinds <= {"under .35", ".35-.6", ".6-.86", "opaque"}
    assert sum(scores.groups[kind]["photographs"] for kind in kinds) == 4
    assert sum(g["photographs"] for name, g in scores.groups.items() if name not in kinds) == 4


def test_finders_that_say_all_or_nothing(photos):
    validate = make_finder_validation(photos, Assets(), count=2)
    nothing = validate(Constant(-5.0))
    assert set(nothing.figures.values()) == {0.0}
    assert nothing.goal == 0
    everything = validate(Constant(5.0))
    assert 0 < everything.figures["iou"] < everything.figures["f1"] < 1
    assert everything.figures["clean_touched"] == everything.figures["found"] == 1
    assert everything.goal < 0  # it touches every clean photograph
    assert everything == make_finder_validation(photos, Assets(), count=2)(Constant(5.0))


def test_a_restorers_scores(photos):
    validate = make_restorer_validation(photos, Assets(), count=6)
    scores = validate(Truthful())
    assert set(scores.figures) == {
        "input_psnr", "restored_psnr", "repaired", "worse", "background_psnr", "matte_error", "opacity_error",
    }  # fmt: skip
    assert scores.figures["background_psnr"] == pytest.approx(scores.figures["input_psnr"], abs=0.5)
    assert 0 < scores.figures["matte_error"] < 1
    assert 5 < scores.figures["input_psnr"] < 40
    assert scores.goal == scores.figures["restored_psnr"]
    assert all(math.isfinite(value) for value in scores.figures.values())
    assert {"text", "logo", "both", "stamp", "tiled"} <= set(scores.groups) | {"stamp"}
    assert scores == validate(Truthful())


def test_a_restorer_that_knows_the_matte_restores(photos):
    class Knowing(Truthful):
        """Matte and opacity of the crop that is asked about."""

        def forward(self, x):
            seen = x.shape[2:]
            crop = next(c for c in crops if np.allclose(x[0, :3], show(c.crop.rgb, seen)))
            matte, alpha = (show(plane, seen)[None] for plane in (crop.matte, crop.alpha))
            known = torch.logit(matte.clamp(1e-4, 1 - 1e-4))
            return {"matte": known, "opacity": alpha, "colour": x[:, :3], "background": x[:, :3]}

    def show(plane, size):
        return torch.from_numpy(np.atleast_3d(resize_for_network(plane, *size)).transpose(2, 0, 1).copy())

    crops = [validation._draw_crop(photos, Assets(), 7, index) for index in range(5)]
    validate = make_restorer_validation(photos, Assets(), count=5)
    knowing, guessing = validate(Knowing()), validate(Truthful())
    assert knowing.figures["matte_error"] < 0.02  # there and back
    assert knowing.goal > guessing.goal + 3


def test_a_given_mark_is_all_that_is_validated_on(photos):
    mark = Mark(alpha=np.ones((10, 40), np.float32), rgb=np.ones((10, 40, 3), np.float32))
    assets = Assets(mark=mark, mark_share=0.3)
    scores = make_restorer_validation(photos, assets, count=4)(Truthful())
    assert [name for name in scores.groups if name.isalpha() and name != "opaque"] == ["given"]


def test_groups_are_shown_one_a_line():
    shown = describe_groups(
        {"text": {"crops": 3, "restored_psnr": 21.25}, "opaque": {"crops": 1, "restored_psnr": 9}}
    )
    lines = shown.splitlines()
    assert lines[0].split() == ["crops", "restored_psnr"]
    assert lines[1].split() == ["text", "3", "21.250"]
    assert describe_groups({}) == ""


def test_nothing_to_validate_on_is_told(photos):
    with pytest.raises(UsageError, match="no validation crop shows a mark"):
        make_restorer_validation(photos, Assets(), count=0)


class Leaves(nn.Module):
    """A chooser that gives one candidate all."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.place = place

    def forward(self, x):
        shares = torch.zeros(len(x), 4, *x.shape[2:])
        shares[:, self.place] = 1
        return shares


def test_a_choosers_scores(photos):
    validate = make_chooser_validation(photos, Assets(), 6, Truthful())
    left, inverted = validate(Leaves(0)), validate(Leaves(1))
    assert set(left.figures) == {"input_psnr", "restored_psnr", "repaired", "worse", "ruled_psnr"}
    assert left.figures["restored_psnr"] == left.figures["input_psnr"]
    assert left.figures["worse"] == left.figures["repaired"] == 0
    assert left.goal == left.figures["restored_psnr"]
    assert inverted.figures["restored_psnr"] > left.figures["restored_psnr"]
    assert inverted.goal == inverted.figures["restored_psnr"] - 10 * inverted.figures["worse"]
    assert left.figures["ruled_psnr"] == inverted.figures["ruled_psnr"]
