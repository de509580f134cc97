"""Masks that a page sends: PNGs, looked at before they are decoded."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from cleanplate.engine.work import encode_mask
from cleanplate.review.refusal import UNFIT, RefusalError
from cleanplate.structures import BoolArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD_BYTES = 24


def decode_mask(data: bytes, width: int, height: int) -> BoolArray:
    """(height, width) bool from a PNG of just that size: marked where grey times opacity is half or more.

    Raises RefusalError for anything else; the size is compared before a pixel is decoded.

    >>> decode_mask(encode_mask(np.eye(4, dtype=bool)), 4, 4).sum()
    np.int64(4)
    """
    if len(data) < _HEAD_BYTES or not data.startswith(_SIGNATURE) or data[12:16] != b"IHDR":
        raise RefusalError(415, "a mask must be a PNG")
    given = struct.unpack(">II", data[16:24])
    if given != (width, height):
        raise RefusalError(
            UNFIT,
            f"the mask has {given[0]} x {given[1]} pixels, the photograph {width} x {height}",
            "paint it on the upright photograph at its full size",
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise RefusalError(UNFIT, "the PNG of the mask is damaged", "paint it again")
    levels = pixels.astype(np.float32) / (65535 if pixels.dtype == np.uint16 else 255)
    if levels.ndim == 2:
        return np.asarray(levels >= 0.5, bool)
    opacity = levels[..., 3] if levels.shape[2] == 4 else 1.0
    return np.asarray(levels[..., :3].mean(axis=2) * opacity >= 0.5, bool)


def read_mask(data: bytes) -> BoolArray:
    """(H, W) bool from a mask that was saved here. Raises RefusalError where it was damaged since."""
    if len(data) < _HEAD_BYTES:
        raise RefusalError(UNFIT, "the saved mask is damaged", "paint it again")
    width, height = struct.unpack(">II", data[16:24])
    return decode_mask(data, width, height)


__all__ = ["decode_mask", "encode_mask", "read_mask"]
