"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

from cleanplate.errors import InvalidSettingError


def parse_bytes(text: str) -> int:
    """Bytes from a number with a unit: B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (of 1024).

    Raises InvalidSettingError when it is not one.

    >>> parse_bytes("3GB"), parse_bytes("1.5 GiB"), parse_bytes("4096")
    (3000000000, 1610612736, 4096)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(i?)b?)\s*", text, re.IGNORECASE)
    if found is None or (found[3] and not found[2]):
        raise InvalidSettingError("memory_limit", text, "bytes with a unit, as in 3GB or 512MiB")
    number, prefix, binary = found.groups()
    step = 1024 if binary else 1000
    return int(float(number) * step ** " kmgt".index(prefix.lower() or " "))
