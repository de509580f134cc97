"""HEIC, with the extra `heic`: 8 and 10 bits, subsampling, EXIF, XMP, ICC and the video profile kept."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cleanplate.errors import MissingExtraError, UnsupportedPhotoError
from cleanplate.extras import require
from cleanplate.images import exif, hevc, preview
from cleanplate.images.container import Container, Metadata, Samples
from cleanplate.images.formats.base import DEFAULT_QUALITY, Draft, Encoded, File, holds_c2pa_box
from cleanplate.images.orientation import to_stored

_EXIF_PREFIX = b"Exif\0\0"
_MODES = ("L", "LA", "RGB", "RGBA")
#: What pillow-heif reports about a picture and takes back when it writes one.
_KEPT = (
    "icc_profile",
    "icc_profile_type",
    "nclx_profile",
    "pixel_aspect_ratio",
    "content_light_level",
    "mastering_display_colour_volume",
    "ambient_viewing_environment",
    "nominal_diffuse_white_luminance",
    "bit_depth",
)
#: The subsamplings that colours can be coded with; grey pictures have one of their own.
_COLOUR_CHROMA = (420, 422, 444)
#: pillow-heif's name of the quality that loses nothing.
_LOSSLESS = -1


@dataclass(frozen=True, eq=False)
class HeifDetails:
    """What pillow-heif reports about a picture, and whether it was coded without loss."""

    info: dict[str, Any]
    lossless: bool


def _library(path: Path) -> ModuleType:
    """pillow-heif, or an error of this photograph alone: the others need no extra."""
    try:
        return require("pillow_heif", extra="heic")
    except MissingExtraError as exc:
        raise UnsupportedPhotoError(
            path, "HEIC files need an extra", "pip install 'cleanplate[heic]'"
        ) from exc


def decode(file: File) -> Container:
    """Take a HEIC file apart.

    Raises UnreadablePhotoError or UnsupportedPhotoError (several pictures, or no pillow-heif installed).
    """
    library = _library(file.path)
    try:
        opened = library.open_heif(io.BytesIO(file.data), convert_hdr_to_8bit=False)
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError) as exc:
        raise file.unreadable(f"its header is damaged ({exc})") from exc
    file.check_size(*opened.size)
    if len(opened) > 1:
        raise file.unsupported(f"the file holds {len(opened)} pictures", "export the picture that is meant")
    picture = opened[0]
    mode, _, depth = picture.mode.partition(";")
    if mode not in _MODES:
        raise file.unsupported(f"HEIC pictures of the kind {picture.mode} cannot be stored as they came")
    try:
        data = picture.data
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError) as exc:
        raise file.unreadable(f"the picture is truncated or damaged ({exc})") from exc
    width, height = picture.size
    array = np.frombuffer(data, np.uint16 if depth else np.uint8).reshape(height, width, -1)
    pixels = np.ascontiguousarray(array[:, :, 0] if mode == "L" else array)
    details = HeifDetails(picture.info, lossless=hevc.is_lossless(file.data))
    return _container(details, Samples(mode, pixels), c2pa=holds_c2pa_box(file.data))


def _container(details: HeifDetails, upright: Samples, *, c2pa: bool) -> Container:
    info = details.info
    block = (info.get("exif") or b"").removeprefix(_EXIF_PREFIX) or None
    # The decoder turns the picture upright and leaves the tag; the encoder turns it by the tag.
    orientation = exif.orientation(block)
    return Container(
        format="HEIF",
        samples=Samples(upright.mode, to_stored(upright.array, orientation)),
        orientation=orientation,
        metadata=Metadata(
            exif=block,
            icc=info.get("icc_profile"),
            xmp=info.get("xmp"),
            dpi=exif.resolution(block),
            cicp=_cicp(info.get("nclx_profile")),
            c2pa=c2pa,
        ),
        details=details,
    )


def _cicp(nclx: dict[str, Any] | None) -> tuple[int, int] | None:
    return (int(nclx["color_primaries"]), int(nclx["transfer_characteristics"])) if nclx else None


def encode(draft: Draft) -> Encoded:
    """The picture as a HEIC file; mode L, LA, RGB or RGBA."""
    library = require("pillow_heif", extra="heic")
    details: HeifDetails = draft.container.details
    info = details.info
    metadata, samples = draft.container.metadata, draft.samples
    height, width = samples.array.shape[:2]
    mode = samples.mode + (";16" if samples.array.dtype == np.uint16 else "")
    file = library.HeifFile()
    picture = file.add_frombytes(mode, (width, height), np.ascontiguousarray(samples.array).tobytes())
    picture.info.update({name: info[name] for name in _KEPT if info.get(name) is not None})
    picture.info["metadata"] = [m for m in info.get("metadata", []) if m.get("type") not in ("Exif", "XMP")]
    block = preview.renew_exif(metadata.exif, draft.preview) if metadata.exif is not None else None
    packet = preview.renew_xmp(metadata.xmp, draft.preview) if metadata.xmp is not None else None
    target = io.BytesIO()
    quality = _LOSSLESS if details.lossless else draft.quality or DEFAULT_QUALITY
    file.save(target, quality=quality, exif=block, xmp=packet, **_subsampling(info))
    return Encoded(target.getvalue(), (*_notes(info), *((exif.C2PA_LEFT_OUT,) if metadata.c2pa else ())))


def _subsampling(info: dict[str, Any]) -> dict[str, int]:
    """pillow-heif reports it with the picture, but takes it for the whole file."""
    return {"chroma": info["chroma"]} if info.get("chroma") in _COLOUR_CHROMA else {}


def _notes(info: dict[str, Any]) -> tuple[str, ...]:
    left_out = [
        ("depth_images", "its depth map was left out"),
        ("aux", "its HDR gain map or masks were left out"),
    ]
    return tuple(note for name, note in left_out if info.get(name))
