"""What every format's `decode` and `encode` take, give and share."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFile

from cleanplate.errors import PhotoError, UnreadablePhotoError, UnsupportedPhotoError
from cleanplate.images.container import CHANNELS, Container, Samples

#: JPEG and WebP quality where neither the user nor the input says one.
DEFAULT_QUALITY = 95

DAMAGED = "get an undamaged copy of the file"
#: Rows that go from Pillow to NumPy at a time.
_ROWS = 64
CONVERT = "convert it to PNG or JPEG with another program first"
#: What Pillow says of a sound file whose kind of pixels it does not know.
_UNKNOWN_PIXELS = "unknown pixel mode"


@dataclass(frozen=True, kw_only=True, eq=False)
class File:
    """A whole file in memory, and the most megapixels that may be decoded from it."""

    path: Path
    data: bytes
    max_megapixels: float

    def check_size(self, width: int, height: int) -> None:
        """Raises UnsupportedPhotoError above the limit, UnreadablePhotoError for an empty picture."""
        if width < 1 or height < 1:
            raise self.unreadable("the picture has no pixels")
        megapixels = width * height / 1e6
        if megapixels > self.max_megapixels:
            raise self.unsupported(
                f"{width} x {height} pixels are {megapixels:.1f} megapixels, over {self.max_megapixels:g}",
                f"if the file is to be trusted, raise --max-megapixels to {int(megapixels) + 1}",
            )

    def unreadable(self, cause: str, remedy: str = DAMAGED) -> PhotoError:
        """The error that says this file is damaged."""
        return UnreadablePhotoError(self.path, cause, remedy)

    def unsupported(self, cause: str, remedy: str = CONVERT) -> PhotoError:
        """The error that says this file is sound but would not come through unharmed."""
        return UnsupportedPhotoError(self.path, cause, remedy)


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """A picture to be stored.

    container: the input's, or one built for another format (`details` None): metadata and tables are its.
    samples: what to encode, as stored. preview: a small RGB picture of it, as stored, for thumbnails.
    quality: 1 to 100, or None for the input's own tables.
    """

    container: Container
    samples: Samples
    preview: Image.Image
    quality: int | None = None


@dataclass(frozen=True)
class Encoded:
    """A whole file, and what its owner should know about it."""

    data: bytes
    notes: tuple[str, ...] = ()


def open_picture(file: File, plugin: Callable[[io.BytesIO], ImageFile.ImageFile]) -> ImageFile.ImageFile:
    """Read a file's header with one of Pillow's plugins and check its size.

    The plugin is called directly: `Image.open` would apply Pillow's own limit, which is a global.

    Raises UnreadablePhotoError for a damaged header, UnsupportedPhotoError for pixels of a kind not known.
    """
    try:
        picture = plugin(io.BytesIO(file.data))
    except Exception as exc:  # plugins raise whatever a damaged header leads to, struct.error to KeyError
        if _UNKNOWN_PIXELS in str(exc):
            raise file.unsupported("its pixels are of a kind that cannot be read") from exc
        raise file.unreadable(f"its header is damaged ({_first_line(exc)})") from exc
    file.check_size(*picture.size)
    return picture


def load_picture(file: File, picture: Image.Image) -> None:
    """Decode the pixels.

    Raises UnreadablePhotoError for a truncated or damaged file; MemoryError goes through.
    """
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as exc:  # decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error, ...
        raise file.unreadable(f"the picture is truncated or damaged ({_first_line(exc)})") from exc


def is_over_pillows_limit(width: int, height: int) -> bool:
    """Whether some of Pillow's plugins would warn about this size or refuse it, by a global limit."""
    return Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS


def decode_by_opencv(data: bytes) -> Samples | None:
    """Decode what Pillow cannot (16 bits a sample, very large files); None where OpenCV cannot either.

    Mode L, RGB or RGBA, as stored: OpenCV is told not to turn the picture (which TIFF files ignore).
    """
    try:
        array = cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        )
    except cv2.error:
        return None
    if array is None or array.dtype not in (np.uint8, np.uint16):
        return None
    if array.ndim == 2 or array.shape[2] == 1:
        return Samples("L", array.reshape(array.shape[:2]))
    mode = "RGBA" if array.shape[2] == 4 else "RGB"
    return Samples(mode, np.ascontiguousarray(array[:, :, [2, 1, 0, 3][: array.shape[2]]]))


def picture_samples(picture: Image.Image) -> Samples:
    """A loaded Pillow picture of mode 1, L, LA, RGB, RGBA or CMYK as samples."""
    if picture.mode == "1":
        return Samples(picture.mode, np.array(picture).astype(np.uint8) * 255)
    width, height = picture.size
    channels = CHANNELS[picture.mode]
    array = np.empty((height, width) if channels == 1 else (height, width, channels), np.uint8)
    for top in range(0, height, _ROWS):  # the whole as bytes would be there twice beside it
        bottom = min(height, top + _ROWS)
        array[top:bottom] = np.asarray(picture.crop((0, top, width, bottom)))
    return Samples(picture.mode, array)


def samples_picture(samples: Samples) -> Image.Image:
    """8-bit samples as a Pillow picture without any metadata; a palette keeps its order."""
    height, width = samples.array.shape[:2]
    if samples.mode == "1":
        return Image.frombytes("L", (width, height), samples.array.tobytes()).convert(
            "1", dither=Image.Dither.NONE
        )
    pixels = np.ascontiguousarray(samples.array).reshape(-1)  # as they lie: bytes would be a copy
    picture = Image.frombytes(samples.mode, (width, height), pixels.data)
    if samples.palette is not None:
        picture.putpalette(samples.palette[:, :3].tobytes(), "RGB")
    return picture


def save_picture(picture: Image.Image, format: str, **options: Any) -> bytes:
    """The picture as a file in memory."""
    target = io.BytesIO()
    picture.save(target, format, **options)
    return target.getvalue()


def holds_c2pa_box(data: bytes) -> bool:
    """Whether a HEIC or AVIF file has the box of content credentials, told by its identifier."""
    return bytes.fromhex("d8fec3d61b0e483c92975828877ec481") in data


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
