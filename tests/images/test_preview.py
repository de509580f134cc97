"""Small pictures inside metadata show the mark: wherever they hide, they are made anew."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from cleanplate.images import chunks, iptc, preview, rawprofile, segments, tiffblock, xmpparts
from cleanplate.images.read import read
from cleanplate.images.segments import APP1, EXIF, EXTENDED_XMP, XMP, Segment, read_segments
from cleanplate.images.write import write
from tests.images import pictures

#: What a thumbnail of the marked photograph looks like, so that no piece of it can be missed.
OLD = pictures.saved(pictures.picture().resize((40, 30)), "JPEG", quality=85)


def paint(folder: Path, data: bytes, **options: Any) -> tuple[bytes, tuple[str, ...]]:
    """The file with its whole picture painted green, and the notes."""
    (folder / "in").write_bytes(data)
    photo = read(folder / "in", max_megapixels=10)
    green = np.zeros_like(photo.rgb)
    green[:, :, 1] = np.iinfo(green.dtype).max * 3 // 4
    everywhere = np.ones(green.shape[:2], bool)
    report = write(photo, green, everywhere, folder / "out", temporary_dir=folder / "tmp", **options)
    return (folder / "out").read_bytes(), report.notes


def is_green(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        red, green, blue = picture.convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return bool(red < 90 and green > 150 and blue < 90)


def pieces(data: bytes) -> list[bytes]:
    """The old thumbnail's coded pixels, cut small enough to be found in part."""
    return [data[at : at + 24] for at in range(len(data) * 2 // 3, len(data) - 24, 24)]


def shows_old(data: bytes) -> bool:
    return any(piece in data for piece in pieces(OLD))


def exif_with(thumbnail: bytes, length: int | None = None) -> bytes:
    """An EXIF block with orientation 6 and a thumbnail in its second directory."""
    entries = struct.pack("<HHHIHH", 1, 0x0112, 3, 1, 6, 0) + struct.pack("<I", 26)
    place = 26 + 2 + 24 + 4
    second = struct.pack("<HHHII", 2, 0x0201, 4, 1, place)
    second += struct.pack("<HHII", 0x0202, 4, 1, len(thumbnail) if length is None else length) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + entries + second + thumbnail


PROFILES = {
    "exif": EXIF + exif_with(OLD),
    "APP1": EXIF + exif_with(OLD),
    "8bim": b"8BIM" + struct.pack(">HHI", 0x040C, 0, len(OLD) + 28) + bytes(28) + OLD + bytes(len(OLD) % 2),
    "iptc": b"\x1c\x02\xca" + struct.pack(">H", len(OLD)) + OLD,
    "xmp": b"<x:xmpmeta><xmpGImg:image>" + base64.b64encode(OLD) + b"</xmpGImg:image></x:xmpmeta>",
}


def text_chunk(kind: bytes, keyword: bytes, text: str) -> bytes:
    middle = {b"tEXt": b"", b"zTXt": b"\0", b"iTXt": b"\1\0\0\0"}[kind]
    body = text.encode() if kind == b"tEXt" else zlib.compress(text.encode())
    return pictures.chunk(kind, keyword + b"\0" + middle + body)


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize("name", PROFILES)
def test_thumbnails_in_raw_profiles_of_png_are_made_anew(name: str, kind: bytes, tmp_path: Path) -> None:
    text = rawprofile.write_profile(name, PROFILES[name])
    old = text_chunk(kind, rawprofile.KEYWORD + name.encode(), text)
    result, notes = paint(tmp_path, pictures.with_chunks(pictures.saved(pictures.picture(), "PNG"), old))
    with Image.open(io.BytesIO(result)) as after:
        kept = rawprofile.read_profile(str(after.info[f"Raw profile type {name}"]))
    assert kept is not None
    assert len(kept) == len(PROFILES[name])
    assert notes == ()
    if name == "xmp":
        kept = base64.b64decode(kept.split(b"image>")[1].split(b"<")[0])
    assert not shows_old(kept)
    assert is_green(kept[kept.index(b"\xff\xd8\xff") :])


@pytest.mark.parametrize("name", ["exif", "APP1"])
def test_a_png_is_turned_as_its_raw_profile_says(name: str, tmp_path: Path) -> None:
    text = rawprofile.write_profile(name, EXIF + exif_with(OLD))
    raw = text_chunk(b"zTXt", rawprofile.KEYWORD + name.encode(), text)
    plain = pictures.saved(pictures.picture(), "PNG")
    (tmp_path / "a.png").write_bytes(pictures.with_chunks(plain, raw))
    photo = read(tmp_path / "a.png", max_megapixels=1)
    expected = np.asarray(pictures.picture().transpose(Image.Transpose.ROTATE_270))
    np.testing.assert_array_equal(photo.rgb, expected)
    if name == "exif":  # Pillow knows this one
        with Image.open(tmp_path / "a.png") as witness:
            np.testing.assert_array_equal(photo.rgb, np.asarray(ImageOps.exif_transpose(witness)))
    # A chunk of EXIF's own says it better.
    own = pictures.chunk(b"eXIf", pictures.exif_block(3))
    (tmp_path / "b.png").write_bytes(pictures.with_chunks(plain, raw, own))
    assert read(tmp_path / "b.png", max_megapixels=1).container.orientation == 3


def test_raw_profiles_go_into_another_format_as_what_they_are(tmp_path: Path) -> None:
    own = [
        text_chunk(
            b"zTXt", rawprofile.KEYWORD + name.encode(), rawprofile.write_profile(name, PROFILES[name])
        )
        for name in ("exif", "8bim", "xmp", "iptc")
    ]
    data = pictures.with_chunks(pictures.saved(pictures.picture(), "PNG"), *own)
    result, notes = paint(tmp_path, data, format="jpeg")
    head = read_segments(result).head
    assert segments.joined(head, APP1, EXIF)
    assert b"xmpGImg" in segments.joined(head, APP1, XMP)
    assert segments.joined(head, segments.APP13, segments.PHOTOSHOP)
    assert not any(segment.marker == segments.COM for segment in head)
    assert notes == ("left out, as JPEG has no place for it: raw profiles",)
    assert not shows_old(result)
    assert OLD.hex()[-200:-8].encode() not in result


def test_a_raw_profile_without_pictures_or_sense_stays_as_it_came() -> None:
    for text in ("\nexif\n       4\n4949zz\n", "", "\nexif\n 4\n 49492a00\n"):
        assert rawprofile.renew_text(text, pictures.picture()) == text


def in_parts(packet: bytes, digits: bytes, most: int) -> list[Segment]:
    return [
        Segment(APP1, EXTENDED_XMP + digits + struct.pack(">II", len(packet), at) + packet[at : at + most])
        for at in range(0, len(packet), most)
    ]


def test_a_thumbnail_across_the_parts_of_extended_xmp_is_made_anew(tmp_path: Path) -> None:
    packet = PROFILES["xmp"]
    digits = hashlib.md5(packet).hexdigest().upper().encode()
    main = b'<x:xmpmeta xmpNote:HasExtendedXMP="' + digits + b'"/>'
    parts = in_parts(packet, digits, 300)
    assert len(parts) > 2
    plain = pictures.saved(pictures.picture(), "JPEG")
    own = [Segment(APP1, XMP + main), *reversed(parts)]
    data = plain[:2] + b"".join(segment.to_bytes() for segment in own) + plain[2:]
    result, notes = paint(tmp_path, data)
    found = [s for s in read_segments(result).head if s.payload.startswith(EXTENDED_XMP)]
    assert [len(s.payload) for s in found] == [len(s.payload) for s in reversed(parts)]
    head = len(EXTENDED_XMP) + 40
    whole = b"".join(s.payload[head:] for s in reversed(found))
    assert len(whole) == len(packet)
    assert is_green(base64.b64decode(whole.split(b"image>")[1].split(b"<")[0]))
    # The name of the parts is their checksum, and the main packet says it.
    new = hashlib.md5(whole).hexdigest().upper().encode()
    assert {s.payload[len(EXTENDED_XMP) : len(EXTENDED_XMP) + 32] for s in found} == {new}
    assert segments.joined(read_segments(result).head, APP1, XMP) == main.replace(digits, new)
    assert notes == ()


def test_extended_xmp_with_a_part_missing_is_left_out_and_named(tmp_path: Path) -> None:
    parts = in_parts(PROFILES["xmp"], b"A" * 32, 300)
    whole = in_parts(b"<x/>", b"B" * 32, 300)
    plain = pictures.saved(pictures.picture(), "JPEG")
    data = plain[:2] + b"".join(segment.to_bytes() for segment in (*parts[1:], *whole)) + plain[2:]
    result, notes = paint(tmp_path, data)
    assert notes == (xmpparts.LEFT_OUT,)
    assert [s for s in read_segments(result).head if s.payload.startswith(EXTENDED_XMP)] == whole


@pytest.mark.parametrize("length", [None, 9000])
def test_an_exif_thumbnail_without_its_end_is_made_anew(length: int | None, tmp_path: Path) -> None:
    block = exif_with(OLD[:-2], length)
    result, _ = paint(tmp_path, pictures.saved(pictures.picture(), "JPEG", exif=EXIF + block))
    kept = segments.joined(read_segments(result).head, APP1, EXIF)
    start = len(block) - len(OLD) + 2
    assert len(kept) == len(block)
    assert kept[:start] == block[:start]
    assert not shows_old(kept)
    assert is_green(kept[start:])


def test_a_thumbnail_that_cannot_be_understood_is_blanked() -> None:
    block = exif_with(b"\xff\xd8 no picture that anyone can read")
    assert preview.renew_exif(block, pictures.picture())[-30:] == bytes(30)
    # What does not look like a picture is none.
    strange = exif_with(b"something else")
    assert preview.renew_exif(strange, pictures.picture()) == strange


@pytest.mark.parametrize("end", [len(OLD), -2])
@pytest.mark.parametrize("long", [False, True])
def test_the_preview_among_iptc_records_is_made_anew(long: bool, end: int, tmp_path: Path) -> None:
    old = OLD[:end]
    size = struct.pack(">HI", 0x8004, len(old)) if long else struct.pack(">H", len(old))
    records = b"\x1c\x02\xca" + size + old + pictures.IPTC
    data = pictures.saved(pictures.picture(), "TIFF", tiffinfo={0x83BB: records})
    result, _ = paint(tmp_path, data)
    kept = tiffblock.read_directory(result, opaque=frozenset({0x83BB})).fields[0x83BB].raw
    assert len(kept) == len(records)
    assert kept.endswith(pictures.IPTC)
    assert not shows_old(kept)
    assert is_green(kept[kept.index(b"\xff\xd8\xff") :])
    assert iptc.authorship(kept) == iptc.authorship(pictures.IPTC)
    # The same records among Photoshop's resources, in two segments of a JPEG file.
    whole = iptc.resources_of_records(records)
    plain = pictures.saved(pictures.picture(), "JPEG")
    halves = [Segment(segments.APP13, segments.PHOTOSHOP + half) for half in (whole[:400], whole[400:])]
    result, _ = paint(tmp_path, plain[:2] + b"".join(half.to_bytes() for half in halves) + plain[2:])
    kept = segments.joined(read_segments(result).head, segments.APP13, segments.PHOTOSHOP)
    assert len(kept) == len(whole)
    assert not shows_old(kept)
    assert is_green(kept[kept.index(b"\xff\xd8\xff") :])
    # And from TIFF into PNG.
    result, _ = paint(tmp_path, data, format="png")
    found = chunks.read_metadata(chunks.read_chunks(result)).iptc
    assert found is not None
    assert not shows_old(found)
    assert is_green(found[found.index(b"\xff\xd8\xff") :])


def test_a_preview_of_plain_pixels_among_resources_is_blanked() -> None:
    resource = b"8BIM" + struct.pack(">HHI", 0x0409, 0, 28 + 12) + bytes(28) + b"marked pixel"
    assert preview.renew_photoshop(resource, pictures.picture()) == resource[:-12] + bytes(12)
