"""Extended XMP: a packet too large for one JPEG segment, in parts that carry the checksum of the whole.

A part: the name of the kind, 32 digits (MD5 of the whole), the whole's length, where the part starts in it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from cleanplate.images import preview
from cleanplate.images.segments import APP1, EXTENDED_XMP, XMP, Segment

_DIGITS = 32
_HEAD = len(EXTENDED_XMP) + _DIGITS + 8

LEFT_OUT = "its extended XMP was left out: parts of it are missing"


def renew_parts(metadata: Sequence[Segment], small: Image.Image) -> tuple[list[Segment], tuple[str, ...]]:
    """The segments with the thumbnails inside extended XMP made anew, each as long as it was, and notes.

    A packet of which parts are missing is left out: nobody can read it, and it may show the mark.
    """
    segments, notes = list(metadata), tuple[str, ...]()
    for digits in dict.fromkeys(_digits(segment) for segment in metadata if _is_part(segment)):
        packet = _packet([s for s in segments if _is_part(s) and _digits(s) == digits])
        if packet is None:
            segments = [s for s in segments if not (_is_part(s) and _digits(s) == digits)]
            notes = (LEFT_OUT,)
            continue
        renewed = preview.renew_xmp(packet, small)
        if renewed != packet:
            segments = [_with_packet(segment, digits, renewed) for segment in segments]
    return segments, notes


def _is_part(segment: Segment) -> bool:
    return (
        segment.marker == APP1 and segment.payload.startswith(EXTENDED_XMP) and len(segment.payload) >= _HEAD
    )


def _digits(segment: Segment) -> bytes:
    return segment.payload[len(EXTENDED_XMP) : len(EXTENDED_XMP) + _DIGITS]


def _place(segment: Segment) -> tuple[int, int]:
    """The whole packet's length, and where the part starts in it."""
    length, start = struct.unpack_from(">II", segment.payload, _HEAD - 8)
    return length, start


def _packet(parts: Sequence[Segment]) -> bytes | None:
    """The whole packet; None where parts are missing or overlap."""
    packet = b""
    for part in sorted(parts, key=_place):
        if _place(part)[1] != len(packet):
            return None
        packet += part.payload[_HEAD:]
    return packet if all(_place(part)[0] == len(packet) for part in parts) else None


def _with_packet(segment: Segment, digits: bytes, packet: bytes) -> Segment:
    """A part with its piece of another packet of the same length, the main packet with its checksum."""
    checksum = hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode()
    if segment.marker == APP1 and segment.payload.startswith(XMP):
        return replace(segment, payload=segment.payload.replace(digits, checksum))
    if not _is_part(segment) or _digits(segment) != digits:
        return segment
    start = _place(segment)[1]
    piece = packet[start : start + len(segment.payload) - _HEAD]
    head = segment.payload[: len(EXTENDED_XMP)] + checksum + segment.payload[_HEAD - 8 : _HEAD]
    return replace(segment, payload=head + piece)
