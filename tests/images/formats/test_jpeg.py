"""JPEG: what only JPEG files have."""

from __future__ import annotations

import base64
import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from cleanplate.errors import UnsupportedPhotoError
from cleanplate.images import exif, iptc, segments
from cleanplate.images.formats.jpeg import offered_subsampling
from cleanplate.images.read import read
from cleanplate.images.segments import Segment, read_segments
from cleanplate.images.write import WriteReport, write
from tests.images import pictures


def store(folder: Path, data: bytes, **options: Any) -> tuple[bytes, WriteReport]:
    """Paint the picture's middle green and write it."""
    (folder / "in.jpg").write_bytes(data)
    photo = read(folder / "in.jpg", max_megapixels=100)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[photo.height // 4 : -photo.height // 4, photo.width // 4 : -photo.width // 4] = True
    rgb[changed] = (0, 200, 0)
    report = write(photo, rgb, changed, folder / "out.jpg", temporary_dir=folder / "tmp", **options)
    return (folder / "out.jpg").read_bytes(), report


def with_segments(data: bytes, *extra: Segment) -> bytes:
    return data[:2] + b"".join(segment.to_bytes() for segment in extra) + data[2:]


def is_green(picture: Image.Image) -> bool:
    red, green, blue = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))  # type: ignore[misc]
    return bool(red < 90 and green > 150 and blue < 90)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [35, 97])
def test_tables_subsampling_and_kind_are_the_inputs(
    subsampling: str, progressive: bool, quality: int, tmp_path: Path
) -> None:
    data = pictures.saved(
        pictures.picture(), "JPEG", quality=quality, subsampling=subsampling, progressive=progressive
    )
    result, report = store(tmp_path, data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(result)) as after:
        assert after.quantization == before.quantization
        assert after.info.get("progressive") == before.info.get("progressive")
    assert [c[1:3] for c in read_segments(result).frame.components] == [
        c[1:3] for c in read_segments(data).frame.components
    ]
    assert report.notes == ()


@pytest.mark.parametrize(
    ("factor", "given", "halved"),
    [
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411, "4:1:1", (True, False)),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440, "4:4:0", (False, True)),
    ],
)
def test_subsampling_that_the_encoder_lacks_becomes_444(
    factor: int, given: str, halved: tuple[bool, bool], tmp_path: Path
) -> None:
    written, data = cv2.imencode(
        ".jpg", pictures.photograph()[:, :, ::-1], [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    )
    assert written
    result, report = store(tmp_path, data.tobytes())
    assert [c[1:3] for c in read_segments(result).frame.components] == [(1, 1)] * 3
    assert report.notes == (f"colour subsampling {given} became 4:4:4, which loses no colour",)
    photo = read(tmp_path / "in.jpg", max_megapixels=1)
    assert photo.quantisation is not None
    assert photo.quantisation.halved == halved


@pytest.mark.parametrize("light", [(4, 1), (4, 2), (3, 1), (2, 4)])
def test_only_the_ratios_that_the_encoder_offers_are_kept(light: tuple[int, int]) -> None:
    components = ((1, *light, 0), (2, 1, 1, 1), (3, 1, 1, 1))
    chosen, notes = offered_subsampling(segments.Frame(8, 8, 8, False, components))
    assert chosen == "4:4:4"
    assert len(notes) == 1


def test_odd_sampling_factors_become_444() -> None:
    components = ((1, 1, 1, 0), (2, 2, 1, 1), (3, 1, 1, 1))
    chosen, notes = offered_subsampling(segments.Frame(8, 8, 8, False, components))
    assert chosen == "4:4:4"
    assert "unusual" in notes[0]


def ycck_file() -> bytes:
    """A YCCK file, as editors for print make them: inks as light and colours, and Adobe's mark of it."""
    light = Image.fromarray(255 - pictures.photograph()).convert("YCbCr")
    planes = [Image.eval(plane, lambda value: 255 - value) for plane in light.split()]
    no_black = Image.new("L", light.size, 0)
    fine, coarse = ([value] * 64 for value in (4, 40))
    merged = Image.merge("CMYK", [*planes, no_black])
    data = bytearray(pictures.saved(merged, "JPEG", qtables=[fine, coarse, coarse, fine]))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def test_inks_that_were_light_and_colours_are_all_stored_finely(tmp_path: Path) -> None:
    data = ycck_file()
    assert read_segments(data).adobe_transform == 2
    result, report = store(tmp_path, data)
    assert report.notes == ("stored as CMYK instead of YCCK",)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(result)) as after:
        assert [after.quantization[c[3]][0] for c in read_segments(result).frame.components] == [4] * 4
        difference = np.asarray(before).astype(int) - np.asarray(after)
    difference[8:40, 8:56] = 0
    assert np.sqrt((difference**2).mean()) < 1.5
    photo = read(tmp_path / "in.jpg", max_megapixels=1)
    assert photo.quantisation is not None
    assert (photo.quantisation.luma[0, 0], photo.quantisation.chroma[0, 0]) == (4, 40)


@pytest.mark.parametrize(
    ("marker", "kind"),
    [(0xC3, "lossless JPEG"), (0xCB, "lossless JPEG"), (0xC5, "hierarchical JPEG"), (0xF7, "JPEG-LS")],
)
def test_kinds_that_cannot_be_decoded_are_refused_and_not_called_damaged(
    marker: int, kind: str, tmp_path: Path
) -> None:
    data = pictures.saved(pictures.picture(), "JPEG")
    parts = read_segments(data)
    head = [s for s in parts.head if s.marker != segments.DQT]  # these kinds need none
    coded = [Segment(marker, s.payload) if s.marker == 0xC0 else s for s in head]
    with pytest.raises(UnsupportedPhotoError, match=f"coded as {kind}") as caught:
        store(tmp_path, with_segments(data[:2] + data[parts.scan_at :], *coded))
    assert "plain JPEG" in caught.value.remedy


def test_three_different_tables_are_kept(tmp_path: Path) -> None:
    tables = [[value] * 64 for value in (3, 5, 9)]
    result, _ = store(tmp_path, pictures.saved(pictures.picture(), "JPEG", qtables=tables))
    with Image.open(io.BytesIO(result)) as after:
        assert after.quantization == dict(enumerate(tables))


def test_a_picture_stored_as_rgb_stays_so(tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture(), "JPEG", quality=95, keep_rgb=True)
    result, _ = store(tmp_path, data)
    assert read_segments(result).adobe_transform == 0
    assert bytes(c[0] for c in read_segments(result).frame.components) == b"RGB"


def test_every_metadata_segment_survives_byte_for_byte(tmp_path: Path) -> None:
    guid = b"0123456789ABCDEF0123456789ABCDEF"
    kept = [
        Segment(segments.APP1, segments.EXIF + pictures.exif_block(3)),
        Segment(segments.APP1, segments.XMP + pictures.XMP),
        Segment(segments.APP1, segments.EXTENDED_XMP + guid + struct.pack(">II", 4, 0) + b"<x/>"),
        Segment(segments.APP13, segments.PHOTOSHOP + iptc.resources_of_records(pictures.IPTC)),
        Segment(0xEC, b"Ducky\0\1\0\4\0\0\0\x64\0\0"),
        *segments.write_icc(pictures.profile() + bytes(70_000)),
        Segment(segments.COM, b"a comment, \xff with odd bytes"),
    ]
    plain = pictures.saved(pictures.picture(), "JPEG", quality=90)
    result, report = store(tmp_path, with_segments(plain, *kept))
    before = read_segments((tmp_path / "in.jpg").read_bytes()).metadata
    assert read_segments(result).metadata == before
    assert report.notes == ()
    photo = read(tmp_path / "out.jpg", max_megapixels=1)
    assert photo.container.metadata.icc == pictures.profile() + bytes(70_000)
    assert photo.container.metadata.iptc == pictures.IPTC
    assert photo.container.metadata.only_here == ("extended XMP",)


@pytest.mark.parametrize("stray", [b"?", b"\0\0", b"?\xff\0?"])
def test_stray_bytes_between_segments_are_passed_over_as_decoders_do(stray: bytes, tmp_path: Path) -> None:
    """Some programs leave them behind their own segment; every viewer shows such a file."""
    segment = Segment(0xEC, b"Ducky\0\1\0\4\0\0\0\x64\0\0")
    plain = pictures.saved(pictures.picture(), "JPEG", quality=90)
    data = plain[:2] + segment.to_bytes() + stray + plain[2:]
    result, _ = store(tmp_path, data)
    assert read_segments(result).metadata == read_segments(data).metadata
    assert segment in read_segments(result).metadata
    assert is_green(Image.open(io.BytesIO(result)))


def test_content_credentials_are_kept_and_named(tmp_path: Path) -> None:
    manifest = Segment(segments.APP11, b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdc2pa\0\x11\0\x10\x80\0")
    result, report = store(tmp_path, with_segments(pictures.saved(pictures.picture(), "JPEG"), manifest))
    assert manifest in read_segments(result).metadata
    assert report.notes == (exif.C2PA_NOTE,)
    _, converted = store(
        tmp_path, with_segments(pictures.saved(pictures.picture(), "JPEG"), manifest), format="png"
    )
    assert converted.notes == (exif.C2PA_LEFT_OUT,)


def exif_with_thumbnail(thumbnail: bytes) -> bytes:
    """An EXIF block whose second directory points at a JPEG."""
    first = bytearray(pictures.exif_block())
    order = "<" if first[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", first, 4)
    (count,) = struct.unpack_from(order + "H", first, at)
    second = len(first)
    struct.pack_into(order + "I", first, at + 2 + 12 * count, second)
    place = second + 2 + 24 + 4
    entries = struct.pack(order + "HHII", 0x0201, 4, 1, place)
    entries += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
    return bytes(first) + struct.pack(order + "H", 2) + entries + bytes(4) + thumbnail


def test_the_exif_thumbnail_is_made_anew(tmp_path: Path) -> None:
    old = pictures.saved(pictures.picture().resize((32, 24)), "JPEG", quality=85)
    block = exif_with_thumbnail(old)
    data = pictures.saved(pictures.picture(), "JPEG", exif=b"Exif\0\0" + block)
    result, _ = store(tmp_path, data)
    kept = segments.joined(read_segments(result).head, segments.APP1, segments.EXIF)
    assert len(kept) == len(block)
    assert kept[: len(block) - len(old)] == block[: len(block) - len(old)]
    with Image.open(io.BytesIO(kept[-len(old) :])) as thumbnail:
        assert thumbnail.size == (32, 24)
        assert is_green(thumbnail)
    with Image.open(io.BytesIO(old)) as before:
        assert not is_green(before)


def test_a_thumbnail_of_plain_pixels_is_taken_out(tmp_path: Path) -> None:
    first = bytearray(pictures.exif_block())
    order = "<" if first[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", first, 4)
    (count,) = struct.unpack_from(order + "H", first, at)
    second = len(first)
    struct.pack_into(order + "I", first, at + 2 + 12 * count, second)
    entries = struct.pack(order + "HHII", 0x0111, 4, 1, second + 30)
    entries += struct.pack(order + "HHII", 0x0117, 4, 1, 12)
    block = bytes(first) + struct.pack(order + "H", 2) + entries + bytes(4) + b"marked pixel"
    result, _ = store(tmp_path, pictures.saved(pictures.picture(), "JPEG", exif=b"Exif\0\0" + block))
    kept = segments.joined(read_segments(result).head, segments.APP1, segments.EXIF)
    assert b"marked pixel" not in kept
    with Image.open(io.BytesIO(result)) as after:
        assert after.getexif()[0x013B] == pictures.ARTIST
        assert after.getexif().get_ifd(1) == {}


def test_thumbnails_of_jfif_photoshop_and_xmp_are_made_anew(tmp_path: Path) -> None:
    old = pictures.saved(pictures.picture().resize((40, 30)), "JPEG", quality=85)
    header = struct.pack(">IIIIIIHH", 1, 40, 30, 120, 3600, len(old), 24, 1)
    body = header + old
    photoshop = b"8BIM" + struct.pack(">HHI", 0x040C, 0, len(body)) + body + bytes(len(body) % 2)
    small = pictures.picture().resize((10, 8))
    jfif = b"JFIF\0\1\2\1\0\x48\0\x48\x0a\x08" + small.tobytes()
    text = base64.b64encode(old)
    lines = b"&#xA;".join(text[i : i + 76] for i in range(0, len(text), 76))
    xmp = b"<x:xmpmeta><xmpGImg:image>" + lines + b"</xmpGImg:image></x:xmpmeta>"
    plain = pictures.saved(pictures.picture(), "JPEG")
    body_at = 4 + int.from_bytes(plain[4:6], "big")
    data = with_segments(
        plain[:2] + plain[body_at:],
        Segment(segments.APP0, jfif),
        Segment(segments.APP13, segments.PHOTOSHOP + photoshop),
        Segment(segments.APP1, segments.XMP + xmp),
    )
    result, _ = store(tmp_path, data)
    head = read_segments(result).head
    new_jfif = segments.joined(head, segments.APP0, b"JFIF\0")
    assert is_green(Image.frombytes("RGB", (10, 8), new_jfif[9:]))
    new_photoshop = segments.joined(head, segments.APP13, segments.PHOTOSHOP)
    assert len(new_photoshop) == len(photoshop)
    (length,) = struct.unpack_from(">I", new_photoshop, 12 + 20)
    with Image.open(io.BytesIO(new_photoshop[12 + 28 : 12 + 28 + length])) as thumbnail:
        assert is_green(thumbnail)
    new_xmp = segments.joined(head, segments.APP1, segments.XMP)
    encoded = new_xmp.split(b"image>")[1].split(b"<")[0]
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as thumbnail:
        assert is_green(thumbnail)


def test_data_after_the_picture_are_kept_and_named(tmp_path: Path) -> None:
    result, report = store(tmp_path, pictures.saved(pictures.picture(), "JPEG") + b"a film")
    assert result.endswith(b"\xff\xd9a film")
    assert "after the picture" in report.notes[0]


def test_a_progressive_picture_too_noisy_for_the_encoder_becomes_baseline(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    result, report = store(tmp_path, _noisy(noise))
    assert not read_segments(result).frame.progressive
    assert report.notes == ("stored as baseline JPEG: too detailed for the progressive encoder",)


def _noisy(noise: Any) -> bytes:
    written, data = cv2.imencode(
        ".jpg",
        noise,
        [
            *(cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        ],
    )
    assert written
    return bytes(data.tobytes())


def test_metadata_too_large_for_jpeg_is_named_when_converting(tmp_path: Path) -> None:
    xmp = pictures.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + pictures.XMP + b" " * 70_000)
    texts = pictures.chunk(b"tEXt", b"Author\0Eve") + pictures.chunk(b"tEXt", b"Title\0A street")
    data = pictures.with_chunks(pictures.saved(pictures.picture(), "PNG"), xmp, texts)
    result, report = store(tmp_path, data, format="jpeg")
    assert report.notes == ("XMP data were left out: too large for JPEG",)
    with Image.open(io.BytesIO(result)) as after:
        # What the packet and the texts said about the author is still said, in EXIF.
        assert after.getexif()[0x8298] == pictures.COPYRIGHT
        assert after.getexif()[0x013B] == "Eve"
    assert b"Title: A street" in [s.payload for s in read_segments(result).head if s.marker == segments.COM]


def test_a_large_maker_note_is_left_out_when_converting_to_jpeg(tmp_path: Path) -> None:
    info = Image.Exif()
    info[0x013B] = pictures.ARTIST
    info.get_ifd(0x8769)[0x927C] = bytes(70_000)
    info.get_ifd(0x8769)[0x829A] = 0.01
    data = pictures.saved(pictures.picture(), "PNG", exif=info)
    result, report = store(tmp_path, data, format="jpeg")
    assert "maker" in report.notes[0]
    with Image.open(io.BytesIO(result)) as after:
        assert after.getexif()[0x013B] == pictures.ARTIST
        assert float(after.getexif().get_ifd(0x8769)[0x829A]) == 0.01


def test_cmyk_pixels_outside_keep_their_inks_and_inside_are_green(tmp_path: Path) -> None:
    result, _ = store(tmp_path, pictures.saved(pictures.picture("CMYK"), "JPEG", quality=95))
    with Image.open(io.BytesIO(result)) as after:
        assert after.mode == "CMYK"
        assert is_green(after)


@pytest.mark.parametrize(
    "damage", [b"\xff\xd8\xff\xe1\x00\x01", b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xd8\x00\x00"]
)
def test_broken_segments_are_named(damage: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|damaged"):
        read_segments(damage)


def test_an_incomplete_profile_is_none() -> None:
    parts = segments.write_icc(bytes(100_000))
    assert len(parts) == 2
    assert segments.read_icc(parts) == bytes(100_000)
    assert segments.read_icc(parts[:1]) is None
