"""What is trained: all of a network, or all but the encoder's first stages."""

import torch

from cleanplate.models.nets.finder import Finder
from cleanplate.train.parameters import group_parameters


def count(parameters):
    return sum(p.numel() for p in parameters)


def test_every_parameter_is_in_one_group():
    network = Finder()
    encoder, rest = group_parameters(network, 0.3)
    assert count(encoder["params"]) == count(network.encoder.parameters())
    assert count(encoder["params"]) + count(rest["params"]) == count(network.parameters())
    assert (encoder["scale"], "scale" in rest) == (0.3, False)


def test_kept_stages_get_no_gradient_and_those_behind_them_do():
    network = Finder()
    encoder, rest = group_parameters(network, 0.3, keep_stages=3)
    network(torch.rand(1, 3, 64, 64)).mean().backward()
    stages = network.encoder.stages
    first = [*network.encoder.stem.parameters(), *(p for stage in stages[:3] for p in stage.parameters())]
    assert all(p.grad is None for p in first)
    assert count(encoder["params"]) + count(rest["params"]) + count(first) == count(network.parameters())
    assert all(p.grad is not None for p in encoder["params"])
    assert all(p.grad is not None for p in rest["params"])
