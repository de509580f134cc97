"""IPTC records (IIM) in Photoshop's image resources, where JPEG and TIFF files keep them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_IPTC_RESOURCE = 0x0404
_BYLINE, _COPYRIGHT, _CAPTION = 80, 116, 120


def records_in_resources(resources: bytes) -> bytes | None:
    """The IPTC records among Photoshop's resources; None where there are none."""
    for identifier, data in _resources(resources):
        if identifier == _IPTC_RESOURCE:
            return data
    return None


def _resources(resources: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 7 <= len(resources):
        (identifier,) = struct.unpack_from(">H", resources, at + 4)
        name = 1 + resources[at + 6]
        at += 6 + name + name % 2
        size = int.from_bytes(resources[at : at + 4], "big")
        yield identifier, resources[at + 4 : at + 4 + size]
        at += 4 + size + size % 2


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
    at = 0
    data = records or b""
    is_utf8 = b"\x1b%G" in data[:64]
    while at + 5 <= len(data) and data[at] == 0x1C:
        record, dataset, size = struct.unpack_from(">BBH", data, at + 1)
        at += 5
        if size & 0x8000:  # a length of its own: nothing that is looked for here is that long
            break
        if record == 2 and dataset in names:
            text = data[at : at + size].decode("utf-8" if is_utf8 else "latin-1", "replace")
            name = names[dataset]
            found[name] = f"{found[name]}; {text}" if name in found else text
        at += size
    return found
