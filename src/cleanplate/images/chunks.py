"""The chunks of a PNG file: taking them apart, and putting the input's back round new pixels."""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from cleanplate.images import exif, preview
from cleanplate.images.container import Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
_IPTC_KEYWORD = b"Raw profile type iptc"

#: What the pixels' own encoder decides, or what described the old pixels' layout.
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"iDOT", b"acTL", b"fcTL", b"fdAT"})
#: What describes the old palette or colour type, and is only right while those stay.
_MODE_CHUNKS = frozenset({b"bKGD", b"hIST", b"sBIT"})
#: What must stand before the palette.
_BEFORE_PALETTE = frozenset({b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
#: What is known to stay right although its name says that it may not.
_KNOWN = frozenset(
    {*_BEFORE_PALETTE, *_MODE_CHUNKS, b"pHYs", b"sPLT", b"oFFs", b"pCAL", b"sCAL", b"sTER", b"tIME"}
)
_C2PA = b"caBX"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk's four-letter name and data. after_pixels: whether it stood behind the pixels."""

    name: bytes
    data: bytes
    after_pixels: bool = False


def read_chunks(data: bytes) -> tuple[Chunk, ...]:
    """Take a PNG file apart.

    Raises ValueError for a wrong start, a chunk that is cut off or fails its checksum, or a missing end.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("it does not start as a PNG file does")
    chunks: list[Chunk] = []
    at = len(SIGNATURE)
    after_pixels = False
    while not chunks or chunks[-1].name != b"IEND":
        if at + 12 > len(data):
            raise ValueError("it is truncated")
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        if at + 12 + length > len(data):
            raise ValueError("it is truncated")
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if checksum != zlib.crc32(name + body):
            raise ValueError(f"the checksum of its {name.decode('latin-1')} part is wrong")
        after_pixels = after_pixels or name == b"IDAT"
        chunks.append(Chunk(name, body, after_pixels and name != b"IDAT"))
        at += 12 + length
    if chunks[0].name != b"IHDR" or not after_pixels:
        raise ValueError("there is no picture in it")
    return tuple(chunks)


def write_chunks(chunks: Iterable[Chunk]) -> bytes:
    """A PNG file of these chunks."""
    parts = [SIGNATURE]
    for chunk in chunks:
        checksum = zlib.crc32(chunk.data, zlib.crc32(chunk.name))
        parts += [struct.pack(">I", len(chunk.data)), chunk.name, chunk.data, struct.pack(">I", checksum)]
    return b"".join(parts)


def data_of(chunks: Iterable[Chunk], name: bytes) -> bytes | None:
    """The data of the first chunk of that name."""
    return next((chunk.data for chunk in chunks if chunk.name == name), None)


def frames_in(chunks: Iterable[Chunk]) -> int:
    """How many frames an animation declares; 1 for a picture."""
    declared = data_of(chunks, b"acTL")
    return int.from_bytes(declared[:4], "big") if declared is not None else 1


def merge(
    encoded: Sequence[Chunk], own: Sequence[Chunk], extra: Sequence[Chunk], *, same_mode: bool
) -> tuple[list[Chunk], tuple[str, ...]]:
    """The encoder's pixels with the input's other chunks where they stood.

    extra: what belongs between palette and pixels. same_mode: whether colour type and palette are the
    input's. Returns the chunks and notes.
    """
    kept, notes = [], []
    for chunk in own:
        if chunk.name in _PIXEL_CHUNKS or (chunk.name in _MODE_CHUNKS and not same_mode):
            continue
        if chunk.name == _C2PA:
            notes.append(exif.C2PA_NOTE)
        elif chunk.name[3:4].isupper() and chunk.name not in _KNOWN:
            notes.append(
                f"its private part {chunk.name.decode('latin-1')} fits the old pixels only: left out"
            )
            continue
        kept.append(chunk)
    pixels = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
    new = {name: [chunk for chunk in encoded if chunk.name == name] for name in pixels}
    early = [chunk for chunk in kept if chunk.name in _BEFORE_PALETTE]
    middle = [chunk for chunk in kept if chunk.name not in _BEFORE_PALETTE and not chunk.after_pixels]
    late = [chunk for chunk in kept if chunk.name not in _BEFORE_PALETTE and chunk.after_pixels]
    order = [*new[b"IHDR"], *early, *new[b"PLTE"], *extra, *middle, *new[b"IDAT"], *late, *new[b"IEND"]]
    return order, tuple(notes)


def renewed(chunks: Sequence[Chunk], small: Image.Image) -> tuple[Chunk, ...]:
    """The chunks with the thumbnails inside EXIF and XMP made anew."""
    return tuple(_renewed(chunk, small) for chunk in chunks)


def _renewed(chunk: Chunk, small: Image.Image) -> Chunk:
    if chunk.name == b"eXIf":
        return replace(chunk, data=preview.renew_exif(chunk.data, small))
    if chunk.name == b"iTXt" and chunk.data.startswith(XMP_KEYWORD + b"\0"):
        packet = _text(chunk)[1].encode()
        changed = preview.renew_xmp(packet, small)
        if changed != packet:
            return replace(chunk, data=XMP_KEYWORD + b"\0\0\0\0\0" + changed)
    return chunk


def read_metadata(chunks: Sequence[Chunk]) -> Metadata:
    """The metadata blocks without their chunks. A damaged block is left out (its chunk still travels)."""
    texts = dict(_text(chunk) for chunk in chunks if chunk.name in (b"tEXt", b"zTXt", b"iTXt"))
    xmp = texts.pop(XMP_KEYWORD, None)
    raw_iptc = texts.pop(_IPTC_KEYWORD, None)
    return Metadata(
        exif=data_of(chunks, b"eXIf"),
        icc=_icc(data_of(chunks, b"iCCP")),
        xmp=xmp.encode() if xmp else None,
        iptc=_raw_profile(raw_iptc) if raw_iptc else None,
        dpi=_dpi(data_of(chunks, b"pHYs")),
        c2pa=data_of(chunks, _C2PA) is not None,
        texts=tuple((key.decode("latin-1"), value) for key, value in texts.items() if key),
    )


def _icc(data: bytes | None) -> bytes | None:
    if data is None or b"\0" not in data:
        return None
    try:
        return zlib.decompress(data[data.index(b"\0") + 2 :])
    except zlib.error:
        return None


def _dpi(data: bytes | None) -> tuple[float, float] | None:
    if data is None or len(data) < 9 or data[8] != 1:
        return None
    across, down = struct.unpack_from(">II", data)
    return (across * 0.0254, down * 0.0254) if across and down else None


def _text(chunk: Chunk) -> tuple[bytes, str]:
    """Keyword and text; an empty keyword where the chunk is damaged."""
    keyword, _, rest = chunk.data.partition(b"\0")
    try:
        if chunk.name == b"tEXt":
            return keyword, rest.decode("latin-1")
        if chunk.name == b"zTXt":
            return keyword, _inflate(rest[1:]).decode("latin-1")
        compressed = rest[:1] == b"\1"
        text = rest[2:].split(b"\0", 2)[2]
        return keyword, (_inflate(text) if compressed else text).decode("utf-8", "replace")
    except (zlib.error, ValueError, IndexError):
        return b"", ""


def _inflate(data: bytes, most: int = 1 << 24) -> bytes:
    """Bounded, so that a small chunk cannot grow without end."""
    return zlib.decompressobj().decompress(data, most)


def _raw_profile(text: str) -> bytes | None:
    """A profile as hexadecimal text: a name, a length, then the digits."""
    lines = text.strip().split("\n")
    try:
        data = binascii.unhexlify("".join(lines[2:]).replace(" ", ""))
    except (binascii.Error, ValueError):
        return None
    at = data.find(b"\x1c")
    return data[at:] if at >= 0 else None


def write_metadata(metadata: Metadata) -> list[Chunk]:
    """Metadata that came from another format, as chunks."""
    written = []
    if metadata.icc is not None:
        written.append(Chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc, 9)))
    if metadata.dpi is not None:
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        written.append(Chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif is not None:
        written.append(Chunk(b"eXIf", metadata.exif))
    if metadata.xmp is not None:
        written.append(Chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp))
    if metadata.iptc is not None:
        digits = binascii.hexlify(metadata.iptc).decode()
        lines = "\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
        text = f"\niptc\n{len(metadata.iptc):8d}\n{lines}\n"
        written.append(Chunk(b"zTXt", _IPTC_KEYWORD + b"\0\0" + zlib.compress(text.encode())))
    written += [_international(b"Comment", text) for text in metadata.comments]
    written += [_international(keyword.encode("latin-1"), text) for keyword, text in metadata.texts]
    return written


def _international(keyword: bytes, text: str) -> Chunk:
    return Chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text.encode())
