"""A mark comes off without coloured rims where the file's colours have half the resolution."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.marks.composite import PlacedMark, composite
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.remove.compression import Compression
from cleanplate.remove.halving import Halving, invert_halved
from cleanplate.remove.known import remove_known
from cleanplate.remove.shrinkage import spread_evenly
from cleanplate.structures import FloatArray, Mark
from tests.remove.scenes import letters, photograph


def _mark(opacity: float, colour: tuple[float, float, float]) -> Mark:
    alpha = (opacity * letters(120, 200)).astype(np.float32)
    return Mark(alpha, np.broadcast_to(np.asarray(colour, np.float32), (120, 200, 3)).copy())


def _store(mark: Mark, *, full_chroma: bool = False) -> FloatArray:
    marked, _, _ = composite(photograph(), [PlacedMark(mark, 0, 0)])
    data = encode_jpeg(np.rint(marked * 255).astype(np.uint8), 95, full_chroma=full_chroma)
    return decode_jpeg(data).astype(np.float32) / np.float32(255)


def _error(result: FloatArray, mark: Mark) -> float:
    return float(((result - photograph())[mark.alpha > 0.02] ** 2).mean())


@pytest.mark.parametrize("colour", [(0.1, 0.9, 0.3), (1.0, 1.0, 1.0)])
def test_colours_are_divided_by_what_was_stored_of_them(colour: tuple[float, float, float]) -> None:
    mark = _mark(0.6, colour)
    stored = _store(mark)
    errors = [
        _error(remove_known(stored, mark, noise=Compression(spread_evenly(0.006), halved))[0], mark)
        for halved in ((True, True), (False, False))
    ]
    assert errors[0] < (0.3 if colour[0] < 1 else 0.95) * errors[1]


@pytest.mark.parametrize("origin", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_neighbours_are_paired_from_the_photographs_own_first_pixel(origin: tuple[int, int]) -> None:
    mark = _mark(0.5, (0.9, 0.1, 0.2))
    stored, (left, top) = _store(mark), origin
    noise = Compression(spread_evenly(0.006), (True, True))
    whole, _ = remove_known(stored, mark, noise=noise)
    part = Mark(mark.alpha[top:, left:].copy(), mark.rgb[top:, left:].copy())
    cut, _ = remove_known(stored[top:, left:].copy(), part, noise=noise, origin=origin)
    inner = (slice(16 - top, -16), slice(16 - left, -16))
    assert np.abs(cut[inner] - whole[top:, left:][inner]).mean() < 1e-3


def test_with_colours_at_full_resolution_it_is_the_plain_inverse() -> None:
    mark = _mark(0.5, (0.9, 0.1, 0.2))
    stored = _store(mark, full_chroma=True)
    added = mark.alpha[..., None] * mark.rgb
    behind, changed = invert_halved(stored, mark.alpha, added, Halving((False, False)))
    plain = np.clip((stored - added) / (1 - mark.alpha[..., None]), 0, 1)
    assert np.allclose(behind, plain, atol=1e-4)
    assert np.array_equal(changed, mark.alpha > 0)


@pytest.mark.parametrize("halved", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("shape", [(1, 1), (5, 8), (6, 7)])
def test_any_size_and_place_will_do(shape: tuple[int, int], halved: tuple[bool, bool]) -> None:
    plane = np.full(shape, 0.25, np.float32)
    for left, top in ((0, 0), (1, 1), (3, 2)):
        assert np.allclose(Halving(halved, left, top).store(plane), plane)


def test_what_lies_beside_an_opaque_part_is_not_coloured_by_it() -> None:
    mark = _mark(1.0, (0.0, 1.0, 0.0))
    behind, _ = remove_known(_store(mark), mark, noise=Compression(spread_evenly(0.006), (True, True)))
    beside = (mark.alpha > 0.3) & (mark.alpha < 0.9)
    assert np.abs((behind - photograph())[beside]).mean() < 0.08
