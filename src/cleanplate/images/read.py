"""Reading a photograph: pixels for looking at, and everything that is needed to store it as it came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cleanplate.errors import UnreadablePhotoError, UnsupportedPhotoError
from cleanplate.images.coding import keeps_pixels, read_quantisation
from cleanplate.images.colour import samples_to_rgb
from cleanplate.images.container import Container
from cleanplate.images.formats import avif, bmp, heif, jpeg, png, tiff, webp
from cleanplate.images.formats.base import CONVERT, DAMAGED, File
from cleanplate.images.identify import identify
from cleanplate.images.orientation import to_upright
from cleanplate.structures import Photo

_DECODERS: dict[str, Callable[[File], Container]] = {
    "JPEG": jpeg.decode,
    "PNG": png.decode,
    "WEBP": webp.decode,
    "TIFF": tiff.decode,
    "BMP": bmp.decode,
    "HEIF": heif.decode,
    "AVIF": avif.decode,
}

#: Enough of a file to tell its format.
_HEAD_BYTES = 64


def read(path: Path, *, max_megapixels: float) -> Photo:
    """Decode one photograph, upright. The format is told by the content, not by the name.

    max_megapixels: above this the file is refused by its header, before anything is decoded.

    Raises UnreadablePhotoError for a file that is missing, empty, truncated, damaged, no image or not
    permitted; UnsupportedPhotoError for several frames or pages, too many pixels, kinds that cannot be
    stored as they came, and HEIC without its extra.
    """
    data = _load(path)
    format = identify(data)
    if format is None:
        raise UnreadablePhotoError(path, "this is not an image", "remove it from the input")
    decode = _DECODERS.get(format)
    if decode is None:
        raise UnsupportedPhotoError(path, f"{format} files cannot be stored as they came", CONVERT)
    container = decode(File(path=path, data=data, max_megapixels=max_megapixels))
    rgb = samples_to_rgb(container.samples, container.metadata.icc)
    return Photo(
        path=path,
        rgb=to_upright(rgb, container.orientation),
        container=container,
        quantisation=read_quantisation(container),
        exact=keeps_pixels(container),
    )


def _load(path: Path) -> bytes:
    """The whole file, unless its first bytes show that it is none of ours: then only those."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if not head:
                raise UnreadablePhotoError(path, "the file is empty", DAMAGED)
            if identify(head) is None:
                return head
            stream.seek(0)
            return stream.read()
    except FileNotFoundError as exc:
        raise UnreadablePhotoError(path, "there is no such file", "check the name, or mend the link") from exc
    except PermissionError as exc:
        raise UnreadablePhotoError(
            path, "reading it is not permitted", "change the file's permissions"
        ) from exc
    except IsADirectoryError as exc:
        raise UnsupportedPhotoError(path, "this is a folder", "name it as an input of its own") from exc
    except OSError as exc:
        raise UnreadablePhotoError(path, f"it cannot be read ({exc.strerror})", "check the disk") from exc
