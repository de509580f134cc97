"""Patches: they go on with what is drawn round the hole, where a membrane is smooth."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from cleanplate.metrics import masked_rmse
from cleanplate.remove.inpaint import fill_with_membrane, fill_with_telea
from cleanplate.remove.patchmatch import fill_with_patches
from cleanplate.structures import BoolArray, FloatArray

from .scenes import letters, photograph

HEIGHT, WIDTH = 96, 144


def draw_bricks() -> FloatArray:
    """Red bricks in bond, light joints."""
    picture = np.full((HEIGHT, WIDTH, 3), 0.75, np.float32)
    for row in range(0, HEIGHT, 12):
        for left in range(-24, WIDTH, 24):
            start = left + (12 if row // 12 % 2 else 0)
            cv2.rectangle(picture, (start, row), (start + 21, row + 9), (0.55, 0.25, 0.2), -1)
    return picture


def draw_diagonals() -> FloatArray:
    """Dark lines across a light ground."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wave = 0.5 + 0.4 * np.sign(np.sin((rows + columns) * 2 * np.pi / 16))
    return np.repeat(cv2.GaussianBlur(wave.astype(np.float32), (0, 0), 0.8)[..., None], 3, axis=2)


def draw_two_fields() -> FloatArray:
    """An edge that the hole interrupts: a bright field over a dark one."""
    picture = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)
    picture[: HEIGHT // 2] = (0.5, 0.7, 0.9)
    return picture


def draw_hole() -> BoolArray:
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[32:62, 40:96] = True
    return hole


def hide(picture: FloatArray, hole: BoolArray) -> FloatArray:
    return np.where(hole[..., None], np.float32(1), picture)


@pytest.mark.parametrize("draw", [draw_bricks, draw_diagonals, draw_two_fields])
def test_drawn_textures_go_on_better_than_with_smooth_fills(draw: Callable[[], FloatArray]) -> None:
    picture, hole = draw(), draw_hole()
    errors = [
        masked_rmse(fill(hide(picture, hole), hole), picture, hole)
        for fill in (fill_with_patches, fill_with_membrane, fill_with_telea)
    ]
    assert errors[0] < 0.5 * min(errors[1:])


def test_grain_keeps_its_strength() -> None:
    rng = np.random.default_rng(0)
    grain = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH, 3)), (0, 0), 1.0)
    picture, hole = (0.5 + 0.3 * grain).astype(np.float32), draw_hole()
    inside = cv2.erode(hole.astype(np.uint8), np.ones((13, 13))) > 0
    wanted = float(picture[~hole].std())
    patches = float(fill_with_patches(hide(picture, hole), hole)[inside].std())
    membrane = float(fill_with_membrane(hide(picture, hole), hole)[inside].std())
    assert membrane < 0.4 * wanted
    assert 0.6 * wanted < patches < 1.2 * wanted


def test_there_is_no_step_at_the_holes_edge() -> None:
    """Light falls off across the picture: patches from elsewhere have another tone, and are moved to it."""
    ramp = np.linspace(0.2, 0.8, WIDTH, dtype=np.float32)[None, :, None]
    picture, hole = np.tile(ramp, (HEIGHT, 1, 3)), draw_hole()
    filled = fill_with_patches(hide(picture, hole), hole)
    beside = np.abs(np.diff(filled, axis=1))[45]
    assert beside[[39, 95]].max() < 0.02
    assert masked_rmse(filled, picture, hole) < 0.03


def test_what_is_known_is_kept_and_the_same_seed_gives_the_same() -> None:
    picture = photograph()
    hole = letters(*picture.shape[:2]) > 0.1
    filled = fill_with_patches(hide(picture, hole), hole)
    assert filled.dtype == np.float32
    assert np.array_equal(filled[~hole], picture[~hole])
    assert 0 <= filled.min() <= filled.max() <= 1
    assert np.array_equal(filled, fill_with_patches(hide(picture, hole), hole))
    assert not np.array_equal(filled, fill_with_patches(hide(picture, hole), hole, seed=1))
    assert masked_rmse(filled, picture, hole) < 1.5 * masked_rmse(
        fill_with_membrane(hide(picture, hole), hole), picture, hole
    )


def test_what_the_hole_hides_does_not_matter() -> None:
    picture, hole = draw_bricks(), draw_hole()
    dark = np.where(hole[..., None], np.float32(0), picture)
    assert np.array_equal(fill_with_patches(dark, hole), fill_with_patches(hide(picture, hole), hole))


@pytest.mark.parametrize("where", [np.s_[:20, :30], np.s_[70:, :], np.s_[:, 130:], np.s_[40, :]])
def test_holes_may_reach_the_pictures_edges(where: tuple[slice, slice]) -> None:
    picture, hole = draw_bricks(), np.zeros((HEIGHT, WIDTH), bool)
    hole[where] = True
    assert masked_rmse(fill_with_patches(hide(picture, hole), hole), picture, hole) < 0.12


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 20), (7, 7), (8, 9), (25, 31)])
def test_small_pictures_are_filled_however_little_is_known(height: int, width: int) -> None:
    picture = np.full((height, width, 3), 0.25, np.float32)
    hole = np.zeros((height, width), bool)
    hole[height // 2, width // 2 :] = True
    filled = fill_with_patches(hide(picture, hole), hole)
    assert filled.shape == picture.shape
    if not hole.all():
        assert np.allclose(filled, 0.25, atol=1e-5)


def test_where_no_patch_is_known_a_membrane_fills_and_nothing_masked_changes_nothing() -> None:
    picture, every = photograph(20, 30), np.ones((20, 30), bool)
    assert np.allclose(fill_with_patches(picture, every), 0.5)
    net = np.zeros((20, 30), bool)
    net[::4] = net[:, ::4] = True
    assert np.array_equal(fill_with_patches(picture, net), fill_with_membrane(picture, net))
    assert fill_with_patches(picture, ~every) is picture
