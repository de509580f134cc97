"""Layers in strips against the same layers as a whole."""

import pytest
import torch
from torch import nn

from cleanplate.models.nets.strips import Rows, collect, convolve, double


def rows_of(planes: torch.Tensor) -> Rows:
    return Rows(planes.shape[2], lambda top, bottom: planes[:, :, top:bottom])


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 100])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("height", [8, 11, 20])
def test_a_mirrored_convolution(kernel: int, stride: int, height: int, at_once: int) -> None:
    layers = [
        nn.Conv2d(3, channels, kernel, stride, kernel // 2, padding_mode="reflect").double()
        for channels in (2, 5)
    ]
    planes = draw(2, 3, height, 10)
    wanted = torch.cat([torch.tanh(layer(planes)) for layer in layers], dim=1)
    rows = convolve(rows_of(planes), [(layer, torch.tanh) for layer in layers], kernel // 2)
    assert rows.height == wanted.shape[2]
    torch.testing.assert_close(collect(rows, at_once), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("height", [1, 2, 7])
def test_a_transposed_convolution(height: int, at_once: int) -> None:
    layer = nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1).double()
    planes = draw(2, 3, height, 4)
    wanted = torch.tanh(layer(planes))
    rows = double(rows_of(planes), layer, torch.tanh)
    torch.testing.assert_close(collect(rows, at_once), wanted, rtol=0, atol=1e-12)


def test_a_chain_of_layers_holds_strips_only() -> None:
    made: list[int] = []

    def make(top: int, bottom: int) -> torch.Tensor:
        made.append(bottom - top)
        return planes[:, :, top:bottom]

    planes = draw(1, 2, 64, 12)
    wide = nn.Conv2d(2, 4, 7, 1, 3, padding_mode="reflect").double()
    down = nn.Conv2d(4, 3, 3, 2, 1, padding_mode="reflect").double()
    up = nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1).double()
    last = nn.Conv2d(2, 1, 7, 1, 3, padding_mode="reflect").double()
    rows = convolve(Rows(64, make), [(wide, torch.relu)], 3)
    rows = double(convolve(rows, [(down, torch.relu)], 1), up, torch.relu)
    strips = collect(convolve(rows, [(last, torch.sigmoid)], 3), 8)
    wanted = torch.sigmoid(last(torch.relu(up(torch.relu(down(torch.relu(wide(planes))))))))
    torch.testing.assert_close(strips, wanted, rtol=0, atol=1e-12)
    assert len(made) == 8
    # 8 rows, 3 more each way, one for the way up, twice two for the way down, 3 more each way
    assert max(made) <= 8 + 6 + 2 + 3 + 6
