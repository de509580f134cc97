"""Photographs to train on, drawn: smooth light with shapes and grain."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.marks import Assets
from cleanplate.train.examples import ExampleSource


def draw_photo(seed: int, height: int = 150, width: int = 200) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(40, 220, (5, 6, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(4):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        colour = tuple(float(c) for c in rng.uniform(0, 255, 3))
        cv2.circle(picture, at, int(rng.integers(8, 40)), colour, -1)
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)


def write_photos(folder: Path, count: int) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / f"photo-{n:02d}.jpg" for n in range(count))
    for n, path in enumerate(paths):
        path.write_bytes(cv2.imencode(".jpg", draw_photo(n))[1].tobytes())
    return paths


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> tuple[Path, ...]:
    return write_photos(tmp_path_factory.mktemp("photos"), 4)


@pytest.fixture
def source(photos) -> ExampleSource:
    return ExampleSource(photos=photos, assets=Assets(), crop_px=64, per_photo=2, scene_text_share=0.5)
