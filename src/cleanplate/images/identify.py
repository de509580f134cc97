"""Telling a file's format by its first bytes."""

from __future__ import annotations

from pathlib import Path

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
)
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


HEAD_BYTES = 64


def identify(head: bytes) -> str | None:
    """The format that a file's first 64 bytes announce; None where they are no image's.

    >>> identify(b"\\xff\\xd8\\xff\\xe0")
    'JPEG'
    >>> identify(b"hello") is None
    True
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        # The major brand, then (after a version) the compatible ones: "mif1" alone is either of the two.
        end = min(len(head), int.from_bytes(head[:4], "big"))
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        return "HEIF" if brands & _HEIF_BRANDS else None
    return next((name for start, name in _SIGNATURES if head.startswith(start)), None)


def identify_file(path: Path) -> str | None:
    """The same of a file; None where it is not there, or no regular file. Raises OSError."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return identify(stream.read(HEAD_BYTES))
