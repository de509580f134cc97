"""Marks as ordinary RGBA PNG files with straight alpha, to look at and to edit."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from cleanplate.errors import UsageError
from cleanplate.structures import Mark, UsualPlace

#: A mark's kind where it lies on photographs in its own size only, and where its file says so.
FIXED_SIZE = "fixed size"
#: A mark's kind where it was worked out from photographs that carry it in several sizes.
ESTIMATED = "estimated"
_NOTE = "cleanplate"
#: Under this name a file says from how many photographs its mark was worked out.
_PHOTOGRAPHS_NOTE = "cleanplate photographs"
#: And under this one where it lies on photographs of which size: left, top, width, height; then, where it
#: keeps its distance from a point on photographs of other sizes, which (`UsualPlace.anchor`).
_PLACE_NOTE = "cleanplate place"
_PLACE = "(-?[0-9]{1,9}) (-?[0-9]{1,9}) ([0-9]{1,9}) ([0-9]{1,9})(?: (0|0[.]5|1) (0|0[.]5|1))?"


#: What Pillow raises for files that are damaged or too large; the last two come of damaged chunks.
_UNREADABLE = (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError)


def read_mark(path: Path) -> Mark:
    """The mark in a picture with an alpha channel.

    Raises UsageError where the file cannot be read, has no alpha, or is wholly transparent.
    """
    try:
        with Image.open(path) as picture:
            note = picture.info.get(_NOTE)
            photographs = str(picture.info.get(_PHOTOGRAPHS_NOTE, ""))
            place = str(picture.info.get(_PLACE_NOTE, ""))
            has_alpha = "A" in picture.getbands() or "transparency" in picture.info
            rgba = np.asarray(picture.convert("RGBA"), np.float32) / 255
    except _UNREADABLE as exc:
        raise UsageError(f"{path}: the mark cannot be read ({exc}); give an RGBA PNG") from exc
    if not has_alpha:
        raise UsageError(f"{path}: the mark has no alpha channel; save it as PNG with transparency")
    if not rgba[..., 3].any():
        raise UsageError(f"{path}: the mark is wholly transparent; nothing would be removed")
    return Mark(
        alpha=np.ascontiguousarray(rgba[..., 3]),
        rgb=np.ascontiguousarray(rgba[..., :3]),
        kind=note if note in (FIXED_SIZE, ESTIMATED) else "given",
        photographs=int(photographs) if re.fullmatch("[0-9]{1,9}", photographs) else 0,
        place=_read_place(place),
    )


def _read_place(said: str) -> UsualPlace | None:
    match = re.fullmatch(_PLACE, said)
    if match is None:
        return None
    left, top, width, height = (int(number) for number in match.group(1, 2, 3, 4))
    anchor = None if match[5] is None else (float(match[5]), float(match[6]))
    return UsualPlace(left, top, width, height, anchor)


def _tell_place(place: UsualPlace) -> str:
    numbers = (place.left, place.top, place.width, place.height, *(place.anchor or ()))
    return " ".join(f"{number:.10g}" for number in numbers)


def write_mark(mark: Mark, path: Path) -> None:
    """Write a mark as an 8-bit RGBA PNG; reading it back is exact to half a grey level."""
    path.write_bytes(encode_mark(mark))


def encode_mark(mark: Mark) -> bytes:
    """A mark as the bytes of such a file; the same mark gives the same bytes."""
    rgba = np.dstack([mark.rgb, mark.alpha])
    notes = PngImagePlugin.PngInfo()
    if mark.kind in (FIXED_SIZE, ESTIMATED):
        notes.add_text(_NOTE, mark.kind)
    if mark.photographs:
        notes.add_text(_PHOTOGRAPHS_NOTE, str(mark.photographs))
    if mark.place is not None:
        notes.add_text(_PLACE_NOTE, _tell_place(mark.place))
    stream = io.BytesIO()
    picture = Image.fromarray(np.round(np.clip(rgba, 0, 1) * 255).astype(np.uint8))
    picture.save(stream, format="PNG", pnginfo=notes)
    return stream.getvalue()
