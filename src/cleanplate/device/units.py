"""Bytes as people read them."""

from __future__ import annotations


def format_bytes(size_bytes: int | None) -> str:
    """A size in the largest unit (powers of 1000) that leaves at least 1, with three digits; `?` for None.

    >>> format_bytes(512), format_bytes(3_141_592), format_bytes(12_345_678_901), format_bytes(None)
    ('512 B', '3.14 MB', '12.3 GB', '?')
    """
    if size_bytes is None:
        return "?"
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(size) < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"
