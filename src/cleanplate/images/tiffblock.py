"""The tag structure that TIFF files and EXIF blocks share: reading it, and writing one anew.

Nothing is interpreted beyond the structure, so unknown tags travel as they came.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Bytes of one value of each TIFF field type.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
#: What is swapped between byte orders, in bytes (a rational is two 4-byte numbers).
_WORD_BYTES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, IFD = 1, 2, 3, 4, 5, 7, 13

#: Tags whose value points at another directory: EXIF, GPS, interoperability.
POINTERS = (0x8769, 0x8825, 0xA005)

ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class Field:
    """One tag's value. raw: little-endian bytes, `count` values of `type`; at: where it lay in the block."""

    type: int
    count: int
    raw: bytes
    at: int = 0

    def numbers(self) -> list[int]:
        """The value as whole numbers (byte, short, long, IFD).

        >>> Field(SHORT, 2, b"\\x01\\x00\\x02\\x00").numbers()
        [1, 2]
        """
        size = _TYPE_BYTES[self.type]
        return [int.from_bytes(self.raw[i : i + size], "little") for i in range(0, size * self.count, size)]


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory of tags and those they point at. next_at: where the offset of the next one is."""

    fields: Mapping[int, Field] = field(default_factory=dict)
    children: Mapping[int, Directory] = field(default_factory=dict)
    next: int = 0
    next_at: int = 0

    def number(self, tag: int, default: int | None = None) -> int | None:
        """The first value of a numeric tag."""
        found = self.fields.get(tag)
        if found is None or found.type not in (BYTE, SHORT, LONG, IFD) or not found.count:
            return default
        return found.numbers()[0]


def byte_order(block: bytes) -> str:
    """`<` or `>`. Raises ValueError where `block` is not a (classic) TIFF block."""
    for mark, order in ((b"II*\0", "<"), (b"MM\0*", ">")):
        if block[:4] == mark:
            return order
    raise ValueError("not a TIFF block")


def read_directory(
    block: bytes, offset: int | None = None, *, opaque: frozenset[int] = frozenset()
) -> Directory:
    """Read the directory at `offset` (None: the first) with its EXIF and GPS directories.

    Tags of unknown type, or that point outside of the block, are left out. opaque: tags whose bytes are never
    swapped, whatever type they claim.

    Raises ValueError where there is no directory.
    """
    order = byte_order(block)
    if offset is None:
        (offset,) = struct.unpack_from(order + "I", block, 4) if len(block) >= 8 else (0,)
    return _read(block, offset, order, opaque, depth=0)


def _read(block: bytes, offset: int, order: str, opaque: frozenset[int], depth: int) -> Directory:
    if not 8 <= offset <= len(block) - 2:
        raise ValueError("a directory lies outside of its block")
    (count,) = struct.unpack_from(order + "H", block, offset)
    next_at = offset + 2 + 12 * count
    if next_at > len(block):
        raise ValueError("a directory is cut off")
    fields = {}
    for at in range(offset + 2, next_at, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", block, at)
        found = _field(block, order, at + 8, kind, values, swaps=tag not in opaque)
        if found is not None:
            fields[tag] = found
    children = {}
    for tag in POINTERS:
        pointer = fields.get(tag)
        if pointer is not None and pointer.type in (LONG, IFD) and pointer.count == 1 and depth < 3:
            try:
                children[tag] = _read(block, pointer.numbers()[0], order, opaque, depth + 1)
            except ValueError:
                continue  # a dangling pointer costs that directory only
    following = struct.unpack_from(order + "I", block, next_at)[0] if next_at + 4 <= len(block) else 0
    return Directory(fields, children, following, next_at)


def _field(block: bytes, order: str, at: int, kind: int, count: int, *, swaps: bool) -> Field | None:
    size = _TYPE_BYTES.get(kind, 0) * count
    if size > 4:
        (at,) = struct.unpack_from(order + "I", block, at)
    if kind not in _TYPE_BYTES or at + size > len(block):
        return None
    raw = block[at : at + size]
    if swaps and order == ">" and kind in _WORD_BYTES:
        raw = _swapped(raw, _WORD_BYTES[kind])
    return Field(kind, count, raw, at)


def with_short(block: bytes, place: Field, value: int) -> bytes:
    """The block with another number in a tag of one SHORT, nothing moved; with any other tag, the block."""
    if place.type != SHORT or place.count != 1:
        return block
    return block[: place.at] + struct.pack(byte_order(block) + "H", value) + block[place.at + 2 :]


def _swapped(raw: bytes, word: int) -> bytes:
    swapped = bytearray(len(raw))
    for i in range(word):
        swapped[i::word] = raw[word - 1 - i :: word]
    return bytes(swapped)


def write_block(directory: Directory, *, strips: tuple[bytes, ...] = ()) -> bytes:
    """A little-endian TIFF block of one directory and its children; with `strips`, a TIFF file.

    strips: encoded pixels; their offsets are put in StripOffsets (0x0111).

    >>> block = write_block(Directory({ORIENTATION: Field(SHORT, 1, b"\\x06\\x00")}))
    >>> read_directory(block).number(ORIENTATION)
    6
    """
    head = bytearray(b"II*\0\0\0\0\0")
    offsets = []
    for strip in strips:
        offsets.append(len(head))
        head += strip + b"\0" * (len(strip) % 2)
    fields = dict(directory.fields)
    if strips:
        fields[0x0111] = Field(LONG, len(strips), struct.pack(f"<{len(strips)}I", *offsets))
    start = _append(head, Directory(fields, directory.children))
    head[4:8] = struct.pack("<I", start)
    return bytes(head)


def _append(block: bytearray, directory: Directory) -> int:
    """Append a directory, its values and children; returns its offset."""
    fields = dict(directory.fields)
    for tag, child in directory.children.items():
        fields[tag] = Field(LONG, 1, struct.pack("<I", _append(block, child)))
    entries = bytearray()
    for tag, value in sorted(fields.items()):
        inline = value.raw
        if len(value.raw) > 4:
            inline = struct.pack("<I", len(block))
            block += value.raw + b"\0" * (len(value.raw) % 2)
        entries += struct.pack("<HHI", tag, value.type, value.count) + inline.ljust(4, b"\0")
    start = len(block)
    block += struct.pack("<H", len(fields)) + entries + b"\0\0\0\0"
    return start
