"""BMP: pixels and a resolution, nothing else."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from cleanplate.images import exif
from cleanplate.images.container import Container, Metadata, Samples
from cleanplate.images.formats.base import (
    Draft,
    Encoded,
    File,
    load_picture,
    open_picture,
    picture_samples,
    samples_picture,
    save_picture,
)

_FILE_HEADER_BYTES = 14
#: The headers that Pillow writes, and that with masks for each channel.
_PLAIN_BYTES, _V4_BYTES = 40, 108
#: The pixels are laid out as the masks say.
_BITFIELDS = 3


def decode(file: File) -> Container:
    """Take a BMP file apart. Raises UnreadablePhotoError."""
    picture = open_picture(file, BmpImageFile)
    load_picture(file, picture)
    return Container(
        format="BMP", samples=_samples(picture), metadata=Metadata(dpi=exif.dpi_in(picture.info))
    )


def _samples(picture: Image.Image) -> Samples:
    if picture.mode != "P":
        return picture_samples(picture)
    indices = np.array(picture)
    colours = np.frombuffer(picture.palette.tobytes() if picture.palette else b"", np.uint8)
    if picture.palette is not None and picture.palette.mode == "RGB":
        colours = colours.reshape(-1, 3)
    return Samples("P", indices, opaque_palette(colours, int(indices.max()) + 1))


def opaque_palette(
    colours: np.ndarray[Any, np.dtype[np.uint8]], least: int
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(n, 3) colours as an RGBA palette of at least `least` entries, filled up with black."""
    palette = np.zeros((max(len(colours), least), 4), np.uint8)
    palette[: len(colours), :3] = colours
    palette[:, 3] = 255
    return palette


def encode(draft: Draft) -> Encoded:
    """The picture as a BMP file."""
    options: dict[str, Any] = {}
    if draft.container.metadata.dpi is not None:
        options["dpi"] = draft.container.metadata.dpi
    data = save_picture(samples_picture(draft.samples), "BMP", **options)
    return Encoded(_with_alpha(data) if draft.samples.mode == "RGBA" else data)


def _with_alpha(data: bytes) -> bytes:
    """The same file under a header that says where the alpha is (BITMAPV4HEADER); Pillow's says nothing."""
    grown = _V4_BYTES - _PLAIN_BYTES
    file_bytes, start = len(data) + grown, _FILE_HEADER_BYTES + _V4_BYTES
    file_header = struct.pack("<2sI4xI", b"BM", file_bytes, start)
    sizes = data[_FILE_HEADER_BYTES + 4 : _FILE_HEADER_BYTES + 16]  # width, height, planes, bits a pixel
    rest = data[_FILE_HEADER_BYTES + 20 : _FILE_HEADER_BYTES + _PLAIN_BYTES]  # bytes, resolution, colours
    header = struct.pack("<I", _V4_BYTES) + sizes + struct.pack("<I", _BITFIELDS) + rest
    masks = struct.pack("<4I", 0x00FF0000, 0x0000FF00, 0x000000FF, 0xFF000000)
    space = b"BGRs" + bytes(grown - len(masks) - 4)
    return file_header + header + masks + space + data[_FILE_HEADER_BYTES + _PLAIN_BYTES :]
