"""How coarsely a JPEG file was rounded is read from its own tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleanplate.images.read import read
from cleanplate.structures import Photo
from tests.images import pictures


def read_saved(path: Path, format: str, **options: object) -> Photo:
    path.write_bytes(pictures.saved(pictures.picture(), format, **options))
    return read(path, max_megapixels=200)


@pytest.mark.parametrize(
    ("subsampling", "halved"),
    [("4:4:4", (False, False)), ("4:2:2", (True, False)), ("4:2:0", (True, True))],
)
def test_a_jpeg_file_says_its_steps(subsampling: str, halved: tuple[bool, bool], tmp_path: Path) -> None:
    photo = read_saved(tmp_path / "a.jpg", "JPEG", quality=90, subsampling=subsampling)
    with Image.open(tmp_path / "a.jpg") as picture:
        luma, chroma = (picture.quantization[at] for at in (0, 1))  # type: ignore[attr-defined]  # a JPEG file
    assert photo.quantisation is not None
    assert photo.quantisation.halved == halved
    assert photo.quantisation.luma.ravel().tolist() == luma
    assert photo.quantisation.chroma.ravel().tolist() == chroma
    assert photo.quantisation.luma[7, 7] > photo.quantisation.luma[0, 0]


def test_a_picture_that_is_turned_upright_has_its_steps_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = read_saved(tmp_path / "a.jpg", "JPEG", quality=80, subsampling="4:2:2")
    turned = read_saved(tmp_path / "b.jpg", "JPEG", quality=80, subsampling="4:2:2", exif=exif)
    assert plain.quantisation is not None
    assert turned.quantisation is not None
    assert np.array_equal(turned.quantisation.luma, plain.quantisation.luma.T)
    assert turned.quantisation.halved == (False, True)


def test_grey_files_have_one_table_and_other_formats_none(tmp_path: Path) -> None:
    path = tmp_path / "grey.jpg"
    path.write_bytes(pictures.saved(pictures.picture("L"), "JPEG", quality=80))
    grey = read(path, max_megapixels=200).quantisation
    assert grey is not None
    assert np.array_equal(grey.luma, grey.chroma)
    assert read_saved(tmp_path / "a.png", "PNG").quantisation is None
