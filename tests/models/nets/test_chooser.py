"""The chooser: shares that add up, the input's size, and indifference where candidates agree."""

import pytest
import torch

from cleanplate.models.memory import trace_peak_bytes
from cleanplate.models.nets.chooser import CANDIDATES, INPUT_PLANES, Chooser


@pytest.fixture
def chooser():
    torch.manual_seed(0)
    network = Chooser().eval()
    torch.nn.init.normal_(network.head.weight, std=0.5)
    return network


@pytest.mark.parametrize("size", [(8, 8), (64, 96), (24, 512)])
def test_shares_are_of_the_inputs_size_and_add_up(chooser, size):
    with torch.no_grad():
        shares = chooser(torch.rand(2, INPUT_PLANES, *size))
    assert shares.shape == (2, CANDIDATES, *size)
    assert shares.dtype == torch.float32
    assert float(shares.min()) > 0
    torch.testing.assert_close(shares.sum(1), torch.ones(2, *size))


def test_an_untrained_one_shares_evenly():
    shares = Chooser()(torch.rand(1, INPUT_PLANES, 16, 16))
    torch.testing.assert_close(shares, torch.full_like(shares, 1 / CANDIDATES))


def test_no_share_is_beyond_doubt(chooser):
    with torch.no_grad():
        chooser.head.weight.mul_(1000)
        shares = chooser(torch.rand(1, INPUT_PLANES, 32, 32))
    assert float(shares.max()) < 1 - 1e-5


def test_every_weight_learns(chooser):
    chooser(torch.rand(1, INPUT_PLANES, 32, 32))[:, 0].sum().backward()
    for name, parameter in chooser.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_its_memory_can_be_predicted(chooser):
    assert trace_peak_bytes(chooser, (2, INPUT_PLANES, 64, 64)) > 2 * INPUT_PLANES * 64 * 64 * 4
