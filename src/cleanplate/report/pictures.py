"""Pictures that a browser can show, made of whatever a photograph is stored as."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.AvifImagePlugin import AvifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from cleanplate.images.identify import identify
from cleanplate.images.read import read

#: Longest edges, in pixels: in the grid, in the viewer, and of the piece that is kept at full resolution.
SMALL_PX, LARGE_PX = 360, 2048

#: As in the settings: what is larger is refused as a decompression bomb.
MAX_MEGAPIXELS = 200.0

#: Colour profiles up to this go along; larger ones are printers', and those pictures are converted anyway.
_PROFILE_BYTES = 4096

_ORIENTATION_TAG = 0x0112

_PLUGINS: dict[str, Callable[[Path], Image.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "AVIF": AvifImageFile,
}


def is_showable(path: Path) -> bool:
    """Whether browsers show the file itself, upright and in its colours.

    JPEG but CMYK, PNG, WebP, AVIF, BMP. Only of JPEG do all browsers heed the orientation. Raises OSError,
    for what is no file too: a pipe would be waited for without end.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "is no file", str(path))
    with path.open("rb") as stream:
        kind = identify(stream.read(64))
    if kind == "BMP":
        return True
    if kind not in _PLUGINS:
        return False
    try:
        with _PLUGINS[kind](path) as picture:
            if kind == "JPEG":
                return picture.mode != "CMYK"
            return kind == "AVIF" or int(picture.getexif().get(_ORIENTATION_TAG, 1)) == 1
    except Exception:  # plugins raise whatever a damaged header leads them into
        return False


def picture_for_browser(path: Path) -> tuple[bytes, str] | None:
    """Bytes and media type of the photograph, upright, at its own size; None: the file itself will do.

    Raises PhotoError for a file that cannot be read, OSError for one that cannot be looked at.
    """
    if is_showable(path):
        return None
    return encode_jpeg(open_picture(path, longest_px=None), quality=92), "image/jpeg"


def thumbnail(path: Path) -> bytes:
    """A JPEG of the photograph, upright, its longest edge `SMALL_PX`. Raises as `picture_for_browser`."""
    return encode_jpeg(open_picture(path, longest_px=SMALL_PX), quality=80)


def open_picture(path: Path, *, longest_px: int | None) -> Image.Image:
    """The photograph as an RGB picture, upright, made smaller where its longest edge is over `longest_px`.

    A JPEG that is to become small is decoded small. Raises PhotoError.
    """
    if longest_px is not None:
        quick = _decode_small_jpeg(path, longest_px)
        if quick is not None:
            return quick
    photo = read(path, max_megapixels=MAX_MEGAPIXELS)
    picture = Image.fromarray(shrink(photo.rgb, longest_px))
    # CMYK has become sRGB; everything else is still in the colours of its profile.
    if photo.container is not None and photo.container.samples.mode in ("RGB", "RGBA", "P"):
        picture.info["icc_profile"] = photo.container.metadata.icc
    return picture


def shrink(rgb: NDArray[Any], longest_px: int | None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 or uint16 as uint8, no edge longer than `longest_px` (None: as it is)."""
    scale = 1.0 if longest_px is None else min(1.0, longest_px / max(rgb.shape[:2]))
    if scale < 1:
        size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    if rgb.dtype == np.uint16:
        rgb = (rgb // 257).astype(np.uint8)
    return np.ascontiguousarray(rgb)


def encode_jpeg(picture: Image.Image, *, quality: int) -> bytes:
    """An RGB picture as a JPEG, with its colour profile where that is small."""
    profile = picture.info.get("icc_profile") or b""
    target = io.BytesIO()
    kept = profile if len(profile) <= _PROFILE_BYTES else b""
    picture.save(target, "JPEG", quality=quality, icc_profile=kept)
    return target.getvalue()


def _decode_small_jpeg(path: Path, longest_px: int) -> Image.Image | None:
    """A JPEG by way of its coarse coefficients; None for all other files and for damaged ones."""
    try:
        with JpegImageFile(path) as picture:
            if picture.mode not in ("RGB", "L") or picture.width * picture.height > MAX_MEGAPIXELS * 1e6:
                return None
            profile = picture.info.get("icc_profile") if picture.mode == "RGB" else None
            picture.draft(picture.mode, (longest_px, longest_px))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except Exception:  # whatever a damaged file leads the plugin into: `read` then names what is wrong
        return None
    upright.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    upright.info = {"icc_profile": profile}
    return upright
