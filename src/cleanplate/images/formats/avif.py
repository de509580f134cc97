"""AVIF, where the installed Pillow can read it: 8 bits, subsampling, colours, EXIF and XMP kept."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.AvifImagePlugin import AvifImageFile

from cleanplate.images import cicp, exif, preview
from cleanplate.images.container import Container, Metadata, Samples
from cleanplate.images.formats.base import (
    DEFAULT_QUALITY,
    Draft,
    Encoded,
    File,
    holds_c2pa_box,
    load_picture,
    open_picture,
    picture_samples,
    samples_picture,
    save_picture,
)


@dataclass(frozen=True, slots=True)
class AvifDetails:
    """How the colours were coded. subsampling: as Pillow names it."""

    subsampling: str


def decode(file: File) -> Container:
    """Take an AVIF file apart. Raises UnreadablePhotoError or UnsupportedPhotoError (frames, over 8 bits)."""
    deep, subsampling = coding_of(file.data)
    if deep:
        raise file.unsupported(
            "the AVIF file has more than 8 bits a sample", "convert it to a 16-bit PNG first"
        )
    picture = open_picture(file, AvifImageFile)
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise file.unsupported(
            f"the file is an animation of {frames} frames", "export the frame that is meant"
        )
    load_picture(file, picture)
    block = picture.info.get("exif", b"").removeprefix(b"Exif\0\0") or None
    samples = picture_samples(picture)
    if subsampling == "4:0:0" and samples.mode == "RGB":
        samples = Samples("L", samples.array[:, :, 0].copy())
    return Container(
        format="AVIF",
        samples=samples,
        orientation=exif.orientation(block),
        metadata=Metadata(
            exif=block,
            icc=picture.info.get("icc_profile"),
            xmp=picture.info.get("xmp"),
            dpi=exif.resolution(block),
            cicp=cicp.read_box(file.data),
            c2pa=holds_c2pa_box(file.data),
        ),
        details=AvifDetails(subsampling),
    )


def coding_of(data: bytes) -> tuple[bool, str]:
    """Whether a file has more than 8 bits a sample, and its subsampling, from the first AV1 configuration.

    >>> coding_of(b"....av1C" + bytes([0x81, 0x00, 0x0C, 0x00]))
    (False, '4:2:0')
    """
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0x0C
    deep, grey, across, down = flags & 0x40, flags & 0x10, flags & 0x08, flags & 0x04
    if grey:
        return bool(deep), "4:0:0"
    return bool(deep), "4:2:0" if across and down else ("4:2:2" if across else "4:4:4")


def encode(draft: Draft) -> Encoded:
    """The picture as an AVIF file; mode L, RGB or RGBA."""
    metadata = draft.container.metadata
    options = {"icc_profile": metadata.icc}
    if metadata.xmp is not None:
        options["xmp"] = preview.renew_xmp(metadata.xmp, draft.preview)
    if metadata.exif is not None:
        options["exif"] = b"Exif\0\0" + preview.renew_exif(metadata.exif, draft.preview)
    data = save_picture(
        samples_picture(draft.samples),
        "AVIF",
        quality=draft.quality or DEFAULT_QUALITY,
        subsampling=draft.container.details.subsampling,
        **{name: value for name, value in options.items() if value is not None},
    )
    if metadata.cicp is not None:  # Pillow writes sRGB's, whatever the profile says
        data = cicp.with_box(data, metadata.cicp)
    return Encoded(data, (exif.C2PA_LEFT_OUT,) if metadata.c2pa else ())
