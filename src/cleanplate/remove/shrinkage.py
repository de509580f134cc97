"""Taking out what compression's rounding has grown to where a mark was inverted.

An inverse divides by what the mark let through, and the file's rounding with it. That rounding is spread
over the frequencies of 8 x 8 blocks as the file's tables say, a photograph's own detail stands on few of
them. So blocks at every offset are transformed, what does not stand out from the grown rounding is dropped,
and the blocks are laid on each other again. Arrays in, arrays out.

Source: transform shrinkage of overlapping blocks is Nosratinia's and Foi's way with compressed photographs
("Enhancement of JPEG-compressed images by re-application of JPEG", 2001; "Pointwise shape-adaptive DCT",
2007); weights by block are the latter's.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cleanplate.structures import BoolArray, Box, FloatArray

BLOCK = 8
CHANNELS = 3
#: Pixels from one offset of the blocks to the next, and where much is to be done: four times as quick, and
#: 0.3 dB less. Source: 24 folders of training photographs, JPEG 85 and 92, opacity 0.3 to 0.8.
STRIDE, QUICK_STRIDE = 1, 2
MUCH_PX = 150_000
#: A coefficient that is not so many standard deviations of the grown rounding is dropped. Source: 2.2 to 3.4
#: on the same folders.
LEAST_DEVIATIONS = 2.8
#: Rows that are worked on together: it bounds the memory.
BAND_ROWS = 256
#: Rows and columns of blocks that are transformed together: their coefficients stay in the processor's cache,
#: and the products are so small that no threads are woken for them.
BLOCKS_TOGETHER = (8, 256)
#: Luma and two colour differences of red, green and blue, as JPEG has them.
TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
TO_RGB = np.linalg.inv(TO_YCC).astype(np.float32)
#: Variance that rounding to 256 levels adds to every coefficient.
ROUNDED = 1 / 12 / 255**2


def spread_rounding(luma: FloatArray, chroma: FloatArray, halved: tuple[bool, bool]) -> FloatArray:
    """(3, 8, 8): variances that rounding has, by luma and two colour differences and by frequency.

    luma, chroma: (8, 8), steps in grey levels. halved: whether colour has half the resolution, (across,
    down): its rounding then lies at the lower half of the frequencies, and counts for two pixels each.

    >>> one = np.ones((8, 8), np.float32)
    >>> float(spread_rounding(12 * one, one, (False, False))[0, 0, 0] * 255**2)
    12.083333015441895
    """
    steps = np.asarray(chroma, np.float32) ** 2
    colour = np.zeros((BLOCK, BLOCK), np.float32)
    across, down = (2 if half else 1 for half in halved)
    colour[: BLOCK // down, : BLOCK // across] = across * down * steps[::down, ::across]
    planes = np.stack([np.asarray(luma, np.float32) ** 2, colour, colour])
    return (planes / np.float32(12 * 255**2) + np.float32(ROUNDED)).astype(np.float32)


def spread_evenly(noise: float) -> FloatArray:
    """(3, 8, 8): the same for a file of which only the standard deviation of its pixels is guessed."""
    return np.full((3, BLOCK, BLOCK), noise**2, np.float32)


def shrink_noise(
    inverse: FloatArray,
    kept: FloatArray,
    where: BoolArray,
    rounding: FloatArray,
    *,
    stride: int | None = None,
) -> FloatArray:
    """(h, w, 3): `inverse` with what is no more than grown rounding taken out, at `where` alone.

    inverse: (h, w, 3) float32 in [0, 1], the photograph behind. kept: (h, w), what it was divided by. where:
    (h, w) bool. rounding: (3, 8, 8), see `spread_rounding`. stride: pixels from one offset of the blocks to
    the next, 1, 2, 4 or 8; None: by how much is to be done.

    >>> flat = np.full((16, 16, 3), 0.5, np.float32)
    >>> kept, where = np.ones((16, 16), np.float32), np.ones((16, 16), bool)
    >>> bool(np.allclose(shrink_noise(flat, kept, where, spread_evenly(0.01)), 0.5, atol=1e-5))
    True
    """
    result = inverse.copy()
    near = Box.around(where)
    if near is None:
        return result
    if stride is None:
        stride = STRIDE if int(np.count_nonzero(where)) <= MUCH_PX else QUICK_STRIDE
    left, right = max(0, near.left - BLOCK), near.right + BLOCK
    for top in range(near.top, near.bottom, BAND_ROWS):
        bottom = min(top + BAND_ROWS, near.bottom)
        band = (slice(max(0, top - BLOCK), bottom + BLOCK), slice(left, right))
        inner = where[band].copy()
        inner[: top - band[0].start] = False
        inner[bottom - band[0].start :] = False
        if inner.any():
            rooms = (
                _find_room(band[0].start, top, bottom, where.shape[0]),
                _find_room(left, near.left, near.right, where.shape[1]),
            )
            shrunk = _shrink_band(inverse[band], kept[band], inner, rounding, stride, rooms)
            result[band][inner] = shrunk[inner]
    return result


def _find_room(start: int, first: int, end: int, length: int) -> tuple[int, int]:
    """What is to be repeated before and after a cut from `start`, that all blocks over [first, end) fit in.

    Its beginning stays a multiple of 8 from `start`: not every stride has a block at every pixel.
    """
    return (0 if first - start >= BLOCK else BLOCK), max(0, end + BLOCK - length)


def _shrink_band(
    inverse: FloatArray,
    kept: FloatArray,
    where: BoolArray,
    rounding: FloatArray,
    stride: int,
    rooms: tuple[tuple[int, int], tuple[int, int]],
) -> FloatArray:
    """(h, w, 3): a band, right at `where`. rooms: how many pixels of it are repeated over its edges."""
    grown = np.pad(np.float32(1) / (kept * kept), rooms, mode="symmetric").astype(np.float32)
    wanted = np.pad(where, rooms)
    height, width = grown.shape
    means = cv2.boxFilter(grown, cv2.CV_32F, (BLOCK, BLOCK), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    growth = np.asarray(means, np.float32)[: height - BLOCK + 1 : stride, : width - BLOCK + 1 : stride]
    (above, _), (before, _) = rooms
    inner = (slice(above, above + kept.shape[0]), slice(before, before + kept.shape[1]))
    shrunk = cv2.transform(inverse, TO_YCC)
    for channel in range(CHANNELS):
        plane = np.asarray(np.pad(shrunk[..., channel], rooms, mode="symmetric"), np.float32)
        variances = np.ascontiguousarray(rounding[channel]).reshape(-1, 1)
        shrunk[..., channel] = _shrink_plane(plane, growth, wanted, variances, stride)[inner]
    return np.asarray(np.clip(cv2.transform(shrunk, TO_RGB), 0, 1), np.float32)


def _shrink_plane(
    plane: FloatArray, growth: FloatArray, where: BoolArray, rounding: FloatArray, stride: int
) -> FloatArray:
    """(h, w): the mean of all blocks over each pixel, each without what does not stand out from its noise.

    growth: (rows, columns) of blocks, of the variance in each. rounding: (64, 1), variances by frequency.
    """
    total, weights = np.zeros_like(plane), np.zeros_like(plane)
    rows, columns = growth.shape
    for top in range(0, rows, BLOCKS_TOGETHER[0]):
        for left in range(0, columns, BLOCKS_TOGETHER[1]):
            noise = growth[top : top + BLOCKS_TOGETHER[0], left : left + BLOCKS_TOGETHER[1]]
            at = tuple(
                slice(stride * first, stride * (first + count - 1) + BLOCK)
                for first, count in zip((top, left), noise.shape, strict=True)
            )
            if where[at].any():
                blocks, weight = _shrink_blocks(plane[at], noise, rounding, stride)
                total[at] += blocks
                weights[at][: 1 - BLOCK : stride, : 1 - BLOCK : stride] = weight
    size, anchor = (BLOCK, BLOCK), (BLOCK - 1, BLOCK - 1)
    together = cv2.boxFilter(
        weights, cv2.CV_32F, size, anchor=anchor, normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return np.asarray(total / np.maximum(together, np.float32(1e-12)), np.float32)


def _shrink_blocks(
    plane: FloatArray, growth: FloatArray, rounding: FloatArray, stride: int
) -> tuple[FloatArray, FloatArray]:
    """(the sum of a few rows of blocks over each pixel of (h, w) `plane`, each block's weight in it).

    Overlapping blocks share the half of their transforms that runs across: it is taken once a row of pixels.
    """
    rows, columns = growth.shape
    windows = sliding_window_view(plane, BLOCK, 1)[:, ::stride].swapaxes(1, 2)
    across = np.matmul(_BASIS, np.ascontiguousarray(windows)).reshape(len(plane), -1)
    windows = sliding_window_view(across, BLOCK, 0)[::stride].swapaxes(1, 2)
    coefficients = np.matmul(_BASIS, windows).reshape(rows, BLOCK**2, columns)
    weight = _drop(coefficients, growth[:, None], rounding)
    downwards = np.matmul(_BASIS.T, coefficients.reshape(rows, BLOCK, -1))
    across[:] = 0
    for down in range(BLOCK):
        across[down : down + stride * (rows - 1) + 1 : stride] += downwards[:, down]
    parts = np.matmul(_BASIS.T, across.reshape(len(plane), BLOCK, columns))
    total = np.zeros_like(plane)
    for right in range(BLOCK):
        total[:, right : right + stride * (columns - 1) + 1 : stride] += parts[:, right]
    return total, weight[:, 0]


def _drop(coefficients: FloatArray, growth: FloatArray, rounding: FloatArray) -> FloatArray:
    """(rows, 1, columns): the weights of blocks, by which (rows, 64, columns) `coefficients` are multiplied,
    those that do not stand out by nothing.
    """
    squares = coefficients * coefficients
    squares *= 1 / (np.float32(LEAST_DEVIATIONS**2) * rounding)
    stands = (squares > growth).astype(np.float32)
    stands[:, 0] = 1
    left = np.matmul(rounding.T / np.float32(BLOCK**2), stands) * growth
    weight = 1 / np.maximum(left, np.float32(1e-12))
    stands *= weight
    coefficients *= stands
    return np.asarray(weight, np.float32)


def _draw_basis() -> FloatArray:
    """(8, 8): rows are the cosines of a block's frequencies, orthonormal."""
    at, frequency = np.arange(BLOCK), np.arange(BLOCK)[:, None]
    basis = np.cos((2 * at + 1) * frequency * np.pi / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis, np.float32)


_BASIS = _draw_basis()
