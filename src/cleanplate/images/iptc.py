"""IPTC records (IIM) and the image resources of Photoshop in which JPEG files keep them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_IPTC_RESOURCE = 0x0404
_BYLINE, _COPYRIGHT, _CAPTION, _PREVIEW = 80, 116, 120, 202
#: Photoshop's two resources of a thumbnail: a header of 28 bytes, then a JPEG picture.
_THUMBNAILS, _THUMBNAIL_HEADER = (0x0409, 0x040C), 28


def records_in_resources(resources: bytes) -> bytes | None:
    """The IPTC records among Photoshop's resources; None where there are none."""
    for identifier, start, size in _resources(resources):
        if identifier == _IPTC_RESOURCE:
            return resources[start : start + size]
    return None


def _resources(resources: bytes) -> Iterator[tuple[int, int, int]]:
    """Each resource's number, and where its data start and how long they are."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 7 <= len(resources):
        (identifier,) = struct.unpack_from(">H", resources, at + 4)
        name = 1 + resources[at + 6]
        at += 6 + name + name % 2
        size = int.from_bytes(resources[at : at + 4], "big")
        yield identifier, at + 4, size
        at += 4 + size + size % 2


def pictures_in_resources(resources: bytes) -> list[tuple[int, int]]:
    """Where small pictures lie among Photoshop's resources (start, length): its own and those of IPTC."""
    found = []
    for identifier, start, size in _resources(resources):
        if identifier in _THUMBNAILS:
            found.append((start + _THUMBNAIL_HEADER, max(0, size - _THUMBNAIL_HEADER)))
        elif identifier == _IPTC_RESOURCE:
            inside = pictures_in_records(resources[start : start + size])
            found += [(start + at, length) for at, length in inside]
    return found


def pictures_in_records(records: bytes) -> list[tuple[int, int]]:
    """Where the preview of a picture lies among IPTC records (start, length).

    >>> pictures_in_records(bytes([0x1C, 2, 202, 0, 3]) + b"abc")
    [(5, 3)]
    """
    return [(at, size) for record, number, at, size in _records(records) if (record, number) == (2, _PREVIEW)]


def _records(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each data set's record and number, and where its data start and how long they are."""
    at = 0
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, number, size = struct.unpack_from(">BBH", data, at + 1)
        at += 5
        if size & 0x8000:  # the length of a length that follows
            extent = size & 0x7FFF
            size = int.from_bytes(data[at : at + extent], "big")
            at += extent
        yield record, number, at, size
        at += size


def resources_of_records(records: bytes) -> bytes:
    """IPTC records as a Photoshop resource.

    >>> records_in_resources(resources_of_records(b"abc"))
    b'abc'
    """
    head = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(records))
    return head + records + b"\0" * (len(records) % 2)


def authorship(records: bytes | None) -> dict[str, str]:
    """The author, copyright and caption that the records name, as far as they do."""
    names = {_BYLINE: "author", _COPYRIGHT: "copyright", _CAPTION: "description"}
    found: dict[str, str] = {}
    data = records or b""
    is_utf8 = b"\x1b%G" in data[:64]
    for record, number, at, size in _records(data):
        if record == 2 and number in names:
            text = data[at : at + size].decode("utf-8" if is_utf8 else "latin-1", "replace")
            name = names[number]
            found[name] = f"{found[name]}; {text}" if name in found else text
    return found
