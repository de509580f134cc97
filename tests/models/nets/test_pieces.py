"""Layers in pieces against the same layers as a whole."""

import pytest
import torch
from torch import nn

from cleanplate.models.nets.pieces import Planes, Span, choose_piece, collect, convolve, double, show


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("at_once", "across"), [(1, 100), (2, 3), (3, 1), (7, 4), (100, 2), (100, 100)])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("height", [8, 11, 20])
def test_a_mirrored_convolution(kernel: int, stride: int, height: int, at_once: int, across: int) -> None:
    layers = [
        nn.Conv2d(3, channels, kernel, stride, kernel // 2, padding_mode="reflect").double()
        for channels in (2, 5)
    ]
    planes = draw(2, 3, height, 10)
    wanted = torch.cat([torch.tanh(layer(planes)) for layer in layers], dim=1)
    made = convolve(show(planes), [(layer, torch.tanh) for layer in layers], kernel // 2)
    assert (made.height, made.width) == wanted.shape[2:]
    torch.testing.assert_close(collect(made, at_once, across), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("at_once", "across"), [(1, 100), (2, 3), (3, 1), (5, 4), (100, 100)])
@pytest.mark.parametrize("height", [1, 2, 7])
def test_a_transposed_convolution(height: int, at_once: int, across: int) -> None:
    layer = nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1).double()
    planes = draw(2, 3, height, 4)
    wanted = torch.tanh(layer(planes))
    made = double(show(planes), layer, torch.tanh)
    torch.testing.assert_close(collect(made, at_once, across), wanted, rtol=0, atol=1e-12)


def test_a_chain_of_layers_holds_pieces_only() -> None:
    made: list[tuple[int, int]] = []

    def make(rows: Span, columns: Span) -> torch.Tensor:
        made.append((rows[1] - rows[0], columns[1] - columns[0]))
        return planes[:, :, slice(*rows), slice(*columns)]

    planes = draw(1, 2, 64, 48)
    wide = nn.Conv2d(2, 4, 7, 1, 3, padding_mode="reflect").double()
    down = nn.Conv2d(4, 3, 3, 2, 1, padding_mode="reflect").double()
    up = nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1).double()
    last = nn.Conv2d(2, 1, 7, 1, 3, padding_mode="reflect").double()
    chain = convolve(Planes(64, 48, make), [(wide, torch.relu)], 3)
    chain = double(convolve(chain, [(down, torch.relu)], 1), up, torch.relu)
    pieces = collect(convolve(chain, [(last, torch.sigmoid)], 3), 8, 16)
    wanted = torch.sigmoid(last(torch.relu(up(torch.relu(down(torch.relu(wide(planes))))))))
    torch.testing.assert_close(pieces, wanted, rtol=0, atol=1e-12)
    assert len(made) == 8 * 3
    # 3 pixels each way, one for the way up, twice two for the way down, 3 more each way
    assert max(height for height, _ in made) <= 8 + 6 + 2 + 3 + 6
    assert max(width for _, width in made) <= 16 + 6 + 2 + 3 + 6


@pytest.mark.parametrize("batch", [1, 3, 50, 10**6])
@pytest.mark.parametrize("width", [16, 200, 248, 1536, 4000])
def test_pieces_are_about_square_multiples_of_eight(batch: int, width: int) -> None:
    rows, columns = choose_piece(batch, width)
    assert rows % 8 == columns % 8 == 0
    assert 8 <= columns <= width + 7
    if 48 <= columns < width:
        assert columns / 2.5 <= rows <= columns * 2.5
