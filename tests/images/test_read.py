from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cleanplate.errors import PhotoError, UnreadablePhotoError, UnsupportedPhotoError
from cleanplate.images.colour import rgb_to_grey
from cleanplate.images.read import read
from cleanplate.structures import Photo
from tests.images import pictures


def read_bytes(folder: Path, name: str, data: bytes, max_megapixels: float = 200) -> Photo:
    path = folder / name
    path.write_bytes(data)
    return read(path, max_megapixels=max_megapixels)


@pytest.mark.parametrize("name", pictures.LOSSLESS)
def test_lossless_files_show_their_pixels(name: str, tmp_path: Path) -> None:
    photo = read_bytes(tmp_path, name, pictures.LOSSLESS[name]())
    mode = name.split(".")[0].split("-")[0]
    assert (photo.height, photo.width) == (pictures.HEIGHT, pictures.WIDTH)
    if mode.startswith("deep"):
        deep = pictures.deep_photograph()
        expected = np.repeat(deep[:, :, :1], 3, axis=2) if mode == "deep1" else deep
        assert photo.rgb.dtype == np.uint16
    else:
        expected = np.array(pictures.picture(mode).convert("RGB"))
        assert photo.rgb.dtype == np.uint8
    # CMYK is computed, so it may round otherwise than Pillow does.
    np.testing.assert_allclose(photo.rgb.astype(int), expected.astype(int), atol=1 if mode == "CMYK" else 0)


@pytest.mark.parametrize("name", pictures.LOSSY)
def test_lossy_files_show_about_their_pixels(name: str, tmp_path: Path) -> None:
    build, _ = pictures.LOSSY[name]
    photo = read_bytes(tmp_path, name, build())
    expected = pictures.photograph()
    if "grey" in name:
        expected = np.repeat(rgb_to_grey(expected)[:, :, None], 3, axis=2)
    assert np.abs(photo.rgb.astype(int) - expected).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_seen_upright(format: str, orientation: int, tmp_path: Path) -> None:
    photo = read_bytes(tmp_path, "turned", pictures.rotated(format, orientation))
    difference = np.abs(photo.rgb.astype(int) - pictures.photograph())
    assert difference.mean() < (4 if format in ("JPEG", "AVIF") else 1e-9)
    assert photo.container.orientation == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_deep_and_large_tiff_files_are_seen_upright(
    channels: int, orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = pictures.deep_file(".tif", channels, orientation)
    photo = read_bytes(tmp_path, "deep.tif", deep)
    np.testing.assert_array_equal(photo.rgb[:, :, 0], pictures.deep_photograph()[:, :, 0])
    assert photo.container.orientation == orientation
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    large = read_bytes(tmp_path, "large.tif", pictures.rotated("TIFF", orientation))
    np.testing.assert_array_equal(large.rgb, pictures.photograph())


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    photo = read_bytes(tmp_path, "really-a-png.jpg", pictures.saved(pictures.picture(), "PNG"))
    assert photo.container.format == "PNG"


BAD: dict[str, tuple[bytes, type[PhotoError], str]] = {
    "empty.jpg": (b"", UnreadablePhotoError, "empty"),
    "text.jpg": (b"hello, I am a text", UnreadablePhotoError, "not an image"),
    "only-start.jpg": (b"\xff\xd8\xff\xe0\x00\x10JFIF", UnreadablePhotoError, "cut off"),
    "no-frame.jpg": (b"\xff\xd8\xff\xd9", UnreadablePhotoError, "no picture"),
    "cut.jpg": (pictures.saved(pictures.picture(), "JPEG")[:-400], UnreadablePhotoError, "truncated"),
    "cut.png": (pictures.saved(pictures.picture(), "PNG")[:-400], UnreadablePhotoError, "truncated"),
    "cut-deep.png": (pictures.deep_file(".png", 3)[:-400], UnreadablePhotoError, "truncated"),
    "cut.webp": (pictures.saved(pictures.picture(), "WEBP")[:-400], UnreadablePhotoError, "truncated"),
    "cut.bmp": (pictures.saved(pictures.picture(), "BMP")[:-400], UnreadablePhotoError, "truncated"),
    "cut.tif": (pictures.saved(pictures.picture(), "TIFF")[:400], UnreadablePhotoError, "damaged"),
    "cut-deep.tif": (pictures.deep_file(".tif", 3)[:-100], UnreadablePhotoError, "damaged"),
    "cut.avif": (pictures.saved(pictures.picture(), "AVIF")[:-200], UnreadablePhotoError, "damaged"),
    "cut.heic": (pictures.heic_file()[:-200], UnreadablePhotoError, "damaged"),
    "start.heic": (pictures.heic_file()[:60], UnreadablePhotoError, "damaged"),
    "layered.psd": (b"8BPS\0\1" + bytes(60), UnsupportedPhotoError, "Photoshop"),
    "still.gif": (pictures.saved(pictures.picture("P"), "GIF"), UnsupportedPhotoError, "GIF"),
    "big.tif": (b"II+\0" + bytes(60), UnsupportedPhotoError, "BigTIFF"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_says_what_is_wrong_and_what_to_do(name: str, tmp_path: Path) -> None:
    data, kind, cause = BAD[name]
    with pytest.raises(kind) as caught:
        read_bytes(tmp_path, name, data)
    assert caught.value.path == tmp_path / name
    assert cause in caught.value.cause
    assert len(caught.value.remedy) > 10


def frames(format: str, **options: object) -> bytes:
    other = Image.fromarray(255 - pictures.photograph())
    return pictures.saved(pictures.picture(), format, save_all=True, append_images=[other], **options)


@pytest.mark.parametrize(
    ("name", "build", "cause"),
    [
        ("a.png", lambda: frames("PNG"), "2 frames"),
        ("a.webp", lambda: frames("WEBP"), "2 frames"),
        ("a.tif", lambda: frames("TIFF"), "2 pages"),
        ("a.avif", lambda: frames("AVIF"), "2 frames"),
        ("a.gif", lambda: frames("GIF"), "GIF"),
        ("a.jpg", lambda: frames("MPO"), "2 pictures"),
    ],
)
def test_several_frames_are_a_named_failure(name: str, build: object, cause: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedPhotoError) as caught:
        read_bytes(tmp_path, name, build())  # type: ignore[operator]
    assert cause in caught.value.cause


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + pictures.chunk(b"IHDR", header)
        + pictures.chunk(b"IDAT", zlib.compress(b""))
        + pictures.chunk(b"IEND", b"")
    )


def huge_jpeg() -> bytes:
    data = bytearray(pictures.saved(pictures.picture(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    return bytes(data)


def huge_bmp() -> bytes:
    data = bytearray(pictures.saved(pictures.picture(), "BMP"))
    data[18:26] = struct.pack("<ii", 60_000, 60_000)
    return bytes(data)


@pytest.mark.parametrize("build", [huge_png, huge_jpeg, huge_bmp])
def test_a_bomb_is_refused_by_its_header(build: object, tmp_path: Path) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(UnsupportedPhotoError) as caught:
        read_bytes(tmp_path, "bomb", build())  # type: ignore[operator]
    assert "3600.0 megapixels" in caught.value.cause
    assert "--max-megapixels" in caught.value.remedy
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "avif", "heic"])
def test_the_limit_of_megapixels_holds_for_every_format(suffix: str, tmp_path: Path) -> None:
    formats = {"jpg": "JPEG", "tif": "TIFF"}
    data = (
        pictures.heic_file()
        if suffix == "heic"
        else pictures.saved(pictures.picture(), formats.get(suffix, suffix.upper()))
    )
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(data)
    pixels = pictures.HEIGHT * pictures.WIDTH / 1e6
    assert read(path, max_megapixels=pixels).width == pictures.WIDTH
    with pytest.raises(UnsupportedPhotoError, match="megapixels"):
        read(path, max_megapixels=pixels * 0.99)


def test_pillows_own_limit_neither_warns_nor_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for suffix, format in (
        ("png", "PNG"),
        ("jpg", "JPEG"),
        ("webp", "WEBP"),
        ("tif", "TIFF"),
        ("bmp", "BMP"),
    ):
        photo = read_bytes(tmp_path, f"a.{suffix}", pictures.saved(pictures.picture(), format))
        assert photo.width == pictures.WIDTH


def test_missing_and_forbidden_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadablePhotoError, match="no such file"):
        read(tmp_path / "nothing.jpg", max_megapixels=1)
    with pytest.raises(UnsupportedPhotoError, match="folder"):
        read(tmp_path, max_megapixels=1)

    def refuse(_path: Path, _mode: str) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadablePhotoError, match="not permitted"):
        read(tmp_path / "a.jpg", max_megapixels=1)

    def break_down(_path: Path, _mode: str) -> io.BytesIO:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", break_down)
    with pytest.raises(UnreadablePhotoError, match="Input/output"):
        read(tmp_path / "a.jpg", max_megapixels=1)


def test_depths_that_would_suffer_are_refused(tmp_path: Path) -> None:
    floats = Image.fromarray(pictures.photograph()[:, :, 0].astype(np.float32))
    with pytest.raises(UnsupportedPhotoError, match="floating point") as caught:
        read_bytes(tmp_path, "float.tif", pictures.saved(floats, "TIFF"))
    assert "16 bits" in caught.value.remedy
    _, colours = cv2.imencode(".tiff", pictures.photograph().astype(np.float32))
    with pytest.raises(UnsupportedPhotoError, match="floating point"):
        read_bytes(tmp_path, "colours.tif", colours.tobytes())
    signed = bytearray(cv2.imencode(".tiff", pictures.photograph())[1].tobytes())
    tag_at = signed.index(struct.pack("<HHI", 0x0153, 3, 3))  # how samples are meant: three numbers elsewhere
    (numbers_at,) = struct.unpack_from("<I", signed, tag_at + 8)
    struct.pack_into("<3H", signed, numbers_at, 2, 2, 2)
    with pytest.raises(UnsupportedPhotoError, match="of a kind that cannot be read"):
        read_bytes(tmp_path, "signed.tif", bytes(signed))
    lab = pictures.saved(Image.new("LAB", (8, 8)), "TIFF")
    with pytest.raises(UnsupportedPhotoError, match="kind LAB"):
        read_bytes(tmp_path, "lab.tif", lab)
    twelve = bytearray(pictures.saved(pictures.picture(), "JPEG"))
    twelve[twelve.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedPhotoError, match="12 bits"):
        read_bytes(tmp_path, "twelve.jpg", bytes(twelve))
    deep = bytearray(pictures.saved(pictures.picture(), "AVIF"))
    deep[deep.index(b"av1C") + 6] |= 0x40
    with pytest.raises(UnsupportedPhotoError, match="more than 8 bits"):
        read_bytes(tmp_path, "deep.avif", bytes(deep))


def test_ten_bit_heic_is_read_with_its_depth(tmp_path: Path) -> None:
    photo = read_bytes(tmp_path, "deep.heic", pictures.heic_file(depth=10))
    assert photo.rgb.dtype == np.uint16
    assert np.abs(photo.rgb.astype(int) - pictures.deep_photograph()).mean() < 2000


def test_heic_without_its_extra_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures.heic_file()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedPhotoError, match=r"pip install 'cleanplate\[heic\]'"):
        read_bytes(tmp_path, "a.heic", data)


def test_several_pictures_in_a_heic_file_are_named(tmp_path: Path) -> None:
    import pillow_heif

    file = pillow_heif.from_pillow(pictures.picture())
    file.add_from_pillow(Image.fromarray(255 - pictures.photograph()))
    target = io.BytesIO()
    file.save(target)
    with pytest.raises(UnsupportedPhotoError, match="2 pictures"):
        read_bytes(tmp_path, "two.heic", target.getvalue())


def test_inverted_sixteen_bit_grey_tiff_is_seen_the_right_way(tmp_path: Path) -> None:
    data = bytearray(pictures.deep_file(".tif", 1))
    at = data.index(struct.pack("<HHI", 0x0106, 3, 1))
    data[at + 8 : at + 10] = b"\0\0"
    photo = read_bytes(tmp_path, "inverted.tif", bytes(data))
    np.testing.assert_array_equal(photo.rgb[:, :, 0], 65535 - pictures.deep_photograph()[:, :, 0])


def test_cmyk_with_a_profile_is_seen_through_it(tmp_path: Path) -> None:
    plain = read_bytes(tmp_path, "plain.tif", pictures.saved(pictures.picture("CMYK"), "TIFF"))
    # A profile that is not one of CMYK is not used.
    wrong = pictures.saved(pictures.picture("CMYK"), "TIFF", icc_profile=pictures.profile())
    np.testing.assert_array_equal(read_bytes(tmp_path, "wrong.tif", wrong).rgb, plain.rgb)
