"""Profiles that PNG files hold as text, as ImageMagick writes them: a name, a length, hexadecimal digits."""

from __future__ import annotations

import binascii

from PIL import Image

from cleanplate.images import iptc, preview
from cleanplate.images.segments import EXIF, XMP

#: How the keyword of such a text starts; what follows (exif, APP1, xmp, iptc, 8bim) is not always true.
KEYWORD = b"Raw profile type "
_LINE_DIGITS = 72


def read_profile(text: str) -> bytes | None:
    """The profile that the digits spell; None where they spell none.

    >>> read_profile(write_profile("exif", b"abc"))
    b'abc'
    """
    lines = text.strip().split("\n")
    try:
        return binascii.unhexlify("".join("".join(lines[2:]).split()))
    except (binascii.Error, ValueError):
        return None


def write_profile(name: str, profile: bytes) -> str:
    """A profile as text."""
    digits = binascii.hexlify(profile).decode()
    lines = "\n".join(digits[i : i + _LINE_DIGITS] for i in range(0, len(digits), _LINE_DIGITS))
    return f"\n{name}\n{len(profile):8d}\n{lines}\n"


def exif_in(profile: bytes) -> bytes | None:
    """The EXIF block, where the profile is one."""
    block = profile.removeprefix(EXIF)
    return block if block[:4] in (b"II*\0", b"MM\0*") else None


def xmp_in(profile: bytes) -> bytes | None:
    """The XMP packet, where the profile is one."""
    packet = profile.removeprefix(XMP)
    return packet if packet.lstrip()[:1] == b"<" else None


def iptc_in(profile: bytes) -> bytes | None:
    """The IPTC records, where the profile is made of them or of Photoshop's resources."""
    if profile.startswith(b"8BIM"):
        return iptc.records_in_resources(profile)
    return profile if profile.startswith(b"\x1c") else None


def is_known(profile: bytes) -> bool:
    """Whether the profile is one of those above."""
    return any(part_of(profile) is not None for part_of in (exif_in, xmp_in, iptc_in))


def renew_text(text: str, small: Image.Image) -> str:
    """The text with the thumbnails inside its profile made anew; as it came where it has none."""
    profile = read_profile(text)
    if not profile:
        return text
    renewed = _renewed(profile, small)
    return text if renewed == profile else write_profile(text.strip().split("\n")[0], renewed)


def _renewed(profile: bytes, small: Image.Image) -> bytes:
    block, packet = exif_in(profile), xmp_in(profile)
    if block is not None:
        return profile[: len(profile) - len(block)] + preview.renew_exif(block, small)
    if packet is not None:
        return profile[: len(profile) - len(packet)] + preview.renew_xmp(packet, small)
    return (
        preview.renew_iptc(profile, small)
        if profile[:1] == b"\x1c"
        else preview.renew_photoshop(profile, small)
    )
