"""What is read from an EXIF block, whatever file it came in."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from cleanplate.images import tiffblock
from cleanplate.images.tiffblock import ASCII, ORIENTATION, Directory, Field

ARTIST, COPYRIGHT, DESCRIPTION = 0x013B, 0x8298, 0x010E
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128

C2PA_NOTE = "its C2PA data (content credentials) were kept, but are no longer valid for the changed picture"


def orientation(block: bytes | None) -> int:
    """EXIF's 1 to 8; 1 where there is no block, no tag, or one that means nothing.

    >>> orientation(None)
    1
    """
    if block is None:
        return 1
    try:
        found = tiffblock.read_directory(block).number(ORIENTATION, 1)
    except ValueError:
        return 1
    return found if found in range(1, 9) else 1


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
    if value is None or value.type != 5 or len(value.raw) < 8:
        return 0.0
    above, below = struct.unpack_from("<II", value.raw)
    return above / below if below else 0.0


def dpi_in(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    """The resolution that Pillow found, where it is one."""
    given = info.get("dpi")
    if isinstance(given, tuple) and len(given) == 2 and all(float(v) > 0 for v in given):
        return float(given[0]), float(given[1])
    return None


def with_texts(block: bytes | None, texts: Mapping[int, str]) -> bytes | None:
    """The block with each text put in where its tag is missing; the input's where nothing is missing.

    A block that cannot be read is left alone.
    """
    try:
        first = tiffblock.read_directory(block) if block is not None else Directory()
    except ValueError:
        return block
    missing = {tag: text for tag, text in texts.items() if text and tag not in first.fields}
    if not missing:
        return block
    fields = dict(first.fields)
    for tag, text in missing.items():
        raw = text.encode() + b"\0"
        fields[tag] = Field(ASCII, len(raw), raw)
    return tiffblock.write_block(Directory(fields, first.children))
