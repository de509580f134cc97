"""Small files of every format, drawn for the tests, and the metadata blocks that they carry."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms
from skimage import data

from cleanplate.images import tiffblock
from cleanplate.images.orientation import to_stored
from cleanplate.images.tiffblock import Directory, Field

HEIGHT, WIDTH = 48, 64
ARTIST, COPYRIGHT = "Ada Example", "(c) 2024 Ada Example"
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights><rdf:Alt><rdf:li xml:lang="x-default">'
    b"(c) 2024 Ada Example</rdf:li></rdf:Alt></dc:rights></rdf:Description></rdf:RDF></x:xmpmeta>"
    b'<?xpacket end="w"?>'
)
IPTC = b"".join(
    struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text
    for number, text in ((80, b"Ada Example"), (116, b"(c) IPTC Ada"), (120, b"A caption"))
)


@cache
def photograph() -> NDArray[np.uint8]:
    """(48, 64, 3) uint8 of a real picture."""
    return cv2.resize(data.astronaut()[:384, :512], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


@cache
def deep_photograph() -> NDArray[np.uint16]:
    """(48, 64, 3) uint16 whose low bytes matter."""
    noise = np.random.default_rng(7).integers(0, 257, (HEIGHT, WIDTH, 3))
    return (photograph().astype(np.uint32) * 256 + noise.clip(0, 255)).astype(np.uint16)


@cache
def profile() -> bytes:
    """An RGB colour profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(orientation: int = 1) -> bytes:
    """An EXIF block with author, copyright, exposure and resolution."""
    exif = Image.Exif()
    exif[0x0112], exif[0x013B], exif[0x8298] = orientation, ARTIST, COPYRIGHT
    exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 240.0, 2
    exif.get_ifd(0x8769)[0x829A] = 0.004
    return exif.tobytes().removeprefix(b"Exif\0\0")


def picture(mode: str = "RGB") -> Image.Image:
    """The photograph as a Pillow picture of a mode."""
    rgb = Image.fromarray(photograph())
    if mode == "P":
        return rgb.quantize(64)
    if mode in ("LA", "RGBA"):
        ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
        rgb = rgb.convert(mode)
        rgb.putalpha(Image.fromarray(ramp))
        return rgb
    return rgb.convert(mode)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """A picture as a file in memory."""
    target = io.BytesIO()
    image.save(target, format, **options)
    return target.getvalue()


def deep_file(suffix: str, channels: int, orientation: int = 1) -> bytes:
    """A 16-bit PNG or TIFF of 1, 3 or 4 channels, by OpenCV; a TIFF can be stored turned."""
    deep = to_stored(deep_photograph(), orientation)
    array = {1: deep[:, :, 0], 3: deep[:, :, ::-1], 4: np.dstack([deep[:, :, ::-1], deep[:, :, 1]])}[channels]
    written, encoded = cv2.imencode(suffix, np.ascontiguousarray(array))
    assert written
    if orientation == 1:
        return bytes(encoded.tobytes())
    # Behind the pixels, the same directory with the tag.
    data = encoded.tobytes()
    first = tiffblock.read_directory(data)
    fields = {**first.fields, tiffblock.ORIENTATION: Field(tiffblock.SHORT, 1, bytes([orientation, 0]))}
    offsets, lengths = first.fields[0x0111].numbers(), first.fields[0x0117].numbers()
    strips = tuple(data[at : at + length] for at, length in zip(offsets, lengths, strict=True))
    return tiffblock.write_block(Directory(fields), strips=strips)


def heic_file(mode: str = "RGB", depth: int = 8, orientation: int = 1) -> bytes:
    """A HEIC file, with EXIF."""
    target = io.BytesIO()
    if depth == 8:
        source, name = picture(mode), mode
        pixels = np.array(source).tobytes()
    else:
        name, pixels = "RGB;16", deep_photograph().tobytes()
    file = pillow_heif.HeifFile()
    file.add_frombytes(name, (WIDTH, HEIGHT), pixels)
    file.save(target, quality=95, exif=exif_block(orientation), xmp=XMP, chroma="444")
    return target.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG file with chunks put in behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


#: Lossless files: what is written must decode to exactly what was composed.
LOSSLESS: dict[str, Callable[[], bytes]] = {
    **{f"{m}.png": lambda m=m: saved(picture(m), "PNG") for m in ("1", "L", "LA", "P", "RGB", "RGBA")},
    **{f"deep{c}.png": lambda c=c: deep_file(".png", c) for c in (1, 3, 4)},
    **{f"{m}.bmp": lambda m=m: saved(picture(m), "BMP") for m in ("1", "L", "P", "RGB")},
    **{
        f"{m}.webp": lambda m=m: saved(picture(m), "WEBP", lossless=True, exact=True) for m in ("RGB", "RGBA")
    },
    **{
        f"{m}-{c}.tif": lambda m=m, c=c: saved(picture(m), "TIFF", compression=c)
        for m in ("L", "LA", "P", "RGB", "RGBA", "CMYK")
        for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
    },
    "1-group4.tif": lambda: saved(picture("1"), "TIFF", compression="group4"),
    **{f"deep{c}.tif": lambda c=c: deep_file(".tif", c) for c in (1, 3)},
}

#: Lossy files: what is written must decode close to what was composed. The number: mean grey levels.
LOSSY: dict[str, tuple[Callable[[], bytes], float]] = {
    **{
        f"{s.replace(':', '')}.jpg": (lambda s=s: saved(picture(), "JPEG", quality=92, subsampling=s), 2.5)
        for s in ("4:4:4", "4:2:2", "4:2:0")
    },
    "progressive.jpg": (lambda: saved(picture(), "JPEG", quality=92, progressive=True), 2.5),
    "grey.jpg": (lambda: saved(picture("L"), "JPEG", quality=92), 1.5),
    "cmyk.jpg": (lambda: saved(picture("CMYK"), "JPEG", quality=92), 2.5),
    "rgb.jpg": (lambda: saved(picture(), "JPEG", quality=92, keep_rgb=True), 2.5),
    "lossy.webp": (lambda: saved(picture(), "WEBP", quality=90), 6.0),
    "alpha.webp": (lambda: saved(picture("RGBA"), "WEBP", quality=90, exact=True), 6.0),
    "jpeg.tif": (lambda: saved(picture(), "TIFF", compression="jpeg", quality=92), 4.0),
    "colour.avif": (lambda: saved(picture(), "AVIF", quality=95, subsampling="4:4:4"), 4.0),
    "grey.avif": (lambda: saved(picture("L"), "AVIF", quality=95), 4.0),
    "alpha.avif": (lambda: saved(picture("RGBA"), "AVIF", quality=95), 6.0),
    "colour.heic": (lambda: heic_file("RGB"), 3.0),
    "grey.heic": (lambda: heic_file("L"), 2.0),
    "alpha.heic": (lambda: heic_file("RGBA"), 3.0),
}


def rotated(format: str, orientation: int) -> bytes:
    """The photograph stored so that `orientation` turns it upright, with the tag."""
    stored = Image.fromarray(to_stored(photograph(), orientation))
    options: dict[str, Any] = {"exif": b"Exif\0\0" + exif_block(orientation)}
    if format == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    if format == "WEBP":
        options |= {"lossless": True}
    if format == "TIFF":
        options = {"tiffinfo": {0x0112: orientation, 0x013B: ARTIST}}
    if format == "AVIF":
        options |= {"quality": 95, "subsampling": "4:4:4"}
    return saved(stored, format, **options)


@cache
def cmyk_profile() -> bytes:
    """A crude CMYK profile, built by hand: lightness falls with every ink, and black is a dark grey."""
    corners = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    inks = corners.astype(float)
    light = 255 - 40 * inks[:, :3].sum(axis=1) - 150 * inks[:, 3] * (1 - inks[:, :3].mean(axis=1) * 0.6)
    a = 128 + 50 * inks[:, 1] - 40 * inks[:, 0]
    b = 128 + 60 * inks[:, 2] - 30 * inks[:, 0]
    to_lab = _table(4, 3, 2, np.stack([light, a, b], axis=1))
    grid = np.indices((5, 5, 5)).reshape(3, -1).T / 4
    black = (1 - grid[:, 0]) * 255 * 255 / 190
    to_ink = _table(3, 4, 5, np.stack([np.zeros(125), np.zeros(125), np.zeros(125), black], axis=1))
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"text\0\0\0\0none\0"
    tags = {b"A2B0": to_lab, b"B2A0": to_ink, b"wtpt": white, b"cprt": text.ljust(16, b"\0")}
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size = at + len(body)
    header = struct.pack(">I4xI", size, 0x02400000) + b"prtrCMYKLab " + bytes(12) + b"acsp"
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


def _table(inputs: int, outputs: int, grid: int, values: NDArray[np.float64]) -> bytes:
    """A `mft1` look-up table with straight curves."""
    head = (
        b"mft1\0\0\0\0"
        + bytes([inputs, outputs, grid, 0])
        + struct.pack(">9i", *np.eye(3).ravel().astype(int) * 65536)
    )
    straight = bytes(range(256))
    return head + straight * inputs + values.clip(0, 255).astype(np.uint8).tobytes() + straight * outputs
