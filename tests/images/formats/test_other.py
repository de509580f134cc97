"""What only PNG, WebP, TIFF, BMP, HEIC and AVIF files have."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cleanplate.images import chunks, exif, iptc, riff, tiffblock
from cleanplate.images.read import read
from cleanplate.images.riff import RiffChunk
from cleanplate.images.write import WriteReport, write
from tests.images import pictures


def store(folder: Path, data: bytes, **options: Any) -> tuple[bytes, WriteReport]:
    """Write the picture with a piece of it moved."""
    (folder / "in").write_bytes(data)
    photo = read(folder / "in", max_megapixels=100)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[4:16, 4:20] = True
    rgb[4:16, 4:20] = photo.rgb[20:32, 20:36]
    report = write(photo, rgb, changed, folder / "out", temporary_dir=folder / "tmp", **options)
    return (folder / "out").read_bytes(), report


PNG_CHUNKS = [
    pictures.chunk(b"gAMA", struct.pack(">I", 45455)),
    pictures.chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    pictures.chunk(b"cICP", bytes([1, 13, 0, 1])),
    pictures.chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
    pictures.chunk(b"tIME", struct.pack(">HBBBBB", 2024, 5, 6, 7, 8, 9)),
    pictures.chunk(b"tEXt", b"Author\0Ada Example"),
    pictures.chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"said at length")),
    pictures.chunk(b"iTXt", "Title\0\0\0de\0Titel\0Straße".encode()),
    pictures.chunk(b"eXIf", pictures.exif_block()),
    pictures.chunk(b"prVt", b"safe to copy"),
]


@pytest.mark.parametrize("depth", [8, 16])
def test_png_chunks_are_put_back(depth: int, tmp_path: Path) -> None:
    plain = pictures.saved(pictures.picture(), "PNG") if depth == 8 else pictures.deep_file(".png", 3)
    icc = pictures.chunk(b"iCCP", b"mine\0\0" + zlib.compress(pictures.profile()))
    result, report = store(tmp_path, pictures.with_chunks(plain, icc, *PNG_CHUNKS))
    for chunk in (icc, *PNG_CHUNKS):
        assert chunk in result, chunk[4:8]
    assert report.notes == ()
    names = [chunk.name for chunk in chunks.read_chunks(result)]
    assert names[0] == b"IHDR"
    assert names[-1] == b"IEND"
    assert max(names.index(n) for n in (b"gAMA", b"cICP", b"pHYs", b"iCCP")) < names.index(b"IDAT")
    with Image.open(io.BytesIO(result)) as after:
        after.load()
        assert after.info["icc_profile"] == pictures.profile()


def test_png_credentials_are_kept_and_private_layout_is_left_out(tmp_path: Path) -> None:
    c2pa, private = pictures.chunk(b"caBX", b"jumb"), pictures.chunk(b"prVT", b"tied to the old pixels")
    apple = pictures.chunk(b"iDOT", bytes(28))
    data = pictures.with_chunks(pictures.saved(pictures.picture(), "PNG"), c2pa, private, apple)
    result, report = store(tmp_path, data)
    assert c2pa in result
    assert private not in result
    assert apple not in result
    assert report.notes[0] == exif.C2PA_NOTE
    assert "prVT" in report.notes[1]


@pytest.mark.parametrize(
    ("mode", "key"), [("L", struct.pack(">H", 130)), ("RGB", struct.pack(">3H", 1, 2, 3))]
)
def test_a_colour_that_means_transparent_is_never_hit_by_the_repair(
    mode: str, key: bytes, tmp_path: Path
) -> None:
    data = pictures.with_chunks(pictures.saved(pictures.picture(mode), "PNG"), pictures.chunk(b"tRNS", key))
    (tmp_path / "in").write_bytes(data)
    photo = read(tmp_path / "in", max_megapixels=1)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[4:16, 4:20] = True
    rgb[changed] = (130, 130, 130) if mode == "L" else (1, 2, 3)
    write(photo, rgb, changed, tmp_path / "out", temporary_dir=tmp_path / "tmp")
    with Image.open(tmp_path / "out") as after:
        alpha = np.array(after.convert("RGBA"))[:, :, 3]
    assert (alpha[changed] == 255).all()
    assert pictures.chunk(b"tRNS", key) in (tmp_path / "out").read_bytes()


def test_a_palette_grows_while_there_is_room_and_then_becomes_rgb(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(pictures.saved(pictures.picture("P"), "PNG"))
    photo = read(tmp_path / "in", max_megapixels=1)
    changed = np.zeros((photo.height, photo.width), bool)
    changed[4:34, 4:34] = True
    few, many = photo.rgb.copy(), photo.rgb.copy()
    few[changed] = np.repeat([[1, 2, 3], [4, 5, 6]], 450, axis=0)
    many[changed] = np.arange(2700).reshape(900, 3) % 251
    report = write(photo, few, changed, tmp_path / "few", temporary_dir=tmp_path / "tmp")
    result = read(tmp_path / "few", max_megapixels=1)
    assert result.container.samples.mode == "P"
    assert report.notes == ()
    np.testing.assert_array_equal(result.rgb, few)
    report = write(photo, many, changed, tmp_path / "many", temporary_dir=tmp_path / "tmp")
    result = read(tmp_path / "many", max_megapixels=1)
    assert result.container.samples.mode == "RGB"
    assert "palette" in report.notes[0]
    np.testing.assert_array_equal(result.rgb, many)


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    source = pictures.picture("P")
    data = pictures.saved(source, "PNG", transparency=bytes(range(0, 256, 8)))
    result, _ = store(tmp_path, data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(result)) as after:
        assert after.mode == "P"
        np.testing.assert_array_equal(
            np.array(after.convert("RGBA"))[:, :, 3], np.array(before.convert("RGBA"))[:, :, 3]
        )
    converted, _ = store(tmp_path, data, format="webp")
    with Image.open(io.BytesIO(converted)) as after:
        assert after.mode == "RGBA"


def test_a_one_bit_picture_becomes_grey_only_where_it_must(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(pictures.saved(pictures.picture("1"), "PNG"))
    photo = read(tmp_path / "in", max_megapixels=1)
    rgb, changed = photo.rgb.copy(), np.zeros((photo.height, photo.width), bool)
    changed[4:16, 4:20] = True
    rgb[changed] = 128
    report = write(photo, rgb, changed, tmp_path / "out", temporary_dir=tmp_path / "tmp")
    result = read(tmp_path / "out", max_megapixels=1)
    assert result.container.samples.mode == "L"
    assert "one-bit" in report.notes[0]
    np.testing.assert_array_equal(result.rgb, rgb)


def test_two_and_four_bit_grey_keep_their_transparent_colour(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 64, 48, 4, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes([0x3A] * 32) for _ in range(48))
    data = (
        chunks.SIGNATURE
        + pictures.chunk(b"IHDR", header)
        + pictures.chunk(b"tRNS", struct.pack(">H", 3))
        + pictures.chunk(b"IDAT", zlib.compress(rows))
        + pictures.chunk(b"IEND", b"")
    )
    result, _ = store(tmp_path, data)
    with Image.open(io.BytesIO(result)) as after:
        alpha = np.array(after.convert("RGBA"))[:, :, 3]
    assert (alpha[:, 0::2] == 0).all()
    assert (alpha[:, 1::2] == 255).all()


@pytest.mark.parametrize("channels", ["deep1.png", "deep3.png", "deep4.png"])
def test_sixteen_bits_become_eight_only_when_asked(channels: str, tmp_path: Path) -> None:
    _, report = store(tmp_path, pictures.LOSSLESS[channels](), format="jpeg")
    assert "16 bits" in report.notes[0]
    assert read(tmp_path / "out", max_megapixels=1).rgb.dtype == np.uint8


def test_iptc_survives_png_and_its_authors_survive_webp(tmp_path: Path) -> None:
    with Image.open(io.BytesIO(pictures.saved(pictures.picture(), "JPEG", quality=95))) as image:
        plain = pictures.saved(image, "JPEG", quality=95)
    segment = b"Photoshop 3.0\0" + iptc.resources_of_records(pictures.IPTC)
    data = plain[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]
    png, _ = store(tmp_path, data, format="png")
    assert chunks.read_metadata(chunks.read_chunks(png)).iptc == pictures.IPTC
    back, _ = store(tmp_path, png, format="jpeg")
    assert iptc.resources_of_records(pictures.IPTC) in back
    webp, report = store(tmp_path, data, format="webp")
    assert any("IPTC" in note for note in report.notes)
    with Image.open(io.BytesIO(webp)) as after:
        assert after.getexif()[0x013B] == "Ada Example"
        assert after.getexif()[0x8298] == "(c) IPTC Ada"
        assert after.getexif()[0x010E] == "A caption"


def test_webp_stays_what_it_was_and_keeps_its_chunks(tmp_path: Path) -> None:
    for lossless in (True, False):
        data = pictures.saved(
            pictures.picture(),
            "WEBP",
            lossless=lossless,
            quality=60,
            exif=pictures.exif_block(),
            xmp=pictures.XMP,
        )
        pixels = riff.read_riff(data)
        credentials = RiffChunk(b"C2PA", b"jumb")
        result, report = store(
            tmp_path, riff.write_riff(pixels, [*pixels, credentials], (64, 48), alpha=False)
        )
        written = riff.read_riff(result)
        assert riff.is_lossless(written) is lossless
        assert credentials in written
        assert report.notes == (exif.C2PA_NOTE,)
        assert riff.data_of(written, b"XMP ") == pictures.XMP
        assert riff.size_of(written) == (64, 48)


@pytest.mark.parametrize("quality", [10, 40, 60, 75, 85, 95])
def test_the_quality_of_a_lossy_webp_is_read_from_its_header(quality: int) -> None:
    picture = Image.fromarray(np.tile(pictures.photograph(), (4, 4, 1)))
    frame = riff.data_of(riff.read_riff(pictures.saved(picture, "WEBP", quality=quality)), b"VP8 ")
    assert frame is not None
    estimated = riff.lossy_quality(frame)
    assert estimated is not None
    assert abs(estimated - quality) <= 16
    assert riff.lossy_quality(frame[:14]) in (None, estimated)


def test_sizes_of_webp_are_read_without_decoding() -> None:
    for options in ({"lossless": True}, {"quality": 50}, {"quality": 50, "xmp": b"<x/>"}):
        assert riff.size_of(riff.read_riff(pictures.saved(pictures.picture(), "WEBP", **options))) == (64, 48)
    assert riff.size_of([]) == (0, 0)


@pytest.mark.parametrize("order", ["II", "MM"])
def test_tiff_tags_of_either_byte_order_are_kept(order: str, tmp_path: Path) -> None:
    tags = {0x010F: "A maker", 0x013B: pictures.ARTIST, 0x8298: pictures.COPYRIGHT, 0x010D: "a document"}
    data = pictures.saved(pictures.picture(), "TIFF", tiffinfo=tags, dpi=(300, 200))
    if order == "MM":
        data = as_big_endian(data)
    result, report = store(tmp_path, data)
    assert report.notes == ()
    with Image.open(io.BytesIO(result)) as after:
        assert {tag: after.tag_v2[tag] for tag in tags} == tags
        assert after.info["compression"] == "raw"
        assert after.info["dpi"] == (300, 200)


def as_big_endian(data: bytes) -> bytes:
    """An uncompressed RGB TIFF file of the other byte order, with the same tags."""
    first = tiffblock.read_directory(data)
    with Image.open(io.BytesIO(data)) as image:
        pixels = image.tobytes()
    numbers = {0x0103: 1, 0x0111: 8, 0x0116: 48, 0x0117: len(pixels)}
    fields = {tag: field for tag, field in first.fields.items() if tag not in numbers}
    entries, values = [], b""
    base = 8 + len(pixels)
    size = 2 + 12 * (len(fields) + len(numbers)) + 4
    for tag in sorted([*fields, *numbers]):
        if tag in numbers:
            entries.append(struct.pack(">HHII", tag, 4, 1, numbers[tag]))
            continue
        field = fields[tag]
        width = {3: 2, 4: 4, 5: 4}.get(field.type, 1)
        raw = b"".join(field.raw[i : i + width][::-1] for i in range(0, len(field.raw), width))
        inline = raw.ljust(4, b"\0")
        if len(raw) > 4:
            inline = struct.pack(">I", base + size + len(values))
            values += raw + bytes(len(raw) % 2)
        entries.append(struct.pack(">HHI", tag, field.type, field.count) + inline)
    directory = struct.pack(">H", len(entries)) + b"".join(entries) + bytes(4)
    return b"MM\0*" + struct.pack(">I", base) + pixels + directory + values


def test_tiff_layers_and_small_versions_are_left_out_and_named(tmp_path: Path) -> None:
    tags = {0x935C: b"Adobe Photoshop Document Data Block\0layers", 0xCD41: b"jumb"}
    data = pictures.saved(pictures.picture(), "TIFF", tiffinfo=tags)
    result, report = store(tmp_path, data)
    assert b"layers" not in result
    assert report.notes == (exif.C2PA_NOTE, "Photoshop's layers were left out: they show the mark")


def test_a_tiff_compression_that_cannot_be_written_becomes_deflate(tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture(), "TIFF", compression="tiff_adobe_deflate")
    field = struct.pack("<HHIHH", 0x0103, 3, 1, 8, 0)
    (tmp_path / "in").write_bytes(data)
    photo = read(tmp_path / "in", max_megapixels=1)
    assert field in data
    details = photo.container.details
    object.__setattr__(details, "compression", 34925)
    report = write(
        photo, photo.rgb, np.zeros((48, 64), bool), tmp_path / "out", temporary_dir=tmp_path / "tmp"
    )
    assert report.notes == ("TIFF compression 34925 became deflate, which loses nothing",)


def test_a_tiff_predictor_is_kept(tmp_path: Path) -> None:
    data = pictures.saved(pictures.picture(), "TIFF", compression="tiff_lzw", tiffinfo={0x013D: 2})
    assert tiffblock.read_directory(data).number(0x013D) == 2
    result, _ = store(tmp_path, data)
    assert tiffblock.read_directory(result).number(0x013D) == 2
    np.testing.assert_array_equal(
        read(tmp_path / "out", max_megapixels=1).rgb[30:], pictures.photograph()[30:]
    )


def test_heic_names_what_it_cannot_keep(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(pictures.heic_file())
    photo = read(tmp_path / "in", max_megapixels=1)
    photo.container.details.info.update({"depth_images": [], "aux": {"urn:gain": [1]}})
    report = write(
        photo, photo.rgb, np.zeros((48, 64), bool), tmp_path / "out", temporary_dir=tmp_path / "tmp"
    )
    assert report.notes == ("its HDR gain map or masks were left out",)


def test_ten_bit_heic_stays_ten_bit(tmp_path: Path) -> None:
    result, _ = store(tmp_path, pictures.heic_file(depth=10))
    import pillow_heif

    assert pillow_heif.open_heif(io.BytesIO(result), convert_hdr_to_8bit=False).info["bit_depth"] == 10


def test_avif_subsampling_is_kept(tmp_path: Path) -> None:
    from cleanplate.images.formats.avif import coding_of

    for subsampling in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
        source = pictures.picture("L" if subsampling == "4:0:0" else "RGB")
        data = pictures.saved(source, "AVIF", quality=90, subsampling=subsampling)
        result, _ = store(tmp_path, data)
        assert coding_of(result) == (False, subsampling)


def test_bmp_keeps_its_resolution(tmp_path: Path) -> None:
    result, _ = store(tmp_path, pictures.saved(pictures.picture(), "BMP", dpi=(150, 150)))
    with Image.open(io.BytesIO(result)) as after:
        assert [round(value) for value in after.info["dpi"]] == [150, 150]


def test_bmp_keeps_its_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([np.asarray(pictures.picture()), np.asarray(pictures.picture("L"))])
    plain = pictures.saved(Image.fromarray(rgba), "BMP")
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<I", 108) + plain[18:30] + struct.pack("<I", 3) + plain[34:54]
    header += struct.pack("<4I", *masks) + bytes(52)
    data = plain[:2] + struct.pack("<I4xI", len(plain) + 68, 14 + 108) + header + plain[54:]
    result, _ = store(tmp_path, data)
    with Image.open(io.BytesIO(result)) as after:
        assert after.mode == "RGBA"
        kept = np.asarray(after)
    assert np.array_equal(kept[:, :, 3], rgba[:, :, 3])
