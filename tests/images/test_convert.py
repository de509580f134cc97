"""What other formats cannot hold, and what is said about it."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cleanplate.images.read import read
from cleanplate.images.write import compose_native, write
from tests.images import pictures


def convert(folder: Path, data: bytes, format: Any) -> tuple[Image.Image, tuple[str, ...]]:
    """A picture that was not changed, in another format."""
    (folder / "in").write_bytes(data)
    photo = read(folder / "in", max_megapixels=10)
    nothing = np.zeros((photo.height, photo.width), bool)
    report = write(photo, photo.rgb, nothing, folder / "out", temporary_dir=folder / "tmp", format=format)
    with Image.open(folder / "out") as image:
        image.load()
        return image, report.notes


@pytest.mark.parametrize("format", ["png", "webp"])
def test_cmyk_becomes_rgb_and_loses_its_profile(format: str, tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture("CMYK"), "TIFF", icc_profile=pictures.cmyk_profile())
    image, notes = convert(tmp_path, data, format)
    assert image.mode == "RGB"
    assert "icc_profile" not in image.info
    assert notes == ("CMYK became RGB (sRGB), without its CMYK profile",)


def test_cmyk_goes_into_jpeg_as_it_is(tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture("CMYK"), "TIFF", icc_profile=pictures.cmyk_profile())
    image, notes = convert(tmp_path, data, "jpeg")
    assert image.mode == "CMYK"
    assert image.info["icc_profile"] == pictures.cmyk_profile()
    assert notes == ()


def test_a_cmyk_profile_decides_how_the_inks_are_seen_and_mixed(tmp_path: Path) -> None:
    source = pictures.picture("CMYK")
    (tmp_path / "in").write_bytes(pictures.saved(source, "TIFF", icc_profile=pictures.cmyk_profile()))
    photo = read(tmp_path / "in", max_megapixels=1)
    plain = np.array(source.convert("RGB"))
    # The profile of the tests is lighter than plain arithmetic: its black ink is a dark grey.
    assert np.abs(photo.rgb.astype(int) - plain).mean() > 5
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[4:20, 4:20] = True
    rgb[changed] = 140
    composed = compose_native(photo, rgb, changed).samples.array
    np.testing.assert_array_equal(composed[~changed], np.array(source)[~changed])
    write(photo, rgb, changed, tmp_path / "out", temporary_dir=tmp_path / "tmp")
    result = read(tmp_path / "out", max_megapixels=1)
    assert np.abs(result.rgb[changed].astype(int) - 140).max() < 30


@pytest.mark.parametrize(("mode", "becomes"), [("LA", "L"), ("RGBA", "RGB")])
def test_transparency_is_laid_on_white_in_jpeg(mode: str, becomes: str, tmp_path: Path) -> None:
    image, notes = convert(tmp_path, pictures.saved(pictures.picture(mode), "PNG"), "jpeg")
    assert image.mode == becomes
    assert notes == ("transparent parts were laid on white: JPEG has no transparency",)
    assert np.array(image)[:, 0].min() > 200


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_of_png_becomes_webp_and_jpeg(mode: str, tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture(mode), "PNG")
    webp, _ = convert(tmp_path, data, "webp")
    assert webp.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")
    jpeg, _ = convert(tmp_path, data, "jpeg")
    assert jpeg.mode == ("L" if mode in ("1", "L", "LA") else "RGB")


def test_a_grey_profile_does_not_fit_webp(tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture("L"), "PNG", icc_profile=pictures.profile())
    image, notes = convert(tmp_path, data, "webp")
    assert "icc_profile" not in image.info
    assert notes == ("the grey colour profile was left out: WebP pictures are RGB",)


@pytest.mark.parametrize(("mode", "key"), [("L", (90,)), ("RGB", None)])
def test_a_transparent_colour_becomes_an_alpha_channel(
    mode: str, key: tuple[int, ...] | None, tmp_path: Path
) -> None:
    source = pictures.picture(mode)
    colour = np.array(source).reshape(48 * 64, -1)[500]
    body = struct.pack(f">{len(colour)}H", *colour.tolist()) if key is None else struct.pack(">H", key[0])
    data = pictures.with_chunks(pictures.saved(source, "PNG"), pictures.chunk(b"tRNS", body))
    with Image.open(io.BytesIO(data)) as before:
        expected = np.array(before.convert("RGBA"))[:, :, 3]
    image, _ = convert(tmp_path, data, "webp")
    assert (expected == 0).any()
    np.testing.assert_array_equal(np.array(image)[:, :, 3], expected)
    unchanged, notes = convert(tmp_path, data, "png")
    assert unchanged.info["transparency"] is not None
    assert notes == ()


def test_turned_photographs_are_stored_upright_in_another_format(tmp_path: Path) -> None:
    image, _ = convert(tmp_path, pictures.rotated("JPEG", 6), "png")
    assert image.size == (pictures.WIDTH, pictures.HEIGHT)
    assert image.getexif()[0x0112] == 1
    assert np.abs(np.array(image).astype(int) - pictures.photograph()).mean() < 4


def test_what_has_no_place_elsewhere_is_named(tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture(), "JPEG", comment=b"a comment") + b"a film"
    _, notes = convert(tmp_path, data, "webp")
    assert notes == (
        "comments were left out: WebP holds none",
        "left out, as WEBP has no place for it: data after the picture",
    )
    image, notes = convert(tmp_path, data, "png")
    assert image.info["Comment"] == "a comment"
