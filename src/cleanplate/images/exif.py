"""What is read from an EXIF block, whatever file it came in."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from cleanplate.images import tiffblock
from cleanplate.images.tiffblock import ASCII, ORIENTATION, RATIONAL, SHORT, Directory, Field

ARTIST, COPYRIGHT, DESCRIPTION = 0x013B, 0x8298, 0x010E
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_MAKER_NOTE = 0x927C

C2PA_NOTE = "its C2PA data (content credentials) were kept, but are no longer valid"
C2PA_LEFT_OUT = "its C2PA data (content credentials) were left out: they are no longer valid"


def orientation(block: bytes | None) -> int:
    """EXIF's 1 to 8; 1 where there is no block, no tag, or one that means nothing.

    >>> orientation(None)
    1
    """
    if block is None:
        return 1
    try:
        found = tiffblock.read_directory(block).number(ORIENTATION) or 1
    except ValueError:
        return 1
    return found if found in range(1, 9) else 1


def upright(block: bytes) -> bytes:
    """The block with its orientation tag, where it has one, set to 1; nothing else moves."""
    try:
        found = tiffblock.read_directory(block).fields.get(ORIENTATION)
    except ValueError:
        return block
    return block if found is None else tiffblock.with_short(block, found, 1)


def resolution(block: bytes | None) -> tuple[float, float] | None:
    """Pixels an inch, across and down; None where the block does not say."""
    if block is None:
        return None
    try:
        first = tiffblock.read_directory(block)
    except ValueError:
        return None
    across, down = _rational(first.fields.get(_X_RESOLUTION)), _rational(first.fields.get(_Y_RESOLUTION))
    unit = {2: 1.0, 3: 2.54}.get(first.number(_RESOLUTION_UNIT, 2) or 2)
    if not across or not down or unit is None:
        return None
    return across * unit, down * unit


def _rational(value: Field | None) -> float:
    if value is None or value.type != RATIONAL or len(value.raw) < 8:
        return 0.0
    above, below = struct.unpack_from("<II", value.raw)
    return above / below if below else 0.0


def dpi_in(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    """The resolution that Pillow found, where it is one."""
    given = info.get("dpi")
    if isinstance(given, tuple) and len(given) == 2 and all(float(v) > 0 for v in given):
        return float(given[0]), float(given[1])
    return None


def completed(
    block: bytes | None, texts: Mapping[int, str], dpi: tuple[float, float] | None = None
) -> bytes | None:
    """The block with each text and the resolution put in where it lacks them; else the block itself.

    A block that cannot be read is left alone.
    """
    try:
        first = tiffblock.read_directory(block) if block is not None else Directory()
    except ValueError:
        return block
    missing = {tag: _text_field(text) for tag, text in texts.items() if text}
    if dpi is not None:
        missing |= {
            _X_RESOLUTION: _rational_field(dpi[0]),
            _Y_RESOLUTION: _rational_field(dpi[1]),
            _RESOLUTION_UNIT: Field(SHORT, 1, b"\2\0"),
        }
    missing = {tag: value for tag, value in missing.items() if tag not in first.fields}
    if not missing:
        return block
    return tiffblock.write_block(Directory({**first.fields, **missing}, first.children))


def without_maker_note(block: bytes) -> bytes:
    """The block without its maker's private data, which can be most of it."""
    first = tiffblock.read_directory(block)
    children = {
        tag: Directory({t: value for t, value in child.fields.items() if t != _MAKER_NOTE}, child.children)
        for tag, child in first.children.items()
    }
    return tiffblock.write_block(Directory(first.fields, children))


def _text_field(text: str) -> Field:
    raw = text.encode() + b"\0"
    return Field(ASCII, len(raw), raw)


def _rational_field(value: float) -> Field:
    return Field(RATIONAL, 1, struct.pack("<II", round(value * 1000), 1000))
