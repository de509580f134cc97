"""What belongs to the scene and looks like a mark: lettering (signs, shirts, number plates), plain shapes.

They are drawn into training photographs and labelled clean, so that a finder learns to leave them.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.marks import draw
from cleanplate.marks.assets import Assets
from cleanplate.marks.words import choose_words

#: Plain shapes: stripes, a plane with a curved edge, a bar, a disc or ring, a shadow (`draw_scene_shape`).
SHAPES = ("stripes", "plane", "bar", "disc", "shadow")


def draw_scene_text(rgb_u8: NDArray[np.uint8], rng: np.random.Generator, assets: Assets) -> NDArray[np.uint8]:
    """The photograph with a sign in it: perspective, the scene's own light, its blur and its grain.

    rgb_u8: (H, W, 3). Returns a new array of the same shape.
    """
    width = rgb_u8.shape[1]
    sign = _draw_sign(rng, assets, max(24, round(width * float(rng.uniform(0.08, 0.35)))))
    return _place(rgb_u8, sign, rng)


def draw_scene_shape(rgb_u8: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The photograph with a plain shape of one colour or two in it, lit and grained as lettering is.

    What a shirt, a car, a wall or a drawing shows of such is what finders take for logos. rgb_u8: (H, W, 3).
    Returns a new array of the same shape.

    >>> photo = np.full((120, 160, 3), 128, np.uint8)
    >>> shown = draw_scene_shape(photo, np.random.default_rng(0))
    >>> shown.shape, bool((shown != photo).any())
    ((120, 160, 3), True)
    """
    height, width = rgb_u8.shape[:2]
    kind = SHAPES[int(rng.integers(len(SHAPES)))]
    largest = 1.1 if kind in ("plane", "shadow") else 0.5
    edge = min(height, width) * float(np.exp(rng.uniform(np.log(0.06), np.log(largest))))
    long = 3.0 if kind == "bar" else float(np.exp(rng.uniform(-0.7, 0.7)))
    size = max(16, round(edge / max(1.0, long))), max(16, round(edge * long))
    if kind == "bar":
        size = max(4, round(edge * float(rng.uniform(0.02, 0.3)))), size[1]
    shape = _draw_shape(kind, size, rng)
    return _place(rgb_u8, shape, rng, overhang=0.5 if kind != "stripes" else 0.1)


def _place(
    rgb_u8: NDArray[np.uint8], sign: NDArray[np.float32], rng: np.random.Generator, overhang: float = 0.0
) -> NDArray[np.uint8]:
    """A layer (h, w, 4) somewhere in the scene, up to `overhang` of itself beyond the photograph's edges."""
    height, width = rgb_u8.shape[:2]
    corners, left, top = _choose_corners(sign.shape[0], sign.shape[1], height, width, rng, overhang)
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


def _draw_shape(kind: str, size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """(h, w, 4) in [0, 1], straight alpha, drawn at twice the size for soft edges."""
    height, width = size[0] * 2, size[1] * 2
    first, second = _choose_colour(rng), _choose_colour(rng)
    colour = np.broadcast_to(first, (height, width, 3))
    alpha = np.zeros((height, width), np.float32)
    if kind == "stripes":
        count = int(rng.integers(2, 10))
        share = float(rng.uniform(0.25, 0.7))
        phase = np.arange(height, dtype=np.float32)[:, None] / height * count % 1
        alpha[:] = phase < share
        if rng.random() < 0.5:
            colour = np.where((phase < share)[..., None], colour, second)
            alpha[:] = 1
    elif kind == "bar":
        alpha[:] = 1
    elif kind == "disc":
        centre, axes = (width // 2, height // 2), (width // 2 - 2, height // 2 - 2)
        filled = rng.random() < 0.6
        line = -1 if filled else max(1, round(min(size) * float(rng.uniform(0.04, 0.3))))
        axes = axes if filled else (max(1, axes[0] - line // 2), max(1, axes[1] - line // 2))
        cv2.ellipse(alpha, centre, axes, 0, 0, 360, 1.0, line)
    else:
        cv2.fillPoly(alpha, [_draw_outline(height, width, rng)], 1.0)
    if kind == "shadow":
        colour = np.zeros_like(colour)
        alpha *= np.float32(rng.uniform(0.15, 0.6))
        blur = max(1.0, min(size) * float(rng.uniform(0.005, 0.05)))
        alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur), np.float32)
    left, right = (float(light) for light in rng.uniform(0.75, 1.2, 2))
    slope = np.linspace(left, right, width, dtype=np.float32)[None, :, None]
    layer = np.dstack([np.clip(colour * slope, 0, 1), alpha])
    return np.asarray(cv2.resize(layer, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _choose_colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """(3,) in [0, 1], often grey."""
    return rng.uniform(0, 1, 3 if rng.random() < 0.7 else 1).astype(np.float32) * np.ones(3, np.float32)


def _draw_outline(height: int, width: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """(N, 1, 2) points x, y of a closed outline: of straight lines, or as smooth as a few waves."""
    if rng.random() < 0.4:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
        radius = rng.uniform(0.6, 1, len(angles))
    else:
        angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        waves = np.arange(1, 4)
        size, phase = rng.uniform(0, 0.3, 3) / waves, rng.uniform(0, 2 * np.pi, 3)
        radius = 1 + (size[:, None] * np.sin(waves[:, None] * angles + phase[:, None])).sum(0)
        radius /= radius.max()
    points = np.stack([np.cos(angles) * width, np.sin(angles) * height], 1) * radius[:, None] / 2
    placed = np.rint(points + np.array([width / 2, height / 2]))
    return np.asarray(placed[:, None], np.int32)


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
    sign_height: int, sign_width: int, height: int, width: int, rng: np.random.Generator, overhang: float
) -> tuple[NDArray[np.float32], int, int]:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    bent = square + rng.uniform(-0.22, 0.22, (4, 2)).astype(np.float32)
    corners = bent * np.array([sign_width, sign_height], np.float32)
    beyond_x, beyond_y = round(overhang * sign_width), round(overhang * sign_height)
    left = int(rng.integers(-beyond_x, max(1, width - sign_width + beyond_x)))
    top = int(rng.integers(-beyond_y, max(1, height - sign_height + beyond_y)))
    return corners, left, top
