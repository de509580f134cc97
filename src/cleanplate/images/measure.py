"""How large a photograph is, by its header: enough to decide what may be read together."""

from __future__ import annotations

from pathlib import Path

from PIL import (
    BmpImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from cleanplate.images.identify import identify

#: Called directly, as the decoders do: `Image.open` would warn by Pillow's own limit.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}

_HEAD_BYTES = 64

#: Pixels that a byte of a HEIC, AVIF or damaged file may stand for; they compress to about one bit a pixel.
_PIXELS_A_BYTE = 10


def estimate_pixels(path: Path) -> int:
    """Width times height, from the header where it tells, else guessed from the file's size; never raises.

    A file that cannot be looked at counts as nothing: reading it will say what is wrong.
    """
    try:
        with path.open("rb") as stream:
            plugin = _PLUGINS.get(identify(stream.read(_HEAD_BYTES)) or "")
            if plugin is not None:
                stream.seek(0)
                width, height = plugin(stream).size
                return int(width) * int(height)
    except OSError:
        return 0
    except Exception:  # plugins raise whatever a damaged header leads them into
        pass
    return _guess(path)


def _guess(path: Path) -> int:
    try:
        return path.stat().st_size * _PIXELS_A_BYTE
    except OSError:
        return 0
