"""Losses are smallest where the answer is right."""

import pytest
import torch

from cleanplate.models.nets.chooser import CANDIDATES, INPUT_PLANES
from cleanplate.train.losses import (
    WORST_PX,
    chooser_loss,
    dice_loss,
    dice_loss_by_crop,
    finder_loss,
    restorer_loss,
    worst_of_clean,
)


@pytest.fixture
def finder_example():
    target = torch.zeros(2, 1, 32, 32)
    target[0, :, 8:24, 8:24] = 1
    return {"target": target, "weight": torch.ones_like(target)}


@pytest.fixture
def restorer_example():
    generator = torch.Generator().manual_seed(0)
    matte = torch.zeros(1, 1, 32, 32)
    matte[..., 8:24, 8:24] = 1
    return {
        "matte": matte,
        "alpha": 0.5 * matte,
        "colour": torch.rand(1, 3, 32, 32, generator=generator) * matte,
        "clean": torch.rand(1, 3, 32, 32, generator=generator),
    }


def answer_rightly(example):
    return {
        "matte": (example["matte"] - 0.5) * 40,
        "opacity": example["alpha"].clone(),
        "colour": example["colour"].clone(),
        "background": example["clean"].clone(),
    }


def test_dice_is_0_where_equal_and_near_1_where_disjoint(finder_example):
    target, weight = finder_example["target"], finder_example["weight"]
    assert dice_loss(target, target, weight) == pytest.approx(0, abs=1e-6)
    assert dice_loss(1 - target, target, weight) > 0.99


def test_the_finders_loss_falls_towards_the_truth(finder_example):
    target = finder_example["target"]
    losses = [float(finder_loss((target - 0.5) * gain, finder_example)[0]) for gain in (-4.0, 0.0, 4.0, 30.0)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.01


def test_pixels_without_weight_do_not_count(finder_example):
    weight = finder_example["weight"]
    weight[0, :, :8] = 0
    wrong = (finder_example["target"] - 0.5) * 30
    wrong[0, :, :8] *= -1
    assert float(finder_loss(wrong, finder_example)[0]) < 0.01


def test_what_is_worst_on_a_clean_crop_counts_and_on_a_marked_one_does_not(finder_example):
    entropy = torch.full((2, 1, 32, 32), 0.01)
    entropy[:, :, :4, :4] = 5.0  # 16 pixels of 1024
    expected = (16 * 5 + (WORST_PX - 16) * 0.01) / WORST_PX
    assert float(worst_of_clean(entropy, finder_example["target"])) == pytest.approx(expected)
    marked = torch.ones_like(finder_example["target"])
    assert float(worst_of_clean(entropy, marked)) == 0


def test_the_restorers_loss_is_least_for_the_right_answer(restorer_example):
    planes = answer_rightly(restorer_example)
    best, parts = restorer_loss(planes, restorer_example)
    assert set(parts) == {"matte", "opacity", "colour", "background", "edges"}
    assert float(best) < 0.01
    inside = restorer_example["matte"] > 0
    for name in planes:
        wrong = {**planes, name: torch.where(inside, planes[name] * -1 + 0.3, planes[name])}
        assert float(restorer_loss(wrong, restorer_example)[0]) > float(best) + 0.005, name


def test_the_choosers_loss_prefers_the_right_candidate_and_minds_only_what_may_be_rewritten():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, INPUT_PLANES, 16, 16, generator=generator)
    image[:, -1] = 0
    image[:, -1, 4:12, 4:12] = 1
    example = {"image": image, "clean": image[:, 3:6].clone()}
    example["clean"][:, :, :2] = 9  # outside
    losses = []
    for k in range(CANDIDATES):
        shares = torch.zeros(2, CANDIDATES, 16, 16)
        shares[:, k] = 1
        losses.append(float(chooser_loss(shares, example)[0]))
    assert losses.index(min(losses)) == 1
    assert sorted(losses)[1] > min(losses) + 0.3
    image[:, -1] = 0
    assert chooser_loss(shares, example)[1]["absolute"] == 0


def test_losses_can_be_minimised_by_gradients(restorer_example):
    planes = {
        name: torch.zeros_like(p, requires_grad=True) for name, p in answer_rightly(restorer_example).items()
    }
    restorer_loss(planes, restorer_example)[0].backward()
    assert all(torch.isfinite(plane.grad).all() and plane.grad.abs().sum() > 0 for plane in planes.values())


def test_dice_by_crop_counts_a_small_mark_as_much_as_a_large_one_and_no_clean_crop():
    target = torch.zeros(3, 1, 32, 32)
    target[0] = 1  # all of it
    target[1, :, :5, :5] = 1  # a stamp; the third crop is clean
    found = target.clone()
    found[1] = 0
    missed_stamp = dice_loss_by_crop(found, target, torch.ones_like(target))
    assert missed_stamp == pytest.approx(0.5, abs=0.02)
    assert dice_loss(found, target, torch.ones_like(target)) < 0.05
    clean = torch.zeros(2, 1, 32, 32)
    assert dice_loss_by_crop(torch.full_like(clean, 0.4), clean, torch.ones_like(clean)) == 0
