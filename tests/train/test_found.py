"""What a finder says about a crop: asked, or imitated."""

import numpy as np
import torch
from torch import nn

from cleanplate.train.found import SCALES, WAYS, ask_finder, choose_way, imitate_finder


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


def test_every_way_answers_at_the_crops_own_size_and_leaves_the_others():
    image = torch.full((WAYS, 4, 96, 130), 0.5)
    image[:, :3, 30:60, 20:80] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    asked = ask_finder(FindsRed(), image, torch.arange(WAYS))
    assert torch.equal(asked[:, :3], image[:, :3])
    assert torch.equal(asked[0], image[0])
    assert asked.shape == image.shape
    assert (asked[1:, 3, 36:54, 26:74] > 0.9).all()
    assert (asked[1:, 3, :, 92:] < 0.05).all()
    assert torch.is_grad_enabled()


def test_crops_asked_in_one_way_are_looked_at_together():
    class Counts(nn.Module):
        seen = ()

        def forward(self, x):
            self.seen += (len(x),)
            return x[:, :1]

    finder = Counts()
    ask_finder(finder, torch.rand(5, 4, 64, 64), torch.tensor([3, 0, 3, 1 + len(SCALES), 3]))
    assert sorted(finder.seen) == [1, 1, 1, 3]


def test_ways_are_in_range_and_of_both_kinds():
    ways = [choose_way(np.random.default_rng(seed)) for seed in range(200)]
    assert min(ways) >= 1
    assert max(ways) < WAYS
    assert 0.5 < np.mean([way > len(SCALES) for way in ways]) < 0.9
