"""The index of a JPEG file that holds several pictures (MPF), and leaving its previews out."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from cleanplate.images import segments, tiffblock
from cleanplate.images.segments import APP2, MULTI_PICTURE, JpegFile, Segment

_COUNT, _ENTRIES = 0xB001, 0xB002
_ENTRY_BYTES = 16
#: The class of all kinds of preview, of the size of a VGA screen or of a larger one.
_LARGE_THUMBNAIL = 0x01
_START = b"\xff\xd8"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A picture: whether it is a preview, and where it lies, counted from the index's byte order mark."""

    is_preview: bool
    length: int
    offset: int


def count_pictures(parts: JpegFile) -> int:
    """How many pictures the index lists; 1 without one."""
    index = _index(parts)
    return max(1, _read(index)[0]) if index is not None else 1


def without_previews(data: bytes, parts: JpegFile) -> JpegFile | None:
    """The parts without index and previews; the same ones where no more than one picture is listed.

    None where other pictures than previews are listed, or a preview does not lie where the index says.

    Source: CIPA DC-007 (Multi-Picture Format), the MP Entry of the index.
    """
    index = _index(parts)
    count, entries = _read(index) if index is not None else (1, ())
    if index is None or count <= 1:
        return parts
    if len(entries) != count or not all(entry.is_preview for entry in entries[1:]):
        return None
    mark_at = data.find(index.to_bytes(), 0, parts.scan_at) + 4 + len(MULTI_PICTURE)
    trailer = _cut(parts.trailer, mark_at - (len(data) - len(parts.trailer)), entries[1:])
    if trailer is None:
        return None
    head = tuple(segment for segment in parts.head if not _is_index(segment))
    return replace(parts, head=head, trailer=trailer if trailer.strip(b"\0") else b"")


def _cut(trailer: bytes, mark_at: int, previews: tuple[_Entry, ...]) -> bytes | None:
    """What follows the picture without the previews in it. mark_at: where offsets count from (negative)."""
    if not trailer:  # somebody took them off already
        return trailer
    rest, done = b"", 0
    for entry in sorted(previews, key=lambda entry: entry.offset):
        start = mark_at + entry.offset
        if start < done or trailer[start : start + 2] != _START:
            return None
        rest += trailer[done:start]
        done = start + max(entry.length, segments.picture_length(trailer, start))
    return rest + trailer[done:]


def _index(parts: JpegFile) -> Segment | None:
    return next((segment for segment in parts.head if _is_index(segment)), None)


def _is_index(segment: Segment) -> bool:
    return segment.marker == APP2 and segment.payload.startswith(MULTI_PICTURE)


def _read(index: Segment) -> tuple[int, tuple[_Entry, ...]]:
    """How many pictures there are, and the entries on them; (1, ()) where the index is damaged."""
    block = index.payload[len(MULTI_PICTURE) :]
    try:
        directory = tiffblock.read_directory(block)
        order = tiffblock.byte_order(block)
    except ValueError:
        return 1, ()
    table = directory.fields.get(_ENTRIES)
    raw = table.raw if table is not None else b""
    listed = range(0, len(raw) - _ENTRY_BYTES + 1, _ENTRY_BYTES)
    entries = [struct.unpack_from(order + "III", raw, at) for at in listed]
    return directory.number(_COUNT, 1) or 1, tuple(
        _Entry(attribute >> 16 & 0xFF == _LARGE_THUMBNAIL, length, offset)
        for attribute, length, offset in entries
    )
