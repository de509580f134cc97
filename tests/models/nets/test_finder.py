"""The finder's shapes and padding."""

import pytest
import torch

from cleanplate.models.nets.finder import Encoder, Finder, SameConv2d


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 32, 32), (3, 64, 96), (2, 160, 32)])
def test_logits_have_the_photographs_size(batch, height, width):
    with torch.no_grad():
        logits = Finder().eval()(torch.rand(batch, 3, height, width))
    assert logits.shape == (batch, 1, height, width)
    assert torch.isfinite(logits).all()


def test_features_are_at_strides_2_to_32():
    with torch.no_grad():
        features = Encoder()(torch.rand(1, 3, 64, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (192, 2, 3),
    ]  # fmt: skip


def test_a_photographs_result_does_not_depend_on_its_batch():
    network = Finder().eval()
    x = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_a_strided_convolution_pads_to_the_right_and_bottom():
    convolution = SameConv2d(1, 1, 3, stride=2)
    with torch.no_grad():
        convolution.weight.fill_(1)
        convolution.bias.zero_()
        result = convolution(torch.ones(1, 1, 4, 4))[0, 0]
    torch.testing.assert_close(result, torch.tensor([[9.0, 6.0], [6.0, 4.0]]))


@pytest.mark.parametrize("kernel", [3, 5])
def test_a_strided_convolution_learns_from_what_it_answers(kernel):
    """While learning the input is padded, else the kernel: the same numbers."""
    torch.manual_seed(0)
    convolution = SameConv2d(6, 6, kernel, stride=2, groups=6)
    x = torch.randn(2, 6, 16, 12)
    learning = convolution(x)
    with torch.no_grad():
        answering = convolution(x)
    assert learning.shape == (2, 6, 8, 6)
    torch.testing.assert_close(learning, answering, atol=1e-6, rtol=1e-5)


def test_the_stride_that_is_told_is_the_one_that_is_needed():
    network = Finder().eval()
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, network.stride, network.stride + 8))
