"""Writing a photograph as it came or in another format; a file appears whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from cleanplate.errors import UnwritablePhotoError
from cleanplate.images.colour import samples_to_rgb
from cleanplate.images.compose import compose_native
from cleanplate.images.container import Container, Metadata
from cleanplate.images.convert import convert
from cleanplate.images.formats import avif, bmp, heif, jpeg, png, tiff, webp
from cleanplate.images.formats.base import Draft, Encoded
from cleanplate.images.preview import make_preview, renew_exif, renew_iptc, renew_xmp
from cleanplate.settings import OutputFormat
from cleanplate.structures import BoolArray, Photo, RgbArray

_ENCODERS: dict[str, Callable[[Draft], Encoded]] = {
    "JPEG": jpeg.encode,
    "PNG": png.encode,
    "WEBP": webp.encode,
    "TIFF": tiff.encode,
    "BMP": bmp.encode,
    "HEIF": heif.encode,
    "AVIF": avif.encode,
}


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What was written. notes: what the photograph's owner should know, as sentences without a full stop."""

    notes: tuple[str, ...]
    nbytes: int
    sha256: str


def write(
    photo: Photo,
    rgb: RgbArray,
    changed: BoolArray,
    destination: Path,
    *,
    temporary_dir: Path,
    format: OutputFormat = "keep",
    quality: int | None = None,
) -> WriteReport:
    """Store `rgb` inside `changed`, and the input's own samples outside, with the input's metadata.

    rgb: (H, W, 3) upright, of the photograph's own depth. changed: (H, W) bool. temporary_dir: a folder on
    the same file system as `destination`. quality: 1 to 100 for formats that lose something; None: the
    input's own. What is stored without loss stays so in its own format.

    Raises UnwritablePhotoError; then nothing is left behind and a file under that name is as it was.
    """
    encoded = encode(photo, rgb, changed, format=format, quality=quality)
    return _store(encoded, destination, temporary_dir)


def encode(
    photo: Photo,
    rgb: RgbArray,
    changed: BoolArray,
    *,
    format: OutputFormat = "keep",
    quality: int | None = None,
) -> Encoded:
    """The bytes that `write` stores, and its notes."""
    container: Container = photo.container
    composed = compose_native(photo, rgb, changed)
    target, samples, notes = convert(container, composed.samples, format)
    icc = target.metadata.icc if samples.mode == "CMYK" else None
    preview = make_preview(samples_to_rgb(samples, icc))
    if target is not container:
        target = replace(target, metadata=_renewed(target.metadata, preview))
    draft = Draft(container=target, samples=samples, preview=preview, quality=quality)
    try:
        encoded = _ENCODERS[target.format](draft)
    except (OSError, ValueError) as exc:
        raise UnwritablePhotoError(
            photo.path, f"its result cannot be encoded as {target.format} ({exc})", "try --format png"
        ) from exc
    return Encoded(encoded.data, (*composed.notes, *notes, *encoded.notes))


def _renewed(metadata: Metadata, preview: Image.Image) -> Metadata:
    """Thumbnails made anew in metadata that goes into another format; the formats renew their own."""
    return replace(
        metadata,
        exif=renew_exif(metadata.exif, preview) if metadata.exif is not None else None,
        xmp=renew_xmp(metadata.xmp, preview) if metadata.xmp is not None else None,
        iptc=renew_iptc(metadata.iptc, preview) if metadata.iptc is not None else None,
    )


def copy_unchanged(source: Path, destination: Path, *, temporary_dir: Path) -> WriteReport:
    """Copy a file byte for byte, as atomically as `write` does.

    Raises UnwritablePhotoError.
    """
    try:
        data = source.read_bytes()
    except OSError as exc:
        raise UnwritablePhotoError(
            source, f"it cannot be copied ({exc.strerror})", "check that it is still there and may be read"
        ) from exc
    return _store(Encoded(data), destination, temporary_dir)


def _store(encoded: Encoded, destination: Path, temporary_dir: Path) -> WriteReport:
    temporary = temporary_dir / f"{uuid.uuid4().hex}.part"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary_dir.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(encoded.data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(destination)
        _sync_folder(destination.parent)
    except OSError as exc:
        raise UnwritablePhotoError(
            destination, f"it cannot be written ({exc.strerror or exc})", "check space and permissions"
        ) from exc
    finally:
        # Also after Ctrl-C. Gone already when all went well; a failure to remove must not hide the first one.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return WriteReport(encoded.notes, len(encoded.data), hashlib.sha256(encoded.data).hexdigest())


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where folders can be opened (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
