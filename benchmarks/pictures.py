"""Photographs for the benchmarks: scikit-image's, cropped and scaled; three of four get a mark."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from cleanplate.marks import find_assets, sample_marked

KINDS = ("text", "logo", "tiled", None)


def draw_photographs(folder: Path, count: int, *, width: int, height: int, seed: int = 0) -> list[Path]:
    """JPEG files; in turn with lettering, with a logo, with a tiled mark, and clean."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    assets = find_assets(None, None, None)
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        rgb = _crop(pictures[number // len(KINDS) % len(pictures)], rng, width / height)
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
        kind = KINDS[number % len(KINDS)]
        if kind is not None:
            opacity = float(rng.uniform(0.35, 0.8))
            rgb = sample_marked(rgb, rng, assets, kind=kind, opacity=opacity).marked
        path = folder / f"{number:05}.jpg"
        _, encoded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        path.write_bytes(encoded.tobytes())
        paths.append(path)
    return paths


def link_photographs(photographs: list[Path], folder: Path, count: int) -> None:
    """`count` names for the same few files: hard links, or copies where the file system has none."""
    folder.mkdir(parents=True)
    for number in range(count):
        source = photographs[number % len(photographs)]
        target = folder / f"{number:06}{source.suffix}"
        try:
            os.link(source, target)
        except OSError:
            shutil.copy(source, target)


def _crop(picture: np.ndarray, rng: np.random.Generator, shape: float) -> np.ndarray:
    """A random piece of 0.7 to 1 of the picture, of the wanted width by height."""
    height, width = picture.shape[:2]
    scale = rng.uniform(0.7, 1.0) * min(width / shape, height)
    w, h = int(scale * shape), int(scale)
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return np.ascontiguousarray(picture[top : top + h, left : left + w])
