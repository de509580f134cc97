"""Small pictures inside metadata show the mark too: they are made anew from the result, in place.

A new picture takes no more bytes than the old one and lies where it lay, so nothing else in the block moves:
maker notes with offsets of their own stay valid.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cleanplate.images import iptc, segments, tiffblock

#: Longest edge of what thumbnails are made from; the largest previews in metadata blocks are about this big.
_LONGEST = 1024

_XMP_PICTURE = re.compile(rb"(GImg:image\s*(?:=\s*[\"']|>))([A-Za-z0-9+/=\s&#xAaDd;]+)([\"'<])")
_ENTITY = re.compile(rb"&#x?[0-9A-Fa-f]+;|\s")
_START = b"\xff\xd8"


def make_preview(rgb: NDArray[Any]) -> Image.Image:
    """A small RGB picture of (H, W, 3) uint8 or uint16, as stored, to make thumbnails from."""
    scale = min(1.0, _LONGEST / max(rgb.shape[:2]))
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small: NDArray[Any] = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    if small.dtype == np.uint16:
        small = (small // 257).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(small))


def renew_previews(block: bytes, preview: Image.Image) -> bytes:
    """Replace every JPEG inside a metadata block (EXIF with its maker notes, Photoshop's); same length."""
    renewed = bytearray(block)
    at = block.find(b"\xff\xd8\xff")
    while at >= 0:
        length = segments.picture_length(block, at)
        size = _jpeg_size(block[at : at + length]) if length else None
        if size is not None:
            renewed[at : at + length] = _fitting_jpeg(preview, size, length).ljust(length, b"\0")
        at = block.find(b"\xff\xd8\xff", at + max(length, 3))
    return bytes(renewed)


def renew_exif(block: bytes, preview: Image.Image) -> bytes:
    """`renew_previews` for an EXIF block, and thumbnails without an end marker or stored as plain pixels."""
    renewed = bytearray(renew_previews(block, preview))
    try:
        first = tiffblock.read_directory(block)
        second = tiffblock.read_directory(block, first.next) if first.next else None
    except ValueError:
        return bytes(renewed)
    if second is None:
        return bytes(renewed)
    if 0x0111 in second.fields and 0x0117 in second.fields:
        _blank_strips(renewed, second)
        # Without its pixels the second directory says nothing: unhook it.
        renewed[first.next_at : first.next_at + 4] = b"\0\0\0\0"
    start, length = second.number(0x0201) or 0, second.number(0x0202) or 0
    if block[start : start + 2] == _START:
        _renew_place(renewed, block, start, length, preview)
    return bytes(renewed)


def _renew_place(renewed: bytearray, block: bytes, start: int, length: int, preview: Image.Image) -> None:
    """Renew, or blank, a picture whose place is known, where `renew_previews` could not see its end."""
    old = block[start : start + length]
    if not old or renewed[start : start + length] != old:
        return
    size = _jpeg_size(old)
    new = _fitting_jpeg(preview, size, len(old)) if size is not None else b""
    renewed[start : start + len(old)] = new.ljust(len(old), b"\0")


def _blank_strips(block: bytearray, directory: tiffblock.Directory) -> None:
    offsets, lengths = directory.fields[0x0111].numbers(), directory.fields[0x0117].numbers()
    for offset, length in zip(offsets, lengths, strict=False):
        if offset + length <= len(block):
            block[offset : offset + length] = bytes(length)


def renew_xmp(packet: bytes, preview: Image.Image) -> bytes:
    """Replace the thumbnails that some editors put into XMP as base64; same length."""

    def renewed(match: re.Match[bytes]) -> bytes:
        try:
            picture = base64.b64decode(_ENTITY.sub(b"", match[2]), validate=True)
        except (binascii.Error, ValueError):
            return match[0]
        size = _jpeg_size(picture)
        if size is None:
            return match[0]
        new = base64.b64encode(_fitting_jpeg(preview, size, len(picture)).ljust(len(picture), b"\0"))
        return match[1] + new.ljust(len(match[2])) + match[3]

    return _XMP_PICTURE.sub(renewed, packet)


def renew_jfif(payload: bytes, preview: Image.Image) -> bytes:
    """Replace the plain RGB thumbnail of a JFIF segment's payload (from `JFIF` on)."""
    if len(payload) < 14:
        return payload
    width, height = payload[12], payload[13]
    if width * height == 0 or len(payload) < 14 + width * height * 3:
        return payload
    pixels = preview.resize((width, height), Image.Resampling.BOX).tobytes()
    return payload[:14] + pixels + payload[14 + len(pixels) :]


def renew_photoshop(resources: bytes, preview: Image.Image) -> bytes:
    """Replace the thumbnails in Photoshop's resources, and the length (20 bytes into a header) of its own."""
    renewed = bytearray(renew_previews(resources, preview))
    for start, length in iptc.pictures_in_resources(resources):
        _renew_place(renewed, resources, start, length, preview)
    for identifier in (0x0409, 0x040C):
        at = resources.find(b"8BIM" + struct.pack(">H", identifier))
        start = resources.find(b"\xff\xd8\xff", at) if at >= 0 else -1
        if at >= 0 and 28 < start - at < 28 + 4 + 2 + 256 + 6:
            length = segments.picture_length(bytes(renewed), start)
            if length:
                renewed[start - 8 : start - 4] = struct.pack(">I", length)
    return bytes(renewed)


def renew_iptc(records: bytes, preview: Image.Image) -> bytes:
    """Replace the preview among IPTC records; same length."""
    renewed = bytearray(renew_previews(records, preview))
    for start, length in iptc.pictures_in_records(records):
        _renew_place(renewed, records, start, length, preview)
    return bytes(renewed)


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    try:
        with JpegImageFile(io.BytesIO(data)) as picture:
            return picture.size
    except (OSError, SyntaxError, ValueError):
        return None


def _fitting_jpeg(preview: Image.Image, size: tuple[int, int], most_bytes: int) -> bytes:
    """The preview inside `size`, as good as `most_bytes` allow; nothing where not even a dot fits."""
    for shrink in (1, 2, 4, 16, 1000):
        box = (max(1, size[0] // shrink), max(1, size[1] // shrink))
        small = preview.copy()
        small.thumbnail(box, Image.Resampling.LANCZOS)
        for quality in (90, 80, 65, 45, 25):
            target = io.BytesIO()
            small.save(target, "JPEG", quality=quality, optimize=True)
            if target.tell() <= most_bytes:
                return target.getvalue()
    return b""
