"""Previews that cameras put behind the photograph are left out; other pictures are refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cleanplate.errors import UnsupportedPhotoError
from cleanplate.images import multipicture, segments
from cleanplate.images.read import read
from cleanplate.images.segments import read_segments
from cleanplate.images.write import WriteReport, write
from tests.images import pictures

VGA, FULL_HD, STEREO, GAIN_MAP = 0x010001, 0x010002, 0x020002, 0x000000
NOTE = "the preview after the picture was left out: it shows the mark"


def photograph(*kinds: int, lengths: int | None = None, moved: int = 0) -> bytes:
    """A photograph and a smaller picture for each kind, by Pillow; the kinds are put into its index.

    lengths: what the index says instead of their lengths. moved: by how much it is off their places.
    """
    small = [pictures.picture().resize((32, 24)) for _ in kinds]
    data = bytearray(pictures.saved(pictures.picture(), "MPO", save_all=True, append_images=small))
    mark = data.index(segments.MULTI_PICTURE) + 4
    order = "<" if data[mark : mark + 2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, mark + 4)
    (count,) = struct.unpack_from(order + "H", data, mark + at)
    fields = [struct.unpack_from(order + "HHII", data, mark + at + 2 + 12 * i) for i in range(count)]
    table = mark + next(value for tag, _, _, value in fields if tag == 0xB002)
    struct.pack_into(order + "I", data, table, 0x20030000)
    for number, kind in enumerate(kinds, 1):
        _, length, place = struct.unpack_from(order + "III", data, table + 16 * number)
        length = length if lengths is None else lengths
        struct.pack_into(order + "III", data, table + 16 * number, kind, length, place + moved)
    return bytes(data)


def store(folder: Path, data: bytes, **options: Any) -> tuple[bytes, WriteReport]:
    (folder / "in.jpg").write_bytes(data)
    photo = read(folder / "in.jpg", max_megapixels=1)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[8:24, 8:40] = True
    rgb[changed] = (0, 200, 0)
    report = write(photo, rgb, changed, folder / "out.jpg", temporary_dir=folder / "tmp", **options)
    return (folder / "out.jpg").read_bytes(), report


@pytest.mark.parametrize("kinds", [(VGA,), (FULL_HD,), (VGA, FULL_HD)])
@pytest.mark.parametrize("lengths", [None, 0])
def test_previews_are_left_out_with_their_index(
    kinds: tuple[int, ...], lengths: int | None, tmp_path: Path
) -> None:
    data = photograph(*kinds, lengths=lengths)
    with Image.open(io.BytesIO(data)) as before:
        assert before.n_frames == 1 + len(kinds)
    result, report = store(tmp_path, data)
    assert report.notes == (NOTE,)
    assert result.endswith(b"\xff\xd9")
    parts = read_segments(result)
    assert parts.trailer == b""
    kept = [s for s in read_segments(data).metadata if not s.payload.startswith(segments.MULTI_PICTURE)]
    assert list(parts.metadata) == kept
    with Image.open(io.BytesIO(result)) as after:
        assert getattr(after, "n_frames", 1) == 1
        assert after.size == (pictures.WIDTH, pictures.HEIGHT)


def test_what_else_follows_the_picture_is_kept(tmp_path: Path) -> None:
    result, report = store(tmp_path, photograph(VGA) + b"a film")
    assert result.endswith(b"\xff\xd9a film")
    assert report.notes[0] == NOTE
    assert "after the picture" in report.notes[1]


def test_an_index_whose_previews_are_gone_goes_too(tmp_path: Path) -> None:
    data = photograph(VGA)
    result, report = store(tmp_path, data[: len(data) - len(read_segments(data).trailer)])
    assert segments.MULTI_PICTURE not in result
    assert report.notes == (NOTE,)


def test_a_converted_photograph_says_nothing_of_its_preview(tmp_path: Path) -> None:
    _, report = store(tmp_path, photograph(VGA), format="png")
    assert report.notes == ()


@pytest.mark.parametrize("kinds", [(STEREO,), (GAIN_MAP,), (VGA, GAIN_MAP)])
def test_other_pictures_are_refused(kinds: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(UnsupportedPhotoError, match=f"holds {1 + len(kinds)} pictures"):
        store(tmp_path, photograph(*kinds))


@pytest.mark.parametrize("moved", [7, 100_000, -600])
def test_a_preview_that_is_not_where_the_index_says_is_refused(moved: int, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedPhotoError, match="holds 2 pictures"):
        store(tmp_path, photograph(VGA, moved=moved))


def test_a_damaged_index_counts_one_picture() -> None:
    plain = pictures.saved(pictures.picture(), "JPEG")
    damaged = segments.Segment(segments.APP2, segments.MULTI_PICTURE + b"II*\0\xff\xff\0\0")
    data = plain[:2] + damaged.to_bytes() + plain[2:]
    parts = read_segments(data)
    assert multipicture.count_pictures(parts) == 1
    assert multipicture.without_previews(data, parts) is parts
