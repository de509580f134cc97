"""The copies of a tiled mark: framed, settled to parts of a pixel, cut out and laid back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont
from skimage import data

from cleanplate.detect.copies import WHOLE, find_copies, settle_copies
from cleanplate.detect.lattice import Lattice
from cleanplate.marks import PlacedMark, composite, draw
from cleanplate.structures import FloatArray


def tile(degrees: float) -> FloatArray:
    word = draw.draw_text("Berg", ImageFont.load_default(24))
    step = (word.shape[1] + 36, word.shape[0] + 44)
    return draw.tile(word, 400, 512, step, degrees, stagger=True)


def photo(shape: FloatArray) -> np.ndarray:
    clean = np.ascontiguousarray(data.astronaut()[:400, :512, :3]).astype(np.float32) / np.float32(255)
    marked, _, _ = composite(clean, [PlacedMark(draw.finish(shape, 0.4, "tiled"), 0, 0)])
    return np.rint(marked * 255).astype(np.uint8)


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_what_is_cut_out_of_every_copy_is_the_same(degrees: float) -> None:
    shape = tile(degrees)
    found = find_copies(shape[..., 3])
    assert found is not None
    copies, mask = found
    _, places = copies.list_windows(400, 512, WHOLE)
    pieces = np.stack(copies.cut_out(np.ascontiguousarray(shape[..., 3]), places))

    assert len(places) >= 4
    assert mask.shape == (copies.height, copies.width)
    typical = np.median(pieces, axis=0)
    assert np.abs(pieces - typical).mean() < 0.03
    assert typical[mask].max() > 0.9
    assert typical[~mask].max() < 0.1


def test_what_is_laid_back_is_the_pattern() -> None:
    shape = tile(25.0)
    found = find_copies(shape[..., 3])
    assert found is not None
    copies, _ = found
    _, places = copies.list_windows(400, 512, WHOLE)
    one = np.median(np.stack(copies.cut_out(np.ascontiguousarray(shape[..., 3]), places)), axis=0)
    laid = copies.lay(one.astype(np.float32), 400, 512)
    assert np.abs(laid - shape[..., 3]).mean() < 0.02


def test_a_lattice_that_is_off_is_settled_by_the_outlines() -> None:
    shape = tile(25.0)
    found = find_copies(shape[..., 3])
    assert found is not None
    exact, mask = found
    moved = np.array([0.4, -0.3])
    off = Lattice(exact.lattice.first + moved, exact.lattice.second - moved)
    settled = settle_copies(photo(shape), replace(exact, lattice=off), mask)

    def wrong(lattice: Lattice) -> float:
        return max(
            float(np.abs(lattice.first - exact.lattice.first).max()),
            float(np.abs(lattice.second - exact.lattice.second).max()),
        )

    assert wrong(settled.lattice) < 0.12 < wrong(off)


def test_two_copies_are_too_few() -> None:
    plane = np.zeros((100, 400), np.float32)
    plane[40:60, 40:100] = plane[40:60, 240:300] = 1
    assert find_copies(plane) is None
