"""Sizes for people."""

import pytest

from cleanplate.device.units import format_bytes


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_900, "1 MB"), (25_300_000_000, "25.3 GB"), (None, "?")],
)
def test_sizes(size, text):
    assert format_bytes(size) == text
