"""Norms folded into convolutions against both one after the other."""

import copy

import pytest
import torch
from torch import nn

from cleanplate.models.nets.fold import fold_norm


def use(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """Statistics and weights that leave nothing at a neutral value."""
    for tensor in (norm.running_mean, norm.weight, norm.bias):
        if tensor is not None:
            nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.2, 3)
    return norm.eval()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_one_convolution(kind: type, bias: bool, affine: bool) -> None:
    torch.manual_seed(0)
    layer = kind(3, 5, 3, bias=bias)
    norm = use(nn.BatchNorm2d(5, affine=affine))
    x = torch.randn(2, 3, 8, 9)
    wanted = norm(layer(x))
    after = fold_norm(norm, [layer])
    assert isinstance(after, nn.Identity)
    torch.testing.assert_close(layer(x), wanted, rtol=1e-4, atol=1e-5)


def test_a_sum_of_convolutions_gets_the_shift_once() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1, bias=bias) for bias in (False, True, False)]
    norm = use(nn.BatchNorm2d(4))
    x = torch.randn(1, 3, 6, 6)
    wanted = norm(sum(layer(x) for layer in layers))
    fold_norm(norm, [layers[0], None, *layers[1:]])
    torch.testing.assert_close(sum(layer(x) for layer in layers), wanted, rtol=1e-4, atol=1e-5)
    assert layers[2].bias is None


def test_what_is_no_norm_stays() -> None:
    layer = nn.Conv2d(1, 1, 1)
    before = copy.deepcopy(layer.state_dict())
    other = nn.ReLU()
    assert fold_norm(other, [layer]) is other
    assert isinstance(fold_norm(None, [layer]), nn.Identity)
    assert all(torch.equal(before[name], tensor) for name, tensor in layer.state_dict().items())


def test_a_norm_without_statistics_is_refused() -> None:
    with pytest.raises(ValueError, match="depends on its batch"):
        fold_norm(nn.BatchNorm2d(2, track_running_stats=False), [nn.Conv2d(1, 2, 1)])
