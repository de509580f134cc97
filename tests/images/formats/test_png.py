"""PNG: how hard its compressor works, and what else a file may hold without keeping it from being read."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from cleanplate.errors import UnreadablePhotoError
from cleanplate.images import chunks
from cleanplate.images.container import Samples
from cleanplate.images.formats import png
from cleanplate.images.read import read
from cleanplate.images.write import write
from tests.images import pictures


def draw_photograph() -> NDArray[np.uint8]:
    return np.ascontiguousarray(cv2.resize(data.coffee(), (900, 600), interpolation=cv2.INTER_CUBIC))


def draw_pattern() -> NDArray[np.uint8]:
    """The same tile again and again: all that the thorough way is for."""
    tile = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    return np.tile(tile, (30, 30, 1))


def save(pixels: NDArray[np.uint8], level: int) -> int:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=level)
    return len(stream.getvalue())


@pytest.mark.parametrize("draw", [draw_photograph, draw_pattern])
def test_files_are_lossless_and_hardly_larger_than_with_all_effort(draw) -> None:  # type: ignore[no-untyped-def]
    pixels = draw()
    encoded = png.encode_pixels(Samples("RGB", pixels))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded))), pixels)
    assert len(encoded) < 1.08 * save(pixels, 6)


def test_the_thorough_way_is_for_what_comes_again() -> None:
    assert png._is_photographic(Image.fromarray(draw_photograph()))
    assert not png._is_photographic(Image.fromarray(draw_pattern()))
    small = Image.fromarray(draw_photograph()[:40, :40])
    assert not png._is_photographic(small)
    assert not png._is_photographic(small.convert("P"))


PROFILE = pictures.profile() + bytes(1_500_000)
REFUSED = {
    "profile": pictures.chunk(b"iCCP", b"mine\0\0" + zlib.compress(PROFILE)),
    "text": pictures.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 1_500_000)),
    "international text": pictures.chunk(b"iTXt", b"Title\0\1\0\0\0" + zlib.compress(b"x" * 1_500_000)),
    "cut resolution": pictures.chunk(b"pHYs", b"short"),
}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("what", REFUSED)
def test_profiles_and_texts_do_not_keep_a_picture_from_being_read(
    what: str, mode: str, tmp_path: Path
) -> None:
    """Pillow refuses what inflates to more than a megabyte, and the whole file with it."""
    plain = pictures.saved(pictures.picture(mode), "PNG")
    (tmp_path / "plain.png").write_bytes(plain)
    (tmp_path / "a.png").write_bytes(pictures.with_chunks(plain, REFUSED[what]))
    photo = read(tmp_path / "a.png", max_megapixels=1)
    np.testing.assert_array_equal(photo.rgb, read(tmp_path / "plain.png", max_megapixels=1).rgb)
    nothing = np.zeros((photo.height, photo.width), bool)
    write(photo, photo.rgb, nothing, tmp_path / "out.png", temporary_dir=tmp_path / "tmp")
    assert REFUSED[what] in (tmp_path / "out.png").read_bytes()


def test_a_large_profile_is_carried_into_another_format(tmp_path: Path) -> None:
    data = pictures.with_chunks(pictures.saved(pictures.picture(), "PNG"), REFUSED["profile"])
    (tmp_path / "a.png").write_bytes(data)
    photo = read(tmp_path / "a.png", max_megapixels=1)
    nothing = np.zeros((photo.height, photo.width), bool)
    write(photo, photo.rgb, nothing, tmp_path / "a.jpg", temporary_dir=tmp_path / "tmp", format="jpeg")
    assert read(tmp_path / "a.jpg", max_megapixels=1).container.metadata.icc == PROFILE


def test_what_grows_without_end_is_left_out_and_fills_no_memory() -> None:
    bomb = zlib.compress(bytes(1 << 25), 9)
    own = [chunks.Chunk(b"zTXt", b"Comment\0\0" + bomb), chunks.Chunk(b"iCCP", b"mine\0\0" + bomb)]
    found = chunks.read_metadata(own)
    assert found.texts == ()
    assert found.icc is None
    most = zlib.compress(b"x" * (1 << 24), 9)
    many = [chunks.Chunk(b"zTXt", b"%d\0\0" % i + most) for i in range(6)]
    assert len(chunks.read_metadata(many).texts) == 4


def test_a_plain_file_is_decoded_without_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(pictures.saved(pictures.picture(), "PNG"))
    monkeypatch.setattr(chunks, "write_chunks", None)
    assert read(tmp_path / "a.png", max_megapixels=1).width == pictures.WIDTH


@pytest.mark.parametrize("what", [None, "text"])
def test_too_few_pixels_are_damage_with_and_without_other_chunks(what: str | None, tmp_path: Path) -> None:
    extra = [REFUSED[what]] if what is not None else []
    own = chunks.read_chunks(pictures.with_chunks(pictures.saved(pictures.picture(), "PNG"), *extra))
    cut = [replace(c, data=c.data[: len(c.data) // 2]) if c.name == b"IDAT" else c for c in own]
    (tmp_path / "a.png").write_bytes(chunks.write_chunks(cut))
    with pytest.raises(UnreadablePhotoError, match="truncated or damaged"):
        read(tmp_path / "a.png", max_megapixels=1)
