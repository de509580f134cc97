"""What colours mean by the numbers of ITU-T H.273: `nclx` in HEIC and AVIF files, `cICP` in PNG files.

They are a pair here: the primaries, and the transfer from light to values. Matrix and range only say how the
pixels were coded.
"""

from __future__ import annotations

import struct

import numpy as np
from PIL import ImageCms

#: What a program shows rightly that knows of no numbers: BT.709's and sRGB's, or unspecified.
_USUAL_PRIMARIES, _USUAL_TRANSFERS = frozenset({1, 2}), frozenset({1, 2, 6, 13, 14, 15})
_SRGB_TRANSFER = 13
#: Primaries that profiles can be made for, all with D65 for white: x and y of red, green and blue.
#: Source: H.273, table 2.
_PRIMARIES = {
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
}
_D65, _D50 = np.array([0.3127 / 0.3290, 1, 0.3583 / 0.3290]), np.array([0.9642, 1, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_BOX = b"colrnclx"


def is_usual(pair: tuple[int, int]) -> bool:
    """Whether the colours look right without the numbers.

    >>> is_usual((1, 13)), is_usual((12, 13))
    (True, False)
    """
    return pair[0] in _USUAL_PRIMARIES and pair[1] in _USUAL_TRANSFERS


def read_box(data: bytes) -> tuple[int, int] | None:
    """The pair in the first `nclx` box of an AVIF file; None without one.

    >>> read_box(b"..colrnclx" + bytes([0, 12, 0, 13, 0, 6, 0x80]))
    (12, 13)
    """
    at = data.find(_BOX)
    if not 0 <= at <= len(data) - len(_BOX) - 4:
        return None
    primaries, transfer = struct.unpack_from(">HH", data, at + len(_BOX))
    return primaries, transfer


def with_box(data: bytes, pair: tuple[int, int]) -> bytes:
    """The file with another pair in its first `nclx` box, where it has one; matrix and range stay its own."""
    at = data.find(_BOX) + len(_BOX)
    if read_box(data) is None:
        return data
    return data[:at] + struct.pack(">HH", *pair) + data[at + 4 :]


def make_profile(pair: tuple[int, int]) -> bytes | None:
    """An RGB colour profile that says the same; None for what no such profile can say (HDR) or is rare."""
    if pair[1] != _SRGB_TRANSFER or pair[0] not in _PRIMARIES:
        return None
    name, corners = _PRIMARIES[pair[0]]
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)  # not now: the same file comes out every time
    profile[84:100] = bytes(16)  # the checksum: none
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {
        tag: at for tag, at, _ in (struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count))
    }
    for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), _colorants(corners).T, strict=True):
        struct.pack_into(">3i", profile, tags[tag] + 8, *np.rint(column * 65536).astype(int))
    struct.pack_into(">6I", profile, tags[b"chrm"] + 12, *(round(v * 65536) for xy in corners for v in xy))
    _rename(profile, tags[b"desc"], name)
    return bytes(profile)


def _colorants(corners: tuple[tuple[float, float], ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(3, 3) float64: XYZ of each primary down a column, as seen under D50."""
    xyz = np.array([(x / y, 1, (1 - x - y) / y) for x, y in corners]).T
    scaled = xyz * np.linalg.solve(xyz, _D65)
    cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ _D65))
    return np.asarray(np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ scaled)


def _rename(profile: bytearray, at: int, name: str) -> None:
    """Another description (no longer than the old one) in a tag of texts with one entry."""
    length, offset = struct.unpack_from(">II", profile, at + 20)
    text = name.encode("utf-16-be")
    profile[at + offset : at + offset + length] = text.ljust(length, b"\0")
    struct.pack_into(">I", profile, at + 20, len(text))
