"""Lettering that belongs to the scene (signs, shirts, number plates).

It is drawn into training photographs and labelled clean, so that a finder learns to leave it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.marks import draw
from cleanplate.marks.assets import Assets
from cleanplate.marks.words import choose_words


def draw_scene_text(rgb_u8: NDArray[np.uint8], rng: np.random.Generator, assets: Assets) -> NDArray[np.uint8]:
    """The photograph with a sign in it: perspective, the scene's own light, its blur and its grain.

    rgb_u8: (H, W, 3). Returns a new array of the same shape.
    """
    height, width = rgb_u8.shape[:2]
    sign = _draw_sign(rng, assets, max(24, round(width * float(rng.uniform(0.08, 0.35)))))
    corners, left, top = _choose_corners(sign.shape[0], sign.shape[1], height, width, rng)
    sign_height, sign_width = sign.shape[:2]
    source = np.array([[0, 0], [sign_width, 0], [sign_width, sign_height], [0, sign_height]], np.float32)
    warp = cv2.getPerspectiveTransform(source, corners + np.array([left, top], np.float32))
    premultiplied = np.dstack([sign[..., :3] * sign[..., 3:], sign[..., 3]])
    placed = cv2.warpPerspective(premultiplied, warp, (width, height), flags=cv2.INTER_AREA)
    placed = cv2.GaussianBlur(placed, (0, 0), float(rng.uniform(0.4, 1.8)))
    rgb = rgb_u8.astype(np.float32) / 255
    light = cv2.GaussianBlur(rgb.mean(axis=2), (0, 0), max(2.0, sign_width / 12))
    shading = np.clip(0.35 + 0.9 * light, 0.2, 1.0)[..., None]
    grain = rng.normal(0, float(rng.uniform(0.005, 0.03)), rgb.shape).astype(np.float32)
    alpha = placed[..., 3:]
    mixed = rgb * (1 - alpha) + placed[..., :3] * shading + grain * alpha
    return np.asarray(np.round(np.clip(mixed, 0, 1) * 255), np.uint8)


def _draw_sign(rng: np.random.Generator, assets: Assets, width_px: int) -> NDArray[np.float32]:
    scripts = assets.scripts
    script = scripts[int(rng.integers(len(scripts)))]
    words = choose_words(rng, script)
    probe = assets.choose_font(rng, script, 32)
    size_px = int(np.clip(32 * width_px / max(1.0, float(probe.getlength(words))), 9, 120))
    dark, light = (float(c) for c in rng.uniform([0, 0.6], [0.4, 1.0]))
    ink, board = ((dark,) * 3, (light,) * 3) if rng.random() < 0.5 else ((light,) * 3, (dark,) * 3)
    if rng.random() < 0.5:
        red, green, blue = (float(c) for c in rng.uniform(0, 1, 3))
        board = (red, green, blue)
    shape = draw.draw_text(words, probe.font_variant(size=size_px), draw.TextStyle(colour=ink))
    if rng.random() < 0.7:  # on a board of its own; else painted onto what is there
        margin = max(2, size_px // 3)
        shape = np.pad(shape, ((margin, margin), (margin, margin), (0, 0)))
        alpha = shape[..., 3:]
        shape = np.dstack(
            [shape[..., :3] * alpha + np.asarray(board, np.float32) * (1 - alpha), np.ones_like(alpha)]
        )
    return np.ascontiguousarray(shape, np.float32)


def _choose_corners(
    sign_height: int, sign_width: int, height: int, width: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], int, int]:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    bent = square + rng.uniform(-0.22, 0.22, (4, 2)).astype(np.float32)
    corners = bent * np.array([sign_width, sign_height], np.float32)
    left = int(rng.integers(0, max(1, width - sign_width)))
    top = int(rng.integers(0, max(1, height - sign_height)))
    return corners, left, top
