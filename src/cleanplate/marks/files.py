"""Marks as ordinary RGBA PNG files with straight alpha, to look at and to edit."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from cleanplate.errors import UsageError
from cleanplate.structures import Mark

#: A mark's kind where it lies on photographs in its own size only, and where its file says so.
FIXED_SIZE = "fixed size"
#: A mark's kind where it was worked out from photographs that carry it in several sizes.
ESTIMATED = "estimated"
_NOTE = "cleanplate"
#: Under this name a file says from how many photographs its mark was worked out.
_PHOTOGRAPHS_NOTE = "cleanplate photographs"
#: And under this one where it lies on photographs of which size: left, top, width, height.
_PLACE_NOTE = "cleanplate place"


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
    except (OSError, UnidentifiedImageError) as exc:
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


def _read_place(said: str) -> tuple[int, int, int, int] | None:
    if not re.fullmatch("-?[0-9]{1,9} -?[0-9]{1,9} [0-9]{1,9} [0-9]{1,9}", said):
        return None
    left, top, width, height = (int(number) for number in said.split())
    return left, top, width, height


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
        notes.add_text(_PLACE_NOTE, " ".join(str(number) for number in mark.place))
    stream = io.BytesIO()
    picture = Image.fromarray(np.round(np.clip(rgba, 0, 1) * 255).astype(np.uint8))
    picture.save(stream, format="PNG", pnginfo=notes)
    return stream.getvalue()
