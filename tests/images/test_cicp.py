"""Colours that are described by numbers: kept by their format, and said by a profile in another."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from cleanplate.images import chunks, cicp
from cleanplate.images.read import read
from cleanplate.images.write import write
from tests.images import pictures


def with_numbers(format: str, pair: tuple[int, int], mode: str = "RGB") -> bytes:
    """The photograph with its colours described by a pair of numbers."""
    if format == "PNG":
        own = pictures.chunk(b"cICP", bytes([*pair, 0, 1]))
        return pictures.with_chunks(pictures.saved(pictures.picture(mode), "PNG"), own)
    data = bytearray(
        pictures.heic_file(mode)
        if format == "HEIF"
        else pictures.saved(pictures.picture(mode), "AVIF", quality=95)
    )
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", *pair)
    return bytes(data)


def convert(folder: Path, data: bytes, format: Any = "keep") -> tuple[bytes, tuple[str, ...]]:
    (folder / "in").write_bytes(data)
    photo = read(folder / "in", max_megapixels=1)
    rgb, changed = photo.rgb.copy(), np.zeros(photo.rgb.shape[:2], bool)
    changed[:8, :8] = True
    rgb[changed] = 9
    report = write(photo, rgb, changed, folder / "out", temporary_dir=folder / "tmp", format=format)
    return (folder / "out").read_bytes(), report.notes


@pytest.mark.parametrize("format", ["AVIF", "HEIF", "PNG"])
@pytest.mark.parametrize("pair", [(12, 13), (9, 16), (1, 13)])
def test_the_numbers_are_kept(format: str, pair: tuple[int, int], tmp_path: Path) -> None:
    result, notes = convert(tmp_path, with_numbers(format, pair))
    (tmp_path / "again").write_bytes(result)
    assert read(tmp_path / "again", max_megapixels=1).container.metadata.cicp == pair
    assert notes == ()


def test_only_the_meaning_of_the_colours_is_patched() -> None:
    data = with_numbers("AVIF", (1, 13))
    at = data.index(b"colrnclx") + 8
    patched = cicp.with_box(data, (12, 16))
    assert patched[at : at + 4] == bytes([0, 12, 0, 16])
    assert patched[at + 4 :] == data[at + 4 :]
    assert patched[:at] == data[:at]
    assert cicp.with_box(b"no box", (12, 16)) == b"no box"
    assert cicp.read_box(b"colrnclx") is None


@pytest.mark.parametrize(
    ("format", "target"),
    [("AVIF", "png"), ("AVIF", "jpeg"), ("HEIF", "png"), ("HEIF", "webp"), ("PNG", "jpeg"), ("PNG", "webp")],
)
def test_display_p3_becomes_a_profile_in_another_format(format: str, target: Any, tmp_path: Path) -> None:
    result, notes = convert(tmp_path, with_numbers(format, (12, 13)), target)
    with Image.open(io.BytesIO(result)) as after:
        assert after.info["icc_profile"] == cicp.make_profile((12, 13))
    assert notes == ()


# Source: the matrices of CSS Color 4, from linear light to XYZ under D65, and the other way for sRGB.
TO_XYZ = {
    12: [
        [0.48657095, 0.26566769, 0.19821729],
        [0.22897456, 0.69173852, 0.07928691],
        [0, 0.04511338, 1.04394437],
    ],
    9: [
        [0.63695805, 0.14461690, 0.16888098],
        [0.26270021, 0.67799807, 0.05930172],
        [0, 0.02807269, 1.06098506],
    ],
}
TO_SRGB = [
    [3.24096994, -1.53738318, -0.49861076],
    [-0.96924364, 1.8759675, 0.04155506],
    [0.05563008, -0.20397696, 1.05697151],
]


@pytest.mark.parametrize("primaries", [9, 12])
def test_the_profile_says_what_the_numbers_say(primaries: int) -> None:
    profile = cicp.make_profile((primaries, 13))
    assert profile is not None
    own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    assert ImageCms.getProfileDescription(own).strip() == {9: "BT.2020", 12: "Display P3"}[primaries]
    values = np.array([[120, 130, 110], [200, 190, 180], [60, 70, 66], [255, 255, 255], [0, 0, 0]])
    light = np.where(values / 255 <= 0.04045, values / 255 / 12.92, ((values / 255 + 0.055) / 1.055) ** 2.4)
    srgb = light @ np.array(TO_XYZ[primaries]).T @ np.array(TO_SRGB).T
    expected = 255 * np.where(srgb <= 0.0031308, srgb * 12.92, 1.055 * srgb.clip(0) ** (1 / 2.4) - 0.055)
    picture = Image.fromarray(values.astype(np.uint8)[None])
    shown = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"))
    assert shown is not None
    assert np.abs(np.asarray(shown)[0] - expected).max() <= 1.5
    assert np.abs(expected - values).max() > 2
    assert profile[24:30] == bytes([7, 234, 0, 1, 0, 1])


def test_what_no_profile_can_say_is_noted(tmp_path: Path) -> None:
    data = with_numbers("AVIF", (9, 16))
    result, notes = convert(tmp_path, data, "jpeg")
    assert notes == ("its colours will look different: JPEG cannot say what they were (HDR, for example)",)
    result, notes = convert(tmp_path, data, "png")
    assert chunks.data_of(chunks.read_chunks(result), b"cICP") == bytes([9, 16, 0, 1])
    assert notes == ("its colours are described in a way (cICP) that not every program knows",)


def test_usual_colours_grey_and_profiles_need_no_word(tmp_path: Path) -> None:
    own = pictures.saved(pictures.picture(), "AVIF", icc_profile=pictures.profile())
    at = own.index(b"colrnclx") + 8
    profiled = own[:at] + bytes([0, 12]) + own[at + 2 :]
    for data in (with_numbers("AVIF", (1, 1)), with_numbers("PNG", (12, 13), "L"), profiled):
        result, notes = convert(tmp_path, data, "jpeg" if data.startswith(b"\x89") else "png")
        assert notes == ()
        with Image.open(io.BytesIO(result)) as after:
            assert after.info.get("icc_profile") == (pictures.profile() if data is profiled else None)
        assert b"cICP" not in result
