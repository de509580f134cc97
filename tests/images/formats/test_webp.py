"""WebP: an animation of one frame, and what loses nothing."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from cleanplate.images import riff
from cleanplate.images.read import read
from cleanplate.images.riff import RiffChunk
from cleanplate.images.write import write
from cleanplate.settings import OutputFormat
from tests.images import pictures


def as_animation(data: bytes, frames: int = 1) -> bytes:
    """A WebP file's coded pixels as the frames of an animation."""

    def coded(chunk: RiffChunk) -> bytes:
        return chunk.name + struct.pack("<I", len(chunk.data)) + chunk.data + bytes(len(chunk.data) % 2)

    extents = (pictures.WIDTH - 1).to_bytes(3, "little") + (pictures.HEIGHT - 1).to_bytes(3, "little")
    frame = bytes(6) + extents + (100).to_bytes(3, "little") + b"\0"
    frame += b"".join(coded(chunk) for chunk in riff.read_riff(data))
    parts = [
        RiffChunk(b"VP8X", struct.pack("<I", 2) + extents),
        RiffChunk(b"ANIM", bytes(6)),
        *[RiffChunk(b"ANMF", frame)] * frames,
    ]
    body = b"WEBP" + b"".join(coded(chunk) for chunk in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("lossless", [True, False])
def test_a_single_frame_stays_as_it_was_coded(lossless: bool, tmp_path: Path) -> None:
    plain = pictures.saved(pictures.picture(), "WEBP", lossless=lossless, quality=40)
    sizes = {}
    for name, data in (("plain", plain), ("animated", as_animation(plain))):
        (tmp_path / name).write_bytes(data)
        photo = read(tmp_path / name, max_megapixels=1)
        rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
        changed[4:16, 4:20] = True
        rgb[changed] = 200
        target = tmp_path / f"{name}.webp"
        sizes[name] = write(photo, rgb, changed, target, temporary_dir=tmp_path / "tmp").nbytes
        written = riff.read_riff(target.read_bytes())
        assert riff.is_lossless(written) is lossless
        assert riff.frames_in(written) == 1
        assert riff.data_of(written, b"ANMF") is None
        if lossless:
            np.testing.assert_array_equal(read(target, max_megapixels=1).rgb, rgb)
    assert sizes["animated"] == pytest.approx(sizes["plain"], abs=40)


@pytest.mark.parametrize("format", ["keep", "webp"])
def test_a_lossless_picture_stays_so_whatever_quality_is_asked_for(
    format: OutputFormat, tmp_path: Path
) -> None:
    (tmp_path / "in").write_bytes(pictures.saved(pictures.picture(), "WEBP", lossless=True))
    photo = read(tmp_path / "in", max_megapixels=1)
    rgb, changed = photo.rgb.copy(), np.ones((photo.height, photo.width), bool)
    rgb[4:16, 4:20] = 200
    target = tmp_path / "out.webp"
    write(photo, rgb, changed, target, temporary_dir=tmp_path / "tmp", format=format, quality=50)
    np.testing.assert_array_equal(read(target, max_megapixels=1).rgb, rgb)


def test_only_a_single_frame_is_looked_into() -> None:
    plain = pictures.saved(pictures.picture(), "WEBP", lossless=True)
    assert riff.is_lossless(riff.read_riff(as_animation(plain)))
    assert not riff.is_lossless(riff.read_riff(as_animation(plain, frames=2)))
    assert not riff.is_lossless([RiffChunk(b"ANMF", bytes(16) + b"VP8L\xff\xff\0\0")])
