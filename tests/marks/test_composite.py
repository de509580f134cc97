"""Compositing is the formula of DESIGN 1, exactly, however many marks there are and wherever they lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.marks import PlacedMark, composite
from cleanplate.structures import Mark


def make_mark(height: int, width: int, seed: int) -> Mark:
    rng = np.random.default_rng(seed)
    return Mark(
        alpha=rng.uniform(0, 1, (height, width)).astype(np.float32),
        rgb=rng.uniform(0, 1, (height, width, 3)).astype(np.float32),
    )


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (24, 32, 3)).astype(np.float32)


def test_one_mark_is_the_formula(photo):
    mark = make_mark(8, 10, seed=1)
    marked, alpha, colour = composite(photo, [PlacedMark(mark, left=5, top=3)])
    a = mark.alpha[..., None]
    np.testing.assert_allclose(marked[3:11, 5:15], (1 - a) * photo[3:11, 5:15] + a * mark.rgb, atol=1e-6)
    np.testing.assert_allclose(alpha[3:11, 5:15], mark.alpha, atol=1e-6)
    np.testing.assert_allclose(colour[3:11, 5:15] * a, mark.rgb * a, atol=1e-6)


def test_pixels_outside_the_mark_are_the_photographs_own(photo):
    marked, alpha, _ = composite(photo, [PlacedMark(make_mark(8, 10, seed=1), left=5, top=3)])
    outside = np.ones(alpha.shape, bool)
    outside[3:11, 5:15] = False
    assert np.array_equal(marked[outside], photo[outside])
    assert not alpha[outside].any()


def test_the_second_mark_lies_over_the_first(photo):
    first, second = make_mark(24, 32, seed=1), make_mark(24, 32, seed=2)
    marked, alpha, colour = composite(photo, [PlacedMark(first, 0, 0), PlacedMark(second, 0, 0)])
    one_by_one, _, _ = composite(photo, [PlacedMark(first, 0, 0)])
    one_by_one, _, _ = composite(one_by_one, [PlacedMark(second, 0, 0)])
    np.testing.assert_allclose(marked, one_by_one, atol=1e-6)
    np.testing.assert_allclose(alpha, 1 - (1 - first.alpha) * (1 - second.alpha), atol=1e-6)
    np.testing.assert_allclose(marked, (1 - alpha[..., None]) * photo + alpha[..., None] * colour, atol=1e-5)


@given(left=st.integers(-60, 60), top=st.integers(-60, 60), seed=st.integers(0, 100))
def test_a_mark_may_reach_over_any_edge(left, top, seed):
    photo = np.random.default_rng(0).uniform(0, 1, (24, 32, 3)).astype(np.float32)
    mark = make_mark(12, 40, seed)
    marked, alpha, colour = composite(photo, [PlacedMark(mark, left, top)])
    assert marked.shape == photo.shape
    assert marked.dtype == alpha.dtype == colour.dtype == np.float32
    assert 0 <= alpha.min() <= alpha.max() <= 1
    np.testing.assert_allclose(marked, (1 - alpha[..., None]) * photo + alpha[..., None] * colour, atol=1e-5)
