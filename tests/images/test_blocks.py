"""The small parsers under the formats: EXIF blocks, IPTC, XMP, PNG texts, orientation, colour."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cleanplate.images import chunks, exif, iptc, preview, tiffblock, xmp
from cleanplate.images.chunks import Chunk
from cleanplate.images.colour import rgb_to_cmyk, rgb_to_grey, samples_to_rgb
from cleanplate.images.container import Samples
from cleanplate.images.identify import identify
from cleanplate.images.orientation import to_stored, to_upright
from cleanplate.images.tiffblock import Directory, Field
from tests.images import pictures


@given(st.integers(0, 9), st.integers(1, 5), st.integers(1, 5))
def test_orientation_is_pillows_and_can_be_undone(orientation: int, height: int, width: int) -> None:
    stored = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    upright = to_upright(stored, orientation)
    np.testing.assert_array_equal(to_stored(upright, orientation), stored)
    turns = [None, None, 0, 3, 1, 5, 4, 6, 2, None]
    turn = turns[orientation]
    witness = Image.fromarray(stored)
    if turn is not None:
        witness = witness.transpose(Image.Transpose(turn))
    np.testing.assert_array_equal(upright, np.array(witness))


@given(st.binary(max_size=200))
def test_damaged_exif_never_raises(junk: bytes) -> None:
    block = pictures.exif_block(6)
    small = pictures.picture().resize((8, 6))
    for damaged in (junk, b"II*\0" + junk, b"MM\0*" + junk, block[: len(junk)], block[:20] + junk):
        assert exif.orientation(damaged) in range(1, 9)
        exif.resolution(damaged)
        exif.upright(damaged)
        exif.completed(damaged, {exif.ARTIST: "x"})
        assert len(preview.renew_exif(damaged, small)) == len(damaged)
    iptc.authorship(junk)
    iptc.records_in_resources(b"8BIM" + junk)
    xmp.authorship(junk)
    identify(junk)


def test_upright_changes_the_tag_alone() -> None:
    block = pictures.exif_block(6)
    turned = exif.upright(block)
    assert exif.orientation(block) == 6
    assert exif.orientation(turned) == 1
    assert sum(a != b for a, b in zip(block, turned, strict=True)) == 1
    assert exif.upright(pictures.exif_block(1)) == pictures.exif_block(1)


def test_resolution_of_centimetres_becomes_inches() -> None:
    info = Image.Exif()
    info[0x011A], info[0x011B], info[0x0128] = 100.0, 50.0, 3
    block = info.tobytes().removeprefix(b"Exif\0\0")
    assert exif.resolution(block) == pytest.approx((254, 127))
    assert exif.resolution(None) is None


def test_what_is_there_is_not_overwritten() -> None:
    block = pictures.exif_block()
    assert exif.completed(block, {exif.ARTIST: "someone else"}) is block
    added = exif.completed(None, {exif.ARTIST: "Eve", exif.COPYRIGHT: ""}, (300, 300))
    assert added is not None
    reader = Image.Exif()
    reader.load(added)
    assert reader[0x013B] == "Eve"
    assert 0x8298 not in reader
    assert float(reader[0x011A]) == 300


def test_a_block_written_anew_holds_what_it_held() -> None:
    block = pictures.exif_block(5)
    again = tiffblock.write_block(tiffblock.read_directory(block))
    before, after = Image.Exif(), Image.Exif()
    before.load(block)
    after.load(again)
    assert dict(after) | {0x8769: 0} == dict(before) | {0x8769: 0}
    assert after.get_ifd(0x8769) == before.get_ifd(0x8769)


def test_a_directory_with_a_dangling_child_loses_only_that_child() -> None:
    pointer = Field(tiffblock.LONG, 1, struct.pack("<I", 9999))
    block = bytearray(tiffblock.write_block(Directory({0x8769: pointer, 0x0112: Field(3, 1, b"\6\0")})))
    found = tiffblock.read_directory(bytes(block))
    assert found.children == {}
    assert found.number(0x0112) == 6
    assert found.number(0x9999, 4) == 4


def test_iptc_in_latin_and_in_utf8() -> None:
    assert iptc.authorship(pictures.IPTC)["author"] == "Ada Example"
    utf8 = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"\x1c\x02\x50\x00\x02" + "é".encode() + b"\x1c\x02\x50\x00\x01B"
    assert iptc.authorship(utf8) == {"author": "é; B"}
    assert iptc.authorship(None) == {}


def test_png_texts_of_every_kind_and_damaged_ones() -> None:
    profile = b"\nexif\n       4\n" + b"1c020000"
    own = (
        Chunk(b"tEXt", b"Author\0Ada"),
        Chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"long")),
        Chunk(b"iTXt", b"Title\0\1\0\0\0" + zlib.compress("Straße".encode())),
        Chunk(b"zTXt", b"Broken\0\0not deflated"),
        Chunk(b"iTXt", b"Short\0\0"),
        Chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(profile)),
        Chunk(b"iCCP", b"name\0\0broken"),
    )
    found = chunks.read_metadata(own)
    assert dict(found.texts) == {"Author": "Ada", "Comment": "long", "Title": "Straße"}
    assert found.iptc == b"\x1c\x02\0\0"
    assert found.icc is None
    broken = (Chunk(b"tEXt", b"Raw profile type iptc\0\n\n\nxyz"), Chunk(b"iCCP", b"no end"))
    assert chunks.read_metadata(broken).iptc is None


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda d: d[:-6], "truncated"),
        (lambda d: d[:40] + b"\xff" + d[41:], "checksum"),
        (lambda d: b"x" + d, "start"),
        (lambda d: d[:33] + pictures.chunk(b"IEND", b""), "no picture"),
    ],
)
def test_damaged_png_structure_is_named(damage: object, cause: str) -> None:
    data = pictures.with_chunks(
        pictures.saved(pictures.picture(), "PNG"), pictures.chunk(b"tEXt", b"Author\0Ada Example")
    )
    with pytest.raises(ValueError, match=cause):
        chunks.read_chunks(damage(data))  # type: ignore[operator]


def test_xmp_in_png_has_its_thumbnail_made_anew() -> None:
    import base64

    old = pictures.saved(pictures.picture(), "JPEG")
    packet = b"<xmpGImg:image>" + base64.b64encode(old) + b"</xmpGImg:image>"
    own = [Chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet), Chunk(b"iTXt", b"Title\0\0\0\0\0x")]
    new = chunks.renewed(own, Image.new("RGB", (32, 24), (0, 255, 0)))
    assert new[0] != own[0]
    assert new[1] == own[1]
    assert preview.renew_xmp(b"<xmpGImg:image>!!!</xmpGImg:image>", pictures.picture()).count(b"!!!") == 1
    assert preview.renew_xmp(b"<xmpGImg:image>AAAA</xmpGImg:image>", pictures.picture()).count(b"AAAA") == 1


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20))
def test_cmyk_without_a_profile_comes_back_to_one_level(colours: list[tuple[int, int, int]]) -> None:
    rgb = np.array(colours, np.uint8)
    back = samples_to_rgb(Samples("CMYK", rgb_to_cmyk(rgb)[None]))[0]
    assert np.abs(back.astype(int) - rgb).max() <= 1


@given(st.integers(0, 65535))
def test_equal_channels_are_exactly_grey(level: int) -> None:
    assert rgb_to_grey(np.full((1, 3), level, np.uint16)).tolist() == [level]
    assert rgb_to_grey(np.full((1, 3), level // 257, np.uint8)).tolist() == [level // 257]


def test_identifying_by_the_first_bytes() -> None:
    assert identify(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") == "AVIF"
    assert identify(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "HEIF"
    assert identify(b"\0\0\0\x18ftypisom\0\0\0\0isommp42") is None
    assert identify(b"\xff\x0a\0\0") == "JPEG XL"
