"""HEIC: how finely colours are stored, and what loses nothing."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray

from cleanplate.images.read import read
from cleanplate.images.write import write
from tests.images import pictures


def stored(folder: Path, *, asked: int | None = None, **options: Any) -> tuple[NDArray[np.int64], Any]:
    """How far the result is from what was to be stored, and pillow-heif's view of the result."""
    pillow_heif.from_pillow(pictures.picture()).save(folder / "in.heic", **options)
    photo = read(folder / "in.heic", max_megapixels=1)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[4:16, 4:20] = True
    rgb[4:16, 4:20] = photo.rgb[20:32, 20:36]
    report = write(photo, rgb, changed, folder / "out.heic", temporary_dir=folder / "tmp", quality=asked)
    assert report.notes == ()
    result = (folder / "out.heic").read_bytes()
    difference = np.abs(read(folder / "out.heic", max_megapixels=1).rgb.astype(np.int64) - rgb)
    return difference, pillow_heif.open_heif(io.BytesIO(result))


@pytest.mark.parametrize("chroma", [420, 422, 444])
def test_the_subsampling_is_the_inputs(chroma: int, tmp_path: Path) -> None:
    difference, result = stored(tmp_path, quality=90, chroma=chroma)
    assert result.info["chroma"] == chroma
    if chroma == 444:
        assert difference.max() < 12


@pytest.mark.parametrize("asked", [None, 20])
def test_what_was_stored_without_loss_stays_so(asked: int | None, tmp_path: Path) -> None:
    difference, result = stored(tmp_path, asked=asked, quality=-1, chroma=444)
    assert result.info["chroma"] == 444
    assert difference.max() <= 1  # RGB and the file's colours are rounded to each other


def test_a_quality_that_is_asked_for_is_taken_where_something_is_lost_anyway(tmp_path: Path) -> None:
    fine, _ = stored(tmp_path, quality=90, chroma=444)
    coarse, _ = stored(tmp_path, asked=20, quality=90, chroma=444)
    assert coarse.mean() > 2 * fine.mean()
