"""Whether a HEIC file was coded without loss is read from its parameter sets."""

from __future__ import annotations

import io
from typing import Any

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.images.hevc import is_lossless
from tests.images import pictures


def heic_file(**options: Any) -> bytes:
    target = io.BytesIO()
    pillow_heif.from_pillow(pictures.picture()).save(target, **options)
    return target.getvalue()


@pytest.mark.parametrize("chroma", [420, 422, 444])
@pytest.mark.parametrize(("quality", "expected"), [(-1, True), (100, False), (50, False)])
def test_a_heic_file_says_whether_it_lost_something(quality: int, expected: bool, chroma: int) -> None:
    assert is_lossless(heic_file(quality=quality, chroma=chroma)) is expected


@given(st.binary(max_size=60))
def test_damaged_parameters_are_taken_as_lossy_and_never_raise(junk: bytes) -> None:
    is_lossless(junk)
    is_lossless(b"hvcC" + bytes(22) + junk)
    is_lossless(b"hvcC" + bytes(22) + bytes([1, 34, 0, 1, 0, len(junk)]) + junk)
    assert not is_lossless(b"hvcC" + bytes(22) + bytes([1, 34, 0, 1, 0, 3]) + b"\x44\x01\xc1")
