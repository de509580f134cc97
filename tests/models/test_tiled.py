"""Pieces of pictures through a network, and whole results from them."""

import numpy as np
import pytest

from cleanplate.models.tiled import cut_shape, list_tiles, predict_in_tiles


@pytest.mark.parametrize(("height", "width"), [(600, 700), (300, 900), (90, 600), (512, 513)])
@pytest.mark.parametrize("tile", [512, 256])
def test_what_depends_on_single_pixels_comes_out_the_same(height, width, tile):
    rng = np.random.default_rng(0)
    picture = rng.random((height, width, 3), np.float32)
    plane = rng.random((height, width), np.float32)
    seen = []

    def predict(pictures, shape):
        seen.append(shape)
        return [np.dstack([rgb, probability]) for rgb, probability in pictures]

    shape = (height + -height % 32, width + -width % 32)
    whole = np.dstack([picture, plane])
    for result in predict_in_tiles(predict, [[picture, plane]] * 2, shape, tile):
        np.testing.assert_allclose(result, whole, atol=1e-6)
    assert set(seen) == {cut_shape(shape, tile)}
    assert max(seen[0]) <= tile


def test_only_edges_that_make_less_are_tiles():
    assert list_tiles((1024, 64)) == (512, 256)
    assert list_tiles((64, 64)) == ()
