"""What a finder says about a crop: asked, or imitated."""

import numpy as np
import pytest
import torch
from torch import nn

from cleanplate.train.found import ask_finder, imitate_finder


def test_an_imitated_finder_is_rough_but_related():
    mask = np.zeros((64, 96), bool)
    mask[20:40, 30:70] = True
    seen = [imitate_finder(mask, np.random.default_rng(seed)) for seed in range(30)]
    for probability in seen:
        assert probability.shape == mask.shape
        assert probability.dtype == np.float32
        assert 0 <= probability.min() <= probability.max() <= 1
    mean = np.mean(seen, axis=0)
    assert mean[mask].mean() > 0.4
    assert mean[~mask].mean() < 0.2


class FindsRed(nn.Module):
    def forward(self, x):
        assert x.shape[2] % 32 == x.shape[3] % 32 == 0
        return 20 * (x[:, :1] - x[:, 1:2]) - 8


@pytest.mark.parametrize("seed", range(6))
def test_an_asked_finder_answers_at_the_crops_own_size(seed):
    crop = np.full((96, 130, 3), 128, np.uint8)
    crop[30:60, 20:80] = (255, 0, 0)
    probability = ask_finder(FindsRed(), crop, np.random.default_rng(seed))
    assert probability.shape == (96, 130)
    assert probability.dtype == np.float32
    assert probability[34:56, 24:76].min() > 0.9
    assert probability[:, 90:].max() < 0.01
    assert torch.is_grad_enabled()
