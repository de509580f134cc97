"""The chunks of a PNG file: taking them apart, and putting the input's back round new pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from cleanplate.images import exif, preview, rawprofile
from cleanplate.images.container import Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
_IPTC_KEYWORD = rawprofile.KEYWORD + b"iptc"
#: One compressed text or profile, and all texts together, may grow to so many bytes: a small file cannot fill
#: the memory.
_MOST_INFLATED, _MOST_TEXT = 1 << 24, 1 << 26

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
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
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
    if chunk.name not in _TEXT_CHUNKS:
        return chunk
    keyword, text = _text(chunk)
    changed = text
    if keyword == XMP_KEYWORD:
        changed = preview.renew_xmp(text.encode(), small).decode()
    elif keyword.startswith(rawprofile.KEYWORD):
        changed = rawprofile.renew_text(text, small)
    return chunk if changed == text else _with_text(chunk, changed)


def read_metadata(chunks: Sequence[Chunk]) -> Metadata:
    """The metadata blocks without their chunks. A damaged block is left out (its chunk still travels)."""
    texts = _texts(chunks)
    xmp = texts.pop(XMP_KEYWORD, None)
    raw = [texts.pop(key) for key in list(texts) if key.startswith(rawprofile.KEYWORD)]
    profiles = [rawprofile.read_profile(text) or b"" for text in raw]

    def first(part_of: Callable[[bytes], bytes | None]) -> bytes | None:
        return next((found for profile in profiles if (found := part_of(profile))), None)

    unknown = any(profile and not rawprofile.is_known(profile) for profile in profiles)
    block, numbers = data_of(chunks, b"eXIf"), data_of(chunks, b"cICP")
    return Metadata(
        exif=block if block is not None else first(rawprofile.exif_in),
        icc=_icc(data_of(chunks, b"iCCP")),
        xmp=xmp.encode() if xmp else first(rawprofile.xmp_in),
        iptc=first(rawprofile.iptc_in),
        dpi=_dpi(data_of(chunks, b"pHYs")),
        cicp=(numbers[0], numbers[1]) if numbers is not None and len(numbers) == 4 else None,
        c2pa=data_of(chunks, _C2PA) is not None,
        only_here=("raw profiles",) * unknown,
        texts=tuple((key.decode("latin-1"), value) for key, value in texts.items() if key),
    )


def _icc(data: bytes | None) -> bytes | None:
    if data is None or b"\0" not in data:
        return None
    try:
        return _inflate(data[data.index(b"\0") + 2 :])
    except (zlib.error, ValueError):
        return None


def _dpi(data: bytes | None) -> tuple[float, float] | None:
    if data is None or len(data) < 9 or data[8] != 1:
        return None
    across, down = struct.unpack_from(">II", data)
    return (across * 0.0254, down * 0.0254) if across and down else None


def _texts(chunks: Sequence[Chunk]) -> dict[bytes, str]:
    """Keywords and texts, as many as may be kept in memory."""
    texts: dict[bytes, str] = {}
    left = _MOST_TEXT
    for chunk in chunks:
        if chunk.name in _TEXT_CHUNKS and left > 0:
            keyword, text = _text(chunk)
            texts[keyword] = text
            left -= len(text)
    return texts


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


def _with_text(chunk: Chunk, text: str) -> Chunk:
    """The chunk with another text, as it was compressed."""
    keyword, _, rest = chunk.data.partition(b"\0")
    if chunk.name == b"tEXt":
        return replace(chunk, data=keyword + b"\0" + text.encode("latin-1"))
    if chunk.name == b"zTXt":
        return replace(chunk, data=keyword + b"\0\0" + zlib.compress(text.encode("latin-1")))
    language, translated, _ = rest[2:].split(b"\0", 2)
    body = zlib.compress(text.encode()) if rest[:1] == b"\1" else text.encode()
    return replace(chunk, data=b"\0".join((keyword, rest[:2] + language, translated, body)))


def _inflate(data: bytes) -> bytes:
    """Raises ValueError above the limit, zlib.error for damaged data."""
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(data, _MOST_INFLATED)
    if not inflater.eof:
        raise ValueError("it is cut off, or grows too large")
    return inflated


def write_metadata(metadata: Metadata) -> list[Chunk]:
    """Metadata that came from another format, as chunks."""
    written = []
    if metadata.icc is not None:
        written.append(Chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc, 9)))
    if metadata.cicp is not None:  # the pixels are RGB (matrix 0) of full range
        written.append(Chunk(b"cICP", bytes([*metadata.cicp, 0, 1])))
    if metadata.dpi is not None:
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        written.append(Chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif is not None:
        written.append(Chunk(b"eXIf", metadata.exif))
    if metadata.xmp is not None:
        written.append(Chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp))
    if metadata.iptc is not None:
        text = rawprofile.write_profile("iptc", metadata.iptc)
        written.append(Chunk(b"zTXt", _IPTC_KEYWORD + b"\0\0" + zlib.compress(text.encode())))
    written += [_international(b"Comment", text) for text in metadata.comments]
    written += [_international(keyword.encode("latin-1"), text) for keyword, text in metadata.texts]
    return written


def _international(keyword: bytes, text: str) -> Chunk:
    return Chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text.encode())
