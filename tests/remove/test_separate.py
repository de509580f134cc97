from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.metrics import masked_psnr
from cleanplate.remove.compression import Compression, read_compression
from cleanplate.remove.separate import separate
from cleanplate.structures import FloatArray, Quantisation

from .scenes import letters, photograph, scene


@pytest.mark.parametrize(
    ("opacity", "colour", "at_least"),
    [(0.25, (1.0, 1.0, 1.0), 32.0), (0.5, (0.1, 0.3, 0.9), 30.0), (0.8, (0.0, 0.0, 0.0), 25.0)],
)
def test_what_was_behind_comes_back(
    opacity: float, colour: tuple[float, float, float], at_least: float
) -> None:
    drawn = scene(opacity, colour)
    apart = separate(drawn.marked, drawn.matte)
    inside = drawn.matte > 0.05
    after = masked_psnr(apart.photograph, drawn.clean, inside)
    assert after > at_least
    assert after > masked_psnr(apart.fill, drawn.clean, inside) + 2
    assert np.array_equal(apart.photograph[~apart.mask], drawn.marked[~apart.mask])


def spoil_by_shift(matte: FloatArray) -> FloatArray:
    moved = cv2.warpAffine(matte, np.array([[1, 0, 0.5], [0, 1, 0.5]], np.float32), matte.shape[::-1])
    return np.asarray(moved, np.float32)


def spoil_by_blur(matte: FloatArray) -> FloatArray:
    return np.asarray(cv2.GaussianBlur((matte > 0.5).astype(np.float32), (0, 0), 0.8), np.float32)


@pytest.mark.parametrize("spoil", [spoil_by_shift, spoil_by_blur])
def test_a_spoilt_matte_still_beats_filling(spoil) -> None:  # type: ignore[no-untyped-def]
    drawn = scene(0.5)
    apart = separate(drawn.marked, spoil(drawn.matte))
    inside = drawn.matte > 0.05
    assert masked_psnr(apart.photograph, drawn.clean, inside) > 2 + masked_psnr(
        apart.fill, drawn.clean, inside
    )


def test_an_outlined_mark_comes_off() -> None:
    clean = photograph()
    body = letters(*clean.shape[:2])
    around = np.asarray(cv2.dilate(body, np.ones((7, 7), np.uint8)), np.float32)
    colours = body[..., None] * np.ones(3, np.float32)
    alpha = (0.6 * around)[..., None].astype(np.float32)
    marked = np.rint((clean * (1 - alpha) + alpha * colours) * 255).astype(np.float32) / 255
    apart = separate(marked, around)
    inside = around > 0.05
    assert masked_psnr(apart.photograph, clean, inside) > masked_psnr(marked, clean, inside) + 8


def test_specks_too_small_to_fit_are_filled() -> None:
    clean = np.full((40, 40, 3), 0.4, np.float32)
    matte = np.zeros((40, 40), np.float32)
    matte[20, 18:21] = 1
    marked = clean.copy()
    marked[20, 18:21] = 1
    apart = separate(marked, matte)
    assert apart.groups[0].fit is None
    assert np.allclose(apart.photograph, clean, atol=0.02)


def store(marked: FloatArray, quality: int) -> tuple[FloatArray, Compression]:
    """(what a JPEG file holds of a picture, what its tables say of it)."""
    data = encode_jpeg(np.rint(marked * 255).astype(np.uint8), quality)
    tables = [
        np.array(table, np.float32).reshape(8, 8) for table in Image.open(BytesIO(data)).quantization.values()
    ]
    compression = read_compression(Quantisation(tables[0], tables[1], (True, True)))
    assert compression is not None
    return decode_jpeg(data).astype(np.float32) / np.float32(255), compression


@pytest.mark.parametrize("quality", [60, 75, 90])
@pytest.mark.parametrize("colour", [(1.0, 1.0, 1.0), (0.1, 0.3, 0.9)])
def test_what_compression_did_is_taken_out(quality: int, colour: tuple[float, float, float]) -> None:
    drawn = scene(0.6, colour)
    marked, compression = store(drawn.marked, quality)
    plain, cleaned = separate(marked, drawn.matte), separate(marked, drawn.matte, compression=compression)
    inside = drawn.matte > 0.05
    before, after = (masked_psnr(apart.photograph, drawn.clean, inside) for apart in (plain, cleaned))
    assert after > before + 0.3
    assert np.array_equal(cleaned.photograph[~cleaned.mask], marked[~cleaned.mask])
    assert np.array_equal(cleaned.layer.matte, plain.layer.matte)
