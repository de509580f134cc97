"""Sizes by the header."""

import numpy as np
import pytest
from PIL import Image

from cleanplate.images.measure import estimate_pixels


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
def test_the_header_tells(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(path)
    assert estimate_pixels(path) == 1500


def test_what_has_no_header_is_guessed_from_its_size(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(88))
    assert estimate_pixels(tmp_path / "a.heic") == 1000
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(92))
    assert estimate_pixels(tmp_path / "damaged.png") == 1000


def test_what_cannot_be_read_counts_as_nothing(tmp_path):
    assert estimate_pixels(tmp_path / "nowhere.jpg") == 0
    assert estimate_pixels(tmp_path) == 0


def test_a_bomb_is_measured_without_a_warning(tmp_path):
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    empty = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + empty)
    assert estimate_pixels(tmp_path / "bomb.png") == 3_000_000_000
