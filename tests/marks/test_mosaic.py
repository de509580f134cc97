"""Mosaics: a large photograph's size, nothing enlarged, the same for the same seed."""

from pathlib import Path

import numpy as np
import pytest

from cleanplate.marks.mosaic import LARGEST_PX, SMALLEST_PX, choose_mosaic_share, draw_mosaic

SIZES = {"a": (321, 481), "b": (481, 321), "c": (200, 300), "d": (1600, 2400)}


def read(path: Path) -> np.ndarray:
    """A picture of one colour, which says which it is and how wide."""
    height, width = SIZES[path.name]
    return np.full((height, width, 3), 10 + 50 * "abcd".index(path.name), np.uint8)


def draw(seed: int, names: str = "abcd") -> np.ndarray:
    return draw_mosaic([Path(name) for name in names], np.random.default_rng(seed), read)


@pytest.mark.parametrize("seed", range(6))
def test_a_mosaic_is_as_large_as_it_should_be(seed):
    picture = draw(seed)
    assert SMALLEST_PX - 1 <= max(picture.shape[:2]) <= LARGEST_PX
    assert min(picture.shape[:2]) >= 0.5 * max(picture.shape[:2])
    np.testing.assert_array_equal(picture, draw(seed))


def test_every_photograph_has_its_place_and_none_is_enlarged():
    picture = draw(3, "abc")
    values, counts = np.unique(picture[..., 0], return_counts=True)
    assert set(values.tolist()) == {10, 60, 110}
    for row in picture[::20, :, 0]:
        runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], row, [0]]).astype(int))))
        assert runs.max() <= 2 * max(width for _, width in SIZES.values())
    assert counts.min() > 1000


def test_one_small_photograph_is_enough():
    picture = draw(1, "c")
    assert max(picture.shape[:2]) >= SMALLEST_PX - 1


def test_mosaics_are_drawn_where_large_photographs_are_few():
    assert choose_mosaic_share([481] * 3) == pytest.approx(1 / 3)
    assert choose_mosaic_share([481, 481, 1000]) == 0
