"""TIFF: a channel beside the colours is kept or refused, never lost without a word."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cleanplate.errors import UnsupportedPhotoError
from cleanplate.images import tiffblock
from cleanplate.images.read import read
from cleanplate.images.write import write
from tests.images import pictures

GREY, RGB, CMYK = 1, 2, 5


def draw(channels: int, bits: int = 8) -> NDArray[Any]:
    """(48, 64, channels) whose last channel is a ramp from 0 on."""
    colours = np.concatenate([pictures.photograph()] * 2, axis=2)[:, :, :channels].copy()
    colours[:, :, -1] = np.arange(pictures.WIDTH)
    return colours if bits == 8 else colours.astype(np.uint16) * 257


def tiff_file(
    array: NDArray[Any], colours: int, extra: list[int], *, planar: bool = False, order: str = "<"
) -> bytes:
    """An uncompressed TIFF file, written by hand: Pillow and OpenCV write few of these kinds."""
    height, width, channels = array.shape
    ordered = array.astype(array.dtype.newbyteorder(order))
    planes = [ordered[:, :, c].tobytes() for c in range(channels)] if planar else [ordered.tobytes()]
    offsets = np.cumsum([8, *(len(plane) for plane in planes)]).tolist()
    short, long = (3, "H"), (4, "I")
    tags: dict[int, tuple[tuple[int, str], list[int]]] = {
        0x0100: (short, [width]),
        0x0101: (short, [height]),
        0x0102: (short, [array.itemsize * 8] * channels),
        0x0103: (short, [1]),
        0x0106: (short, [colours]),
        0x0111: (long, offsets[:-1]),
        0x0115: (short, [channels]),
        0x0116: (short, [height]),
        0x0117: (long, [len(plane) for plane in planes]),
        0x011C: (short, [2 if planar else 1]),
    }
    if extra:
        tags[0x0152] = (short, extra)
    entries, values = b"", b""
    behind = offsets[-1] + 2 + 12 * len(tags) + 4
    for tag, ((number, code), given) in sorted(tags.items()):
        raw = struct.pack(f"{order}{len(given)}{code}", *given)
        if len(raw) > 4:
            place = struct.pack(order + "I", behind + len(values))
            values += raw + bytes(len(raw) % 2)
            raw = place
        entries += struct.pack(order + "HHI", tag, number, len(given)) + raw.ljust(4, b"\0")
    directory = struct.pack(order + "H", len(tags)) + entries + bytes(4)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", offsets[-1])
    return start + b"".join(planes) + directory + values


def store(folder: Path, data: bytes, **options: Any) -> tuple[bytes, tuple[str, ...]]:
    """Write the picture with one corner painted."""
    (folder / "in.tif").write_bytes(data)
    photo = read(folder / "in.tif", max_megapixels=1)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[:8, :8] = True
    rgb[changed] = 90
    report = write(photo, rgb, changed, folder / "out", temporary_dir=folder / "tmp", **options)
    return (folder / "out").read_bytes(), report.notes


@pytest.mark.parametrize(("planar", "bits"), [(False, 8), (True, 8), (False, 16)])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [0, 2])
def test_a_fourth_channel_keeps_its_values_and_what_it_is(
    kind: int, order: str, planar: bool, bits: int, tmp_path: Path
) -> None:
    array = draw(4, bits)
    result, notes = store(tmp_path, tiff_file(array, RGB, [kind], planar=planar, order=order))
    first = tiffblock.read_directory(result)
    assert first.number(0x0115) == 4
    assert first.number(0x0152) == kind
    samples = read(tmp_path / "out", max_megapixels=1).container.samples.array
    np.testing.assert_array_equal(samples[:, :, 3], array[:, :, 3])
    np.testing.assert_array_equal(samples[8:], array[8:])
    assert notes == ()


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_a_fourth_channel_of_a_large_file_is_the_same(
    kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff_file(draw(4), RGB, [kind]))
    small = read(tmp_path / "a.tif", max_megapixels=1).container.samples.array
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    large = read(tmp_path / "a.tif", max_megapixels=1).container.samples.array
    # Pillow rounds down where it divides by the alpha.
    assert np.abs(large.astype(int) - small).max() <= (1 if kind == 1 else 0)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(
    ("channels", "colours", "extra"),
    [(2, GREY, [0]), (5, RGB, [0, 0]), (5, RGB, [2, 0]), (5, CMYK, [0]), (5, CMYK, [2])],
)
def test_other_channels_beside_the_colours_are_refused(
    channels: int, colours: int, extra: list[int], planar: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff_file(draw(channels), colours, extra, planar=planar))
    with pytest.raises(UnsupportedPhotoError, match="channels beside its colours") as caught:
        read(tmp_path / "a.tif", max_megapixels=1)
    assert "without them" in caught.value.remedy


@pytest.mark.parametrize(
    ("channels", "bits", "colours", "extra", "cause"),
    [
        (2, 8, GREY, [2], "plane of its own"),
        (4, 8, RGB, [1], "plane of its own"),
        (3, 16, RGB, [], "plane for each channel"),
        (4, 16, RGB, [2], "plane for each channel"),
    ],
)
def test_planes_that_cannot_be_read_are_neither_misread_nor_called_damaged(
    channels: int, bits: int, colours: int, extra: list[int], cause: str, tmp_path: Path
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff_file(draw(channels, bits), colours, extra, planar=True))
    with pytest.raises(UnsupportedPhotoError, match=cause) as caught:
        read(tmp_path / "a.tif", max_megapixels=1)
    assert "interleaved" in caught.value.remedy


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_a_channel_that_means_nothing_is_no_transparency_elsewhere(
    format: Any, bits: int, tmp_path: Path
) -> None:
    result, notes = store(tmp_path, tiff_file(draw(4, bits), RGB, [0]), format=format)
    with Image.open(io.BytesIO(result)) as after:
        assert after.mode == "RGB"
    assert "a fourth channel that the TIFF file does not explain was left out" in notes
    back = read(tmp_path / "out", max_megapixels=1).rgb[24:]
    most = np.iinfo(back.dtype).max
    assert np.abs(back / most - pictures.photograph()[24:] / 255).mean() < 0.03


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("format", ["png", "webp"])
def test_premultiplied_transparency_becomes_straight_elsewhere(
    format: Any, bits: int, tmp_path: Path
) -> None:
    # White, multiplied by its alpha: all four channels are the ramp.
    array = np.repeat(draw(4, bits)[:, :, 3:], 4, axis=2)
    _, notes = store(tmp_path, tiff_file(array, RGB, [1]), format=format, quality=100)
    samples = read(tmp_path / "out", max_megapixels=1).container.samples.array
    most = np.iinfo(samples.dtype).max
    np.testing.assert_array_equal(samples[:, :, 3] // (most // 255), draw(4)[:, :, 3])
    assert samples[16:, 16:, :3].min() > most * 0.98
    assert ("premultiplied transparency became straight transparency" in notes) is (bits == 16)


def test_premultiplied_sixteen_bits_stay_so_in_tiff(tmp_path: Path) -> None:
    array = np.repeat(draw(4, 16)[:, :, 3:], 4, axis=2)
    result, notes = store(tmp_path, tiff_file(array, RGB, [1]))
    assert tiffblock.read_directory(result).number(0x0152) == 1
    np.testing.assert_array_equal(
        read(tmp_path / "out", max_megapixels=1).container.samples.array[8:], array[8:]
    )
    assert notes == ()


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_a_sound_file_in_a_compression_that_is_not_read_is_not_called_damaged(
    compression: str, tmp_path: Path
) -> None:
    deep = draw(1, 16).reshape(draw(1, 16).shape[:2])
    Image.fromarray(deep).save(tmp_path / "a.tif", compression=compression)
    with pytest.raises(UnsupportedPhotoError, match="compressed by Zstandard or LZMA") as caught:
        read(tmp_path / "a.tif", max_megapixels=1)
    assert "deflate" in caught.value.remedy
