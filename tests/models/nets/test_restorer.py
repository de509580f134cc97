"""The restorer's shapes and ranges."""

import pytest
import torch

from cleanplate.models.nets.finder import SKIP_CHANNELS, Finder
from cleanplate.models.nets.restorer import Restorer


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 32, 32), (3, 64, 96), (2, 160, 32)])
def test_planes_have_the_crops_size_and_their_ranges(batch, height, width):
    with torch.no_grad():
        planes = Restorer().eval()(torch.rand(batch, 4, height, width))
    assert {name: tuple(plane.shape) for name, plane in planes.items()} == {
        "matte": (batch, 1, height, width),
        "opacity": (batch, 1, height, width),
        "colour": (batch, 3, height, width),
        "background": (batch, 3, height, width),
    }
    for name in ("opacity", "colour"):
        assert planes[name].min() >= 0
        assert planes[name].max() <= 1


def test_a_fresh_network_leaves_the_photograph_nearly_as_it_is():
    x = torch.rand(1, 4, 64, 64)
    with torch.no_grad():
        background = Restorer().eval()(x)["background"]
    assert (background - x[:, :3]).abs().mean() < 0.2


def test_a_restorer_that_starts_from_a_finder_has_its_features():
    finder, restorer = Finder().eval(), Restorer().eval()
    restorer.start_from(finder)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        given, own = finder.encoder(x), restorer.encoder(x)
        torch.testing.assert_close(own, given)
        together = torch.cat([given[4].repeat(1, 1, 2, 2), given[3]], 1)
        merged = [net.merges[0](together) for net in (finder, restorer)]
    assert merged[0].shape[1] > merged[1].shape[1]  # the finder's decoder is wider
    torch.testing.assert_close(merged[1], merged[0][:, : merged[1].shape[1]])


def test_what_the_finders_decoder_sees_of_its_encoder_comes_to_the_same_place():
    finder, restorer = Finder().eval(), Restorer().eval()
    restorer.start_from(finder)
    for number, skip in enumerate(SKIP_CHANNELS):
        given, own = (net.merges[number].weight for net in (finder, restorer))
        before = 192 if number == 0 else finder.merges[number - 1].out_channels
        own_before = 192 if number == 0 else restorer.merges[number - 1].out_channels
        outputs = min(len(given), len(own))
        torch.testing.assert_close(
            own[:outputs, own_before : own_before + skip], given[:outputs, before : before + skip]
        )


def test_planes_are_float32_under_autocast():
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        planes = Restorer().eval()(torch.rand(1, 4, 32, 32))
    assert planes["matte"].dtype == planes["opacity"].dtype == torch.float32
