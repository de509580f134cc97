"""Lettering and plain shapes of the scene's own."""

import cv2
import numpy as np
import pytest
from skimage import data

from cleanplate.marks import Assets
from cleanplate.marks.scene import SHAPES, draw_scene_shape, draw_scene_text


def test_a_sign_is_drawn_in_one_place_and_repeats():
    photo = np.ascontiguousarray(data.astronaut()[:256, :320])
    for seed in range(5):
        signed = draw_scene_text(photo, np.random.default_rng(seed), Assets())
        assert signed.shape == photo.shape
        assert signed.dtype == np.uint8
        changed = np.abs(signed.astype(int) - photo).max(axis=2) > 8
        assert 0 < changed.mean() < 0.6
        np.testing.assert_array_equal(signed, draw_scene_text(photo, np.random.default_rng(seed), Assets()))


def test_the_photograph_itself_is_left_alone():
    photo = np.full((200, 300, 3), 90, np.uint8)
    draw_scene_text(photo, np.random.default_rng(0), Assets())
    assert (photo == 90).all()


def test_shapes_are_drawn_the_same_for_the_same_seed_and_nowhere_else() -> None:
    photo = np.full((180, 240, 3), 120, np.uint8)
    shares = []
    for seed in range(6 * len(SHAPES)):
        shown = draw_scene_shape(photo, np.random.default_rng(seed))
        np.testing.assert_array_equal(shown, draw_scene_shape(photo, np.random.default_rng(seed)))
        assert shown.shape == photo.shape
        assert shown.dtype == np.uint8
        shares.append(float((shown != photo).any(axis=2).mean()))
    assert 0.01 < np.median(shares) < 0.6


def test_a_shape_is_lit_and_grained_as_the_scene_is() -> None:
    photo = np.full((300, 400, 3), 120, np.uint8)
    seen = 0
    for seed in range(20):
        shown = draw_scene_shape(photo, np.random.default_rng(seed))
        inner = cv2.erode((shown != photo).any(axis=2).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        if inner.sum() > 400:
            seen += 1
            assert len(np.unique(shown[inner], axis=0)) > 3
    assert seen > 5


@pytest.mark.parametrize("size", [(1, 1), (3, 400), (16, 16)])
def test_a_photograph_of_any_size_takes_a_shape(size: tuple[int, int]) -> None:
    photo = np.full((*size, 3), 120, np.uint8)
    for seed in range(10):
        assert draw_scene_shape(photo, np.random.default_rng(seed)).shape == photo.shape
