"""What is written: the input outside of the mask, the repair inside, and everything else as it came."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleanplate.errors import UnwritablePhotoError
from cleanplate.images import segments
from cleanplate.images.orientation import to_stored
from cleanplate.images.read import read
from cleanplate.images.write import WriteReport, compose_native, copy_unchanged, write
from cleanplate.structures import Photo
from tests.images import pictures


def load(folder: Path, name: str, data: bytes) -> Photo:
    path = folder / name
    path.write_bytes(data)
    return read(path, max_megapixels=200)


def repaired(photo: Photo) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A rectangle replaced by another piece of the same photograph; rgb is nonsense outside of it."""
    changed = np.zeros((photo.height, photo.width), bool)
    changed[8:24, 10:40] = True
    rgb = np.full_like(photo.rgb, 77)
    rgb[8:24, 10:40] = photo.rgb[24:40, 20:50]
    return rgb, changed


def store(photo: Photo, folder: Path, **options: Any) -> tuple[Photo, WriteReport]:
    rgb, changed = repaired(photo)
    target = folder / "out" / photo.path.name
    report = write(photo, rgb, changed, target, temporary_dir=folder / "tmp", **options)
    return read(target, max_megapixels=200), report


def expected(photo: Photo) -> NDArray[np.int64]:
    rgb, changed = repaired(photo)
    whole: NDArray[np.int64] = np.where(changed[:, :, None], rgb, photo.rgb).astype(np.int64)
    return whole


@pytest.mark.parametrize("name", [*pictures.LOSSLESS, *pictures.LOSSY])
def test_outside_the_mask_the_encoder_gets_the_inputs_own_samples(name: str, tmp_path: Path) -> None:
    build = pictures.LOSSLESS[name] if name in pictures.LOSSLESS else pictures.LOSSY[name][0]
    photo = load(tmp_path, name, build())
    rgb, changed = repaired(photo)
    own = photo.container.samples
    composed = compose_native(photo, rgb, changed).samples
    assert composed.mode == own.mode
    assert composed.array.dtype == own.array.dtype
    np.testing.assert_array_equal(composed.array[~changed], own.array[~changed])
    assert not np.array_equal(composed.array[changed], own.array[changed])
    if own.mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(composed.array[..., -1], own.array[..., -1])


@pytest.mark.parametrize("name", pictures.LOSSLESS)
def test_lossless_files_come_out_exactly(name: str, tmp_path: Path) -> None:
    photo = load(tmp_path, name, pictures.LOSSLESS[name]())
    result, report = store(photo, tmp_path)
    assert result.container.format == photo.container.format
    assert result.container.samples.mode == photo.container.samples.mode
    assert result.rgb.dtype == photo.rgb.dtype
    np.testing.assert_allclose(result.rgb.astype(int), expected(photo), atol=1 if "CMYK" in name else 0)
    if photo.container.samples.mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(
            result.container.samples.array[..., -1], photo.container.samples.array[..., -1]
        )
    assert report.notes == ()


@pytest.mark.parametrize("name", pictures.LOSSY)
def test_lossy_files_come_out_close(name: str, tmp_path: Path) -> None:
    build, tolerance = pictures.LOSSY[name]
    photo = load(tmp_path, name, build())
    result, _ = store(photo, tmp_path)
    assert result.container.format == photo.container.format
    assert result.container.samples.mode == photo.container.samples.mode
    assert np.abs(result.rgb.astype(int) - expected(photo)).mean() < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_every_orientation_is_stored_as_it_came(format: str, orientation: int, tmp_path: Path) -> None:
    data = (
        pictures.heic_file(orientation=orientation)
        if format == "HEIF"
        else pictures.rotated(format, orientation)
    )
    photo = load(tmp_path, "turned", data)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[4:20, 6:30] = True
    rgb[changed] = 200
    own = photo.container.samples.array
    composed = compose_native(photo, rgb, changed).samples.array
    outside = ~to_stored(changed, orientation)
    assert composed.shape == own.shape
    np.testing.assert_array_equal(composed[outside], own[outside])
    write(photo, rgb, changed, tmp_path / "result", temporary_dir=tmp_path / "tmp")
    result = read(tmp_path / "result", max_megapixels=1)
    assert result.container.orientation == orientation
    assert result.container.samples.array.shape == own.shape
    assert np.abs(result.rgb.astype(int) - rgb).mean() < 4


def metadata_of(name: str) -> bytes:
    options: dict[str, Any] = {
        "exif": b"Exif\0\0" + pictures.exif_block(),
        "icc_profile": pictures.profile(),
        "xmp": pictures.XMP,
    }
    if name == "a.png":
        info = pictures.saved(pictures.picture(), "PNG", exif=options["exif"], icc_profile=pictures.profile())
        xmp = pictures.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + pictures.XMP)
        return pictures.with_chunks(info, xmp)
    if name == "a.heic":
        return pictures.heic_file()
    if name == "a.tif":
        directory = {0x013B: pictures.ARTIST, 0x8298: pictures.COPYRIGHT, 0x02BC: pictures.XMP}
        return pictures.saved(
            pictures.picture(), "TIFF", tiffinfo=directory, icc_profile=pictures.profile(), dpi=(240, 240)
        )
    formats = {"a.jpg": "JPEG", "a.webp": "WEBP", "a.avif": "AVIF"}
    return pictures.saved(pictures.picture(), formats[name], **options)


def opened(path: Path) -> Image.Image:
    import pillow_heif

    if path.suffix == ".heic":
        return pillow_heif.open_heif(path).to_pillow()
    with Image.open(path) as image:
        image.load()
        return image


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif", "a.heic"])
def test_exif_icc_xmp_and_resolution_are_kept(name: str, tmp_path: Path) -> None:
    photo = load(tmp_path, name, metadata_of(name))
    _, report = store(photo, tmp_path)
    # Pillow is the witness: it reads the blocks without any of our code.
    before, after = opened(tmp_path / name), opened(tmp_path / "out" / name)
    exif = after.getexif()
    assert exif[0x013B] == pictures.ARTIST
    assert exif[0x8298] == pictures.COPYRIGHT
    assert (float(exif[0x011A]), float(exif[0x011B])) == (240, 240)
    if name != "a.tif":
        assert float(exif.get_ifd(0x8769)[0x829A]) == 0.004
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    assert b"(c) 2024 Ada Example" in _xmp_of(after)
    assert report.notes == ()


def _xmp_of(image: Image.Image) -> bytes:
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return found.encode() if isinstance(found, str) else found


@pytest.mark.parametrize("source", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif", "a.heic"])
@pytest.mark.parametrize(("target", "format"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_converting_carries_the_metadata_over(source: str, target: Any, format: str, tmp_path: Path) -> None:
    photo = load(tmp_path, source, metadata_of(source))
    result, _ = store(photo, tmp_path, format=target)
    assert result.container.format == format
    assert np.abs(result.rgb.astype(int) - expected(photo)).mean() < 6
    after = opened((tmp_path / "out" / source).rename(tmp_path / f"result.{target}"))
    exif = after.getexif()
    assert exif[0x013B] == pictures.ARTIST
    assert exif[0x8298] == pictures.COPYRIGHT
    assert after.info.get("icc_profile") == photo.container.metadata.icc
    assert b"(c) 2024 Ada Example" in _xmp_of(after)
    if format == "JPEG":
        assert after.info["dpi"] == (240, 240) or photo.container.metadata.dpi is None


def test_a_write_is_whole_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = load(tmp_path, "a.png", pictures.saved(pictures.picture(), "PNG"))
    target = tmp_path / "out" / "deep" / "a.png"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"what was there")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(UnwritablePhotoError, match="No space left") as caught:
            write(photo, *repaired(photo), target, temporary_dir=tmp_path / "tmp")
    assert caught.value.path == target
    assert target.read_bytes() == b"what was there"
    assert list((tmp_path / "tmp").iterdir()) == []

    report = write(photo, *repaired(photo), target, temporary_dir=tmp_path / "tmp")
    data = target.read_bytes()
    assert report.nbytes == len(data)
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_ctrl_c_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = load(tmp_path, "a.png", pictures.saved(pictures.picture(), "PNG"))

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(photo, *repaired(photo), tmp_path / "out.png", temporary_dir=tmp_path / "tmp")
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "out.png").exists()


def test_a_folder_in_the_way_is_an_error_of_this_photograph(tmp_path: Path) -> None:
    photo = load(tmp_path, "a.png", pictures.saved(pictures.picture(), "PNG"))
    (tmp_path / "out.png" / "inside").mkdir(parents=True)
    with pytest.raises(UnwritablePhotoError):
        write(photo, *repaired(photo), tmp_path / "out.png", temporary_dir=tmp_path / "tmp")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_the_format_cannot_hold_is_an_error_of_this_photograph(tmp_path: Path) -> None:
    long = Image.new("RGB", (16500, 2))
    photo = load(tmp_path, "long.png", pictures.saved(long, "PNG"))
    nothing = np.zeros((2, 16500), bool)
    with pytest.raises(UnwritablePhotoError, match="16383") as caught:
        write(photo, photo.rgb, nothing, tmp_path / "out", temporary_dir=tmp_path / "tmp", format="webp")
    assert "--format png" in caught.value.remedy


def test_a_copy_has_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(pictures.saved(pictures.picture(), "JPEG"))
    report = copy_unchanged(source, tmp_path / "out" / "sub" / "a.jpg", temporary_dir=tmp_path / "tmp")
    assert (tmp_path / "out/sub/a.jpg").read_bytes() == source.read_bytes()
    assert report == WriteReport((), source.stat().st_size, hashlib.sha256(source.read_bytes()).hexdigest())
    with pytest.raises(UnwritablePhotoError, match="cannot be copied"):
        copy_unchanged(tmp_path / "nothing", tmp_path / "b", temporary_dir=tmp_path / "tmp")


def test_quality_overrides_the_inputs_tables(tmp_path: Path) -> None:
    photo = load(tmp_path, "a.jpg", pictures.saved(pictures.picture(), "JPEG", quality=95))
    _, kept = store(photo, tmp_path)
    _, small = store(photo, tmp_path, quality=20)
    assert small.nbytes < kept.nbytes / 2
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.quantization == _tables(20)


def _tables(quality: int) -> dict[int, list[int]]:
    with Image.open(io.BytesIO(pictures.saved(pictures.picture(), "JPEG", quality=quality))) as image:
        tables: dict[int, list[int]] = image.quantization
        return tables


def test_a_photograph_that_was_not_changed_can_be_converted(tmp_path: Path) -> None:
    photo = load(tmp_path, "a.png", pictures.saved(pictures.picture("RGBA"), "PNG"))
    nothing = np.zeros((photo.height, photo.width), bool)
    report = write(
        photo, photo.rgb, nothing, tmp_path / "a.jpg", temporary_dir=tmp_path / "tmp", format="jpeg"
    )
    assert any("white" in note for note in report.notes)
    assert segments.read_segments((tmp_path / "a.jpg").read_bytes()).frame.width == pictures.WIDTH


def test_arrays_that_do_not_fit_are_a_bug_and_say_so(tmp_path: Path) -> None:
    photo = load(tmp_path, "a.png", pictures.saved(pictures.picture(), "PNG"))
    with pytest.raises(ValueError, match="do not fit"):
        compose_native(photo, photo.rgb[:-1], np.zeros((photo.height, photo.width), bool))
    with pytest.raises(ValueError, match="do not fit"):
        compose_native(photo, photo.rgb.astype(np.uint16), np.zeros((photo.height, photo.width), bool))


def test_a_result_that_is_the_input_outside_its_mask_is_stored_without_a_copy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (200, 30, 3), np.uint8)).save(tmp_path / "a.png")
    photo = read(tmp_path / "a.png", max_megapixels=1)
    with Image.open(tmp_path / "a.png") as picture:  # more rows than are taken from Pillow at a time
        assert np.array_equal(photo.rgb, np.asarray(picture))
    changed = np.zeros((200, 30), bool)
    changed[50:60] = True
    rgb = photo.rgb.copy()
    rgb[changed] = 7
    assert np.shares_memory(compose_native(photo, rgb, changed).samples.array, rgb)
    meddled = rgb.copy()
    meddled[0, 0] ^= 1
    composed = compose_native(photo, meddled, changed).samples.array
    assert np.array_equal(composed, rgb)
    assert not np.shares_memory(composed, meddled)
