"""PNG: every depth and colour type; the input's chunks put back round the new pixels."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from cleanplate.images import chunks, exif
from cleanplate.images.chunks import Chunk
from cleanplate.images.container import Container, Samples
from cleanplate.images.formats.base import (
    Draft,
    Encoded,
    File,
    decode_by_opencv,
    load_picture,
    open_picture,
    picture_samples,
    samples_picture,
    save_picture,
)

_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
#: How zlib goes about pixels: it looks for anything that recurs, or for runs only, in a fifth of the time.
_THOROUGH = {"compress_level": 6}
_RUNS = {"compress_level": 1, "compress_type": zlib.Z_RLE}
#: Runs must do for a file that is at most so much larger. Source: of seven photographs six were 2 % smaller
#: to 3 % larger with runs, one of fine grain 10 %, and a plot of lines 33 %.
_MOST_GROWTH = 1.08
#: Rows that are tried at three places, and pictures so small that it does not matter.
_TRIED_ROWS = 16
_SMALL_PIXELS = 1 << 18
_COLOUR_TYPES = {mode: number for number, mode in _MODES.items()}
#: What the pixels are decoded from.
_PIXEL_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def decode(file: File) -> Container:
    """Take a PNG file apart. Raises UnreadablePhotoError or UnsupportedPhotoError (several frames)."""
    try:
        own = chunks.read_chunks(file.data)
        width, height, depth, colour_type = struct.unpack_from(">IIBB", own[0].data)
        mode = _MODES[colour_type]
    except (ValueError, KeyError, struct.error) as exc:
        raise file.unreadable(f"the PNG file is damaged: {exc}") from exc
    file.check_size(width, height)
    frames = chunks.frames_in(own)
    if frames > 1:
        raise file.unsupported(
            f"the file is an animation of {frames} frames", "export the frame that is meant"
        )
    samples = _decode_deep(file, own, mode) if depth == 16 else _decode_bytes(file, own, mode)
    metadata = chunks.read_metadata(own)
    return Container(
        format="PNG",
        samples=samples,
        orientation=exif.orientation(metadata.exif),
        metadata=metadata,
        colour_key=_colour_key(own, mode, depth),
        details=tuple(chunk for chunk in own if chunk.name != b"IDAT"),
    )


def _decode_bytes(file: File, own: tuple[Chunk, ...], mode: str) -> Samples:
    """8 bits a sample or fewer, by Pillow: it gets no chunk that it would refuse, such as a large profile."""
    kept = [chunk for chunk in own if chunk.name in _PIXEL_CHUNKS]
    bare = file if len(kept) == len(own) else replace(file, data=chunks.write_chunks(kept))
    picture = open_picture(bare, PngImageFile)
    load_picture(bare, picture)
    if mode != "P":
        return picture_samples(picture)
    indices = np.array(picture)
    colours = np.frombuffer(chunks.data_of(own, b"PLTE") or b"", np.uint8)
    colours = colours[: len(colours) // 3 * 3].reshape(-1, 3)
    palette = np.zeros((max(len(colours), int(indices.max()) + 1), 4), np.uint8)
    palette[: len(colours), :3] = colours
    palette[:, 3] = 255
    opacity = np.frombuffer(chunks.data_of(own, b"tRNS") or b"", np.uint8)[: len(palette)]
    palette[: len(opacity), 3] = opacity
    return Samples("P", indices, palette)


def _decode_deep(file: File, own: tuple[Chunk, ...], mode: str) -> Samples:
    """16 bits a sample: OpenCV keeps them, Pillow does not. It gets the pixels only, no chunk to act upon."""
    bare = chunks.write_chunks([chunk for chunk in own if chunk.name in (b"IHDR", b"IDAT", b"IEND")])
    samples = decode_by_opencv(bare) if _is_whole(own) else None
    if samples is None or samples.array.dtype != np.uint16:
        raise file.unreadable("the picture is truncated or damaged")
    if mode == "LA":
        return Samples("LA", np.ascontiguousarray(samples.array[:, :, [0, -1]]))
    return samples


def _is_whole(own: tuple[Chunk, ...]) -> bool:
    """Whether the compressed pixels reach their end: where they do not, OpenCV gives half a picture."""
    inflater = zlib.decompressobj()
    try:
        for chunk in own:
            if chunk.name == b"IDAT":
                inflater.decompress(chunk.data)
    except zlib.error:
        return False
    return inflater.eof


def _colour_key(own: tuple[Chunk, ...], mode: str, depth: int) -> tuple[int, ...] | None:
    data = chunks.data_of(own, b"tRNS")
    wanted = {"L": 1, "RGB": 3}.get(mode)
    if data is None or wanted is None or len(data) < 2 * wanted:
        return None
    # Depths under 8 are read scaled up, so their key is too.
    scale = 255 // ((1 << depth) - 1) if depth < 8 else 1
    return tuple(value * scale for value in struct.unpack_from(f">{wanted}H", data))


def encode(draft: Draft) -> Encoded:
    """The picture as a PNG file: any mode but CMYK, 8 or 16 bits."""
    container, samples = draft.container, draft.samples
    encoded = chunks.read_chunks(encode_pixels(samples))
    extra = _transparency(samples, container.colour_key, encoded)
    if container.format == "PNG" and container.details is not None:
        own = chunks.renewed(container.details, draft.preview)
        merged, notes = chunks.merge(encoded, own, extra, same_mode=samples.mode == container.samples.mode)
    else:
        written = chunks.write_metadata(container.metadata)
        merged, notes = chunks.merge(encoded, written, extra, same_mode=True)
    return Encoded(chunks.write_chunks(merged), notes)


def _transparency(
    samples: Samples, colour_key: tuple[int, ...] | None, encoded: tuple[Chunk, ...]
) -> tuple[Chunk, ...]:
    """The tRNS chunk that belongs to the samples, if any."""
    if samples.palette is not None:
        opacity = samples.palette[:, 3]
        last = np.flatnonzero(opacity < 255)
        return (Chunk(b"tRNS", opacity[: last[-1] + 1].tobytes()),) if len(last) else ()
    if colour_key is None or samples.mode not in ("1", "L", "RGB"):
        return ()
    depth = encoded[0].data[8]
    scale = 255 // ((1 << depth) - 1) if depth < 8 else 1
    return (Chunk(b"tRNS", struct.pack(f">{len(colour_key)}H", *(value // scale for value in colour_key))),)


def encode_pixels(samples: Samples) -> bytes:
    """A PNG file of nothing but the pixels (and their palette)."""
    if samples.array.dtype != np.uint16:
        picture = samples_picture(samples)
        return save_picture(picture, "PNG", **(_RUNS if _is_photographic(picture) else _THOROUGH))
    height, width = samples.array.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[samples.mode], 0, 0, 0)
    rows = samples.array.astype(">u2").view(np.uint8).reshape(height, -1)
    pixel_bytes = rows.shape[1] // width
    pixels = zlib.compress(_filtered(rows, pixel_bytes), 6)
    return chunks.write_chunks([Chunk(b"IHDR", header), Chunk(b"IDAT", pixels), Chunk(b"IEND", b"")])


def _is_photographic(picture: Image.Image) -> bool:
    """Whether some rows of it have nothing but runs to be found: in photographs hardly anything recurs."""
    width, height = picture.size
    if picture.mode not in ("RGB", "RGBA", "L", "LA") or width * height < _SMALL_PIXELS:
        return False
    strips = [
        (0, top, width, min(height, top + _TRIED_ROWS)) for top in (height // 4, height // 2, 3 * height // 4)
    ]
    tried = [picture.crop(strip) for strip in strips]
    quick, thorough = (sum(len(save_picture(t, "PNG", **how)) for t in tried) for how in (_RUNS, _THOROUGH))
    return quick <= _MOST_GROWTH * thorough


def _filtered(rows: NDArray[np.uint8], pixel_bytes: int) -> bytes:
    """(height, row bytes) with the filter that leaves the least in each row: none, left, above or Paeth's."""
    height, length = rows.shape
    above = np.zeros_like(rows[0])
    filtered = np.empty((height, length + 1), np.uint8)
    for i, row in enumerate(rows):
        left = np.concatenate([np.zeros(pixel_bytes, np.uint8), row[:-pixel_bytes]])
        corner = np.concatenate([np.zeros(pixel_bytes, np.uint8), above[:-pixel_bytes]])
        candidates = ((0, row), (1, row - left), (2, row - above), (4, row - _paeth(left, above, corner)))
        kind, best = min(candidates, key=lambda c: int(np.abs(c[1].view(np.int8).astype(np.int16)).sum()))
        filtered[i, 0] = kind
        filtered[i, 1:] = best
        above = row
    return filtered.tobytes()


def _paeth(left: NDArray[Any], above: NDArray[Any], corner: NDArray[Any]) -> NDArray[np.uint8]:
    a, b, c = left.astype(np.int16), above.astype(np.int16), corner.astype(np.int16)
    to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), left, np.where(to_b <= to_c, above, corner)).astype(
        np.uint8
    )
