"""How hard PNG's compressor works: runs only where a photograph holds nothing else."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from cleanplate.images.container import Samples
from cleanplate.images.formats import png


def draw_photograph() -> NDArray[np.uint8]:
    return np.ascontiguousarray(cv2.resize(data.coffee(), (900, 600), interpolation=cv2.INTER_CUBIC))


def draw_pattern() -> NDArray[np.uint8]:
    """The same tile again and again: all that the thorough way is for."""
    tile = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    return np.tile(tile, (30, 30, 1))


def save(pixels: NDArray[np.uint8], level: int) -> int:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=level)
    return len(stream.getvalue())


@pytest.mark.parametrize("draw", [draw_photograph, draw_pattern])
def test_files_are_lossless_and_hardly_larger_than_with_all_effort(draw) -> None:  # type: ignore[no-untyped-def]
    pixels = draw()
    encoded = png.encode_pixels(Samples("RGB", pixels))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded))), pixels)
    assert len(encoded) < 1.08 * save(pixels, 6)


def test_the_thorough_way_is_for_what_comes_again() -> None:
    assert png._is_photographic(Image.fromarray(draw_photograph()))
    assert not png._is_photographic(Image.fromarray(draw_pattern()))
    small = Image.fromarray(draw_photograph()[:40, :40])
    assert not png._is_photographic(small)
    assert not png._is_photographic(small.convert("P"))
