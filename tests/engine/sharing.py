"""Folders of photographs that share a mark, for the tests: parts of pictures that scikit-image carries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ImageFont
from skimage import data

from cleanplate.marks import PlacedMark, composite, draw
from cleanplate.marks.sample import encode_jpeg
from cleanplate.structures import FloatArray, Mark

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "retina", "hubble_deep_field", "immunohistochemistry")
SIZE = (200, 280)


def draw_mark(opacity: float = 0.55, colour: draw.Colour = (1.0, 1.0, 1.0), text: str = "Anna Berg") -> Mark:
    style = draw.TextStyle(colour=colour)
    shape = draw.draw_text(text, ImageFont.load_default(30), style)
    return draw.finish(shape, opacity, "text")


def cut_photograph(number: int, size: tuple[int, int] = SIZE) -> FloatArray:
    picture = getattr(data, NAMES[number % len(NAMES)])()[..., :3]
    rng = np.random.default_rng(number)
    top = int(rng.integers(picture.shape[0] - size[0] + 1))
    left = int(rng.integers(picture.shape[1] - size[1] + 1))
    return np.asarray(picture[top : top + size[0], left : left + size[1]], np.float32) / np.float32(255)


def write_folder(
    folder: Path,
    count: int = 9,
    *,
    mark: Mark | None = None,
    jitter_px: int = 0,
    grow_px: int = 0,
    first: int = 0,
    also: Callable[[int], Mark] | None = None,
) -> dict[Path, FloatArray]:
    """The photographs without their mark, by their file.

    grow_px: by how much one is larger than the last. first: the number of the first one. also: another mark
    for each, near the left upper corner.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clean = {}
    rng = np.random.default_rng(5)
    for number in range(first, first + count):
        size = (SIZE[0] + grow_px * number, SIZE[1] + grow_px * number)
        rgb = cut_photograph(number, size)
        path = folder / f"{number:02}.jpg"
        clean[path] = rgb
        marked = rgb
        if mark is not None:
            left, top = find_place(mark, size)
            off = rng.integers(-jitter_px, jitter_px + 1, 2)
            placed = [PlacedMark(mark, left + int(off[0]), top + int(off[1]))]
            placed += [] if also is None else [PlacedMark(also(number), 14, 12)]
            marked, _, _ = composite(rgb, placed)
        path.write_bytes(encode_jpeg(np.rint(np.clip(marked, 0, 1) * 255).astype(np.uint8), 92))
    return clean


def find_place(mark: Mark, size: tuple[int, int] = SIZE) -> tuple[int, int]:
    """(left, top) of the mark on a photograph of this size, as `write_folder` puts it."""
    height, width = mark.alpha.shape
    return size[1] - width - 24, size[0] - height - 24
