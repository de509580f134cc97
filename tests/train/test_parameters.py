"""What is trained: all of a network, or all but the encoder's depthwise filters, or its first stages."""

import torch

from cleanplate.models.nets.finder import Finder
from cleanplate.train.parameters import group_parameters


def count(parameters):
    return sum(p.numel() for p in parameters)


def test_every_parameter_is_in_one_group():
    network = Finder()
    encoder, rest = group_parameters(network, 0.3, keep_filters=False)
    assert count(encoder["params"]) == count(network.encoder.parameters())
    assert count(encoder["params"]) + count(rest["params"]) == count(network.parameters())
    assert (encoder["scale"], "scale" in rest) == (0.3, False)


def test_kept_filters_are_few_and_get_no_gradient():
    network = Finder()
    encoder, rest = group_parameters(network, 0.3, keep_filters=True)
    kept = [p for p in network.parameters() if not p.requires_grad]
    assert 0 < count(kept) < 0.1 * count(network.parameters())
    assert count(encoder["params"]) + count(rest["params"]) + count(kept) == count(network.parameters())
    assert all(p.shape[1:2] in ((), (1,)) for p in kept)  # biases, and filters of one channel each


def test_kept_stages_get_no_gradient_and_those_behind_them_do():
    network = Finder()
    encoder, rest = group_parameters(network, 0.3, keep_filters=False, keep_stages=3)
    network(torch.rand(1, 3, 64, 64)).mean().backward()
    stages = network.encoder.stages
    first = [*network.encoder.stem.parameters(), *(p for stage in stages[:3] for p in stage.parameters())]
    assert all(p.grad is None for p in first)
    assert count(encoder["params"]) + count(rest["params"]) + count(first) == count(network.parameters())
    assert all(p.grad is not None for p in encoder["params"])
    assert all(p.grad is not None for p in rest["params"])
