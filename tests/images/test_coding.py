"""What a file's coding does to its pixels; how a JPEG file was rounded is read from its own tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleanplate.images.coding import keeps_pixels
from cleanplate.images.container import Container, Samples
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


@pytest.mark.parametrize(
    ("format", "options", "expected"),
    [
        ("PNG", {}, True),
        ("BMP", {}, True),
        ("TIFF", {"compression": "raw"}, True),
        ("TIFF", {"compression": "tiff_lzw"}, True),
        ("TIFF", {"compression": "jpeg"}, False),
        ("WEBP", {"lossless": True}, True),
        ("WEBP", {"quality": 90}, False),
        ("JPEG", {"quality": 100}, False),
        ("AVIF", {"quality": 100}, False),
    ],
)
def test_a_format_keeps_pixels_or_does_not(
    format: str, options: dict[str, object], expected: bool, tmp_path: Path
) -> None:
    photo = read_saved(tmp_path / "a", format, **options)
    assert keeps_pixels(photo.container) is expected


def test_heic_files_do_not_keep_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(pictures.heic_file())
    assert not keeps_pixels(read(tmp_path / "a.heic", max_megapixels=1).container)


def test_a_webp_container_that_was_built_for_writing_is_taken_as_lossy() -> None:
    samples = Samples("RGB", np.zeros((1, 1, 3), np.uint8))
    assert not keeps_pixels(Container(format="WEBP", samples=samples))
