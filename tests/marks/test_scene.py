"""Lettering of the scene's own."""

import numpy as np
from skimage import data

from cleanplate.marks import Assets
from cleanplate.marks.scene import draw_scene_text


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
