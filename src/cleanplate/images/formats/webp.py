"""WebP: lossless stays lossless, lossy is coded about as finely as it came; chunks are put back."""

from __future__ import annotations

from typing import Any

from PIL.WebPImagePlugin import WebPImageFile

from cleanplate.images import exif, preview, riff
from cleanplate.images.container import Container, Metadata, Samples
from cleanplate.images.formats.base import (
    DEFAULT_QUALITY,
    Draft,
    Encoded,
    File,
    decode_by_opencv,
    is_over_pillows_limit,
    load_picture,
    open_picture,
    picture_samples,
    samples_picture,
    save_picture,
)
from cleanplate.images.riff import RiffChunk

_EXIF_PREFIX = b"Exif\0\0"
_C2PA = b"C2PA"
#: The format cannot hold more pixels an edge.
_LONGEST_EDGE = 16383
#: libwebp's own default: twice the time saves a few per cent.
_EFFORT = 4


def decode(file: File) -> Container:
    """Take a WebP file apart. Raises UnreadablePhotoError or UnsupportedPhotoError (an animation)."""
    try:
        own = riff.read_riff(file.data)
    except ValueError as exc:
        raise file.unreadable(f"the WebP file is damaged: {exc}") from exc
    frames = riff.frames_in(own)
    if frames > 1:
        raise file.unsupported(
            f"the file is an animation of {frames} frames", "export the frame that is meant"
        )
    width, height = riff.size_of(own)
    file.check_size(width, height)
    block = (riff.data_of(own, b"EXIF") or b"").removeprefix(_EXIF_PREFIX) or None
    return Container(
        format="WEBP",
        samples=_decode_large(file) if is_over_pillows_limit(width, height) else _decode_pixels(file),
        orientation=exif.orientation(block),
        metadata=Metadata(
            exif=block,
            icc=riff.data_of(own, b"ICCP"),
            xmp=riff.data_of(own, b"XMP "),
            dpi=exif.resolution(block),
            c2pa=riff.data_of(own, _C2PA) is not None,
        ),
        details=own,
    )


def _decode_pixels(file: File) -> Samples:
    picture = open_picture(file, WebPImageFile)
    load_picture(file, picture)
    return picture_samples(picture)


def _decode_large(file: File) -> Samples:
    """More pixels than Pillow accepts without a word."""
    samples = decode_by_opencv(file.data)
    if samples is None:
        raise file.unreadable("the picture is truncated or damaged")
    return samples


def encode(draft: Draft) -> Encoded:
    """The picture as a WebP file; mode RGB or RGBA, 8 bits."""
    container, samples = draft.container, draft.samples
    own: tuple[RiffChunk, ...] = container.details if container.format == "WEBP" and container.details else ()
    other = own or write_metadata(container.metadata)
    if max(samples.array.shape[:2]) > _LONGEST_EDGE:
        raise ValueError(f"WebP pictures have at most {_LONGEST_EDGE} pixels an edge")
    encoded = riff.read_riff(save_picture(samples_picture(samples), "WEBP", **_options(own, draft.quality)))
    renewed = [_renew(chunk, draft) for chunk in other if chunk.name not in (b"ANIM", b"ANMF")]
    notes = (exif.C2PA_NOTE,) if container.metadata.c2pa and own else ()
    height, width = samples.array.shape[:2]
    return Encoded(riff.write_riff(encoded, renewed, (width, height), samples.has_alpha), notes)


def _options(own: tuple[RiffChunk, ...], quality: int | None) -> dict[str, Any]:
    if own and riff.is_lossless(own):  # whatever quality is asked for: that is of lossy pictures
        return {"lossless": True, "exact": True, "method": _EFFORT}
    frame = riff.data_of(riff.coded_in(own), b"VP8 ")
    estimated = riff.lossy_quality(frame) if frame is not None else None
    chosen = quality if quality is not None else (estimated if estimated is not None else DEFAULT_QUALITY)
    return {"quality": chosen, "alpha_quality": 100, "exact": True, "method": _EFFORT}


def _renew(chunk: RiffChunk, draft: Draft) -> RiffChunk:
    if chunk.name == b"EXIF":
        prefix = _EXIF_PREFIX if chunk.data.startswith(_EXIF_PREFIX) else b""
        return RiffChunk(chunk.name, prefix + preview.renew_exif(chunk.data[len(prefix) :], draft.preview))
    if chunk.name == b"XMP ":
        return RiffChunk(chunk.name, preview.renew_xmp(chunk.data, draft.preview))
    return chunk


def write_metadata(metadata: Metadata) -> tuple[RiffChunk, ...]:
    """Metadata that came from another format, as chunks."""
    given = ((b"ICCP", metadata.icc), (b"EXIF", metadata.exif), (b"XMP ", metadata.xmp))
    return tuple(RiffChunk(name, data) for name, data in given if data is not None)
