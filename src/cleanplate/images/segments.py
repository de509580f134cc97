"""The segments of a JPEG file: taking them apart, and what some of them mean."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

SOI, EOI, SOS, DQT, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xFE
APP0, APP1, APP2, APP11, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE
JPEG_LS = 0xF7
_FRAMES = frozenset({*range(0xC0, 0xD0), JPEG_LS}) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
ICC = b"ICC_PROFILE\0"
PHOTOSHOP = b"Photoshop 3.0\0"
MULTI_PICTURE = b"MPF\0"

#: The most a segment can hold after its length field.
MOST_BYTES = 65533

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker (its second byte) and what follows its length field."""

    marker: int
    payload: bytes

    @property
    def is_metadata(self) -> bool:
        """Whether it says something about the picture rather than how to decode it."""
        return APP0 <= self.marker <= 0xEF or self.marker == COM

    def to_bytes(self) -> bytes:
        """As it stands in a file."""
        return struct.pack(">BBH", 0xFF, self.marker, len(self.payload) + 2) + self.payload


@dataclass(frozen=True, slots=True)
class Frame:
    """How the picture is coded. components: (identifier, horizontal, vertical factor, quantisation table)."""

    width: int
    height: int
    depth: int
    progressive: bool
    components: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class JpegFile:
    """A file's segments up to its first scan, the length of the picture, and what follows it."""

    head: tuple[Segment, ...]
    frame: Frame
    scan_at: int
    trailer: bytes

    @property
    def metadata(self) -> tuple[Segment, ...]:
        """APPn and comment segments in their order."""
        return tuple(segment for segment in self.head if segment.is_metadata)

    @property
    def adobe_transform(self) -> int | None:
        """Adobe's colour transform: 0 none, 1 YCbCr, 2 YCCK; None where the segment is missing."""
        for segment in self.head:
            if segment.marker == APP14 and segment.payload[:5] == b"Adobe" and len(segment.payload) >= 12:
                return segment.payload[11]
        return None


def read_segments(data: bytes) -> JpegFile:
    """Take a JPEG file apart.

    Raises ValueError where the structure is broken before the first scan.
    """
    head, scan_at = _read_head(data, 0)
    frames = [segment for segment in head if segment.marker in _FRAMES]
    if not frames:
        raise ValueError("there is no frame before the first scan")
    end = _end_of_scans(data, scan_at)
    return JpegFile(tuple(head), _frame(frames[0]), scan_at, data[end:] if end else b"")


def picture_length(data: bytes, at: int) -> int:
    """Bytes of the JPEG picture that starts at `at`, up to its end marker; 0 where none does."""
    try:
        _, scan_at = _read_head(data, at)
    except ValueError:
        return 0
    end = _end_of_scans(data, scan_at)
    return end - at if end else 0


def _read_head(data: bytes, at: int) -> tuple[list[Segment], int]:
    if data[at : at + 2] != b"\xff\xd8":
        raise ValueError("it does not start as a JPEG file does")
    at += 2
    head: list[Segment] = []
    while True:
        marker, start = _next_marker(data, at)
        if marker == SOS:
            return head, start - 2
        at = start
        if marker in _BARE:
            continue
        if marker in (SOI, EOI):
            raise ValueError("there is no picture in it")
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise ValueError("it is cut off before its first scan")
        head.append(Segment(marker, data[at + 2 : at + length]))
        at += length


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """The next marker, and where its segment starts. What fills, or belongs to no segment, is skipped, as
    decoders skip it: some programs leave a byte too many behind their own segment."""
    while True:
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if not 0 <= at < len(data):
            raise ValueError("it is cut off before its first scan")
        if data[at] != 0x00:
            return data[at], at + 1


def _end_of_scans(data: bytes, at: int) -> int:
    """Where the end marker of the picture ends; 0 where it is missing."""
    while True:
        marker = data[at + 1 : at + 2]
        if marker == b"\xd9":
            return at + 2
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if not marker or length < 2:
            return 0
        at += 2 + length
        if marker[0] == SOS:
            found = _AFTER_SCAN.search(data, at)
            if found is None:
                return 0
            at = found.start()
        elif data[at : at + 1] != b"\xff":
            return 0


def _frame(segment: Segment) -> Frame:
    payload = segment.payload
    if len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
        raise ValueError("its frame is cut off")
    depth, height, width, count = struct.unpack_from(">BHHB", payload)
    parts = [payload[6 + 3 * i : 9 + 3 * i] for i in range(count)]
    components = tuple((part[0], part[1] >> 4, part[1] & 15, part[2]) for part in parts)
    return Frame(width, height, depth, segment.marker in _PROGRESSIVE, components)


def joined(head: Iterable[Segment], marker: int, prefix: bytes) -> bytes:
    """The payloads of all segments of one kind behind each other, prefixes removed."""
    return b"".join(
        s.payload[len(prefix) :] for s in head if s.marker == marker and s.payload.startswith(prefix)
    )


def with_joined(head: Iterable[Segment], marker: int, prefix: bytes, data: bytes) -> list[Segment]:
    """The segments with other data of the same length in those that `joined` puts together.

    >>> parts = [Segment(APP1, b"x:ab"), Segment(COM, b"-"), Segment(APP1, b"x:c")]
    >>> [part.payload for part in with_joined(parts, APP1, b"x:", b"ABC")]
    [b'x:AB', b'-', b'x:C']
    """
    changed = []
    at = 0
    for segment in head:
        if segment.marker == marker and segment.payload.startswith(prefix):
            end = at + len(segment.payload) - len(prefix)
            segment = Segment(marker, prefix + data[at:end])
            at = end
        changed.append(segment)
    return changed


def read_icc(head: Iterable[Segment]) -> bytes | None:
    """The colour profile, put together from its numbered parts; None where it is missing or incomplete."""
    parts = {}
    total = 0
    for segment in head:
        if segment.marker == APP2 and segment.payload.startswith(ICC) and len(segment.payload) > len(ICC) + 2:
            number, total = segment.payload[len(ICC)], segment.payload[len(ICC) + 1]
            parts[number] = segment.payload[len(ICC) + 2 :]
    if not parts or sorted(parts) != list(range(1, total + 1)):
        return None
    return b"".join(parts[number] for number in sorted(parts))


def write_icc(profile: bytes) -> list[Segment]:
    """A colour profile as numbered segments."""
    most = MOST_BYTES - len(ICC) - 2
    parts = [profile[i : i + most] for i in range(0, len(profile), most)]
    return [Segment(APP2, ICC + bytes([i, len(parts)]) + part) for i, part in enumerate(parts, 1)]
