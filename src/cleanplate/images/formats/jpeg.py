"""JPEG: the input's own tables and subsampling, its metadata segments put back byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cleanplate.images import exif, iptc, multipicture, preview, segments, xmpparts
from cleanplate.images.container import Container, Metadata
from cleanplate.images.formats.base import (
    DEFAULT_QUALITY,
    Draft,
    Encoded,
    File,
    load_picture,
    open_picture,
    picture_samples,
    samples_picture,
    save_picture,
)
from cleanplate.images.segments import (
    APP0,
    APP1,
    APP2,
    APP11,
    APP13,
    APP14,
    COM,
    EXIF,
    XMP,
    Frame,
    JpegFile,
    Segment,
)

#: (horizontal, vertical) factors of the first component that Pillow's encoder offers, and its names for them.
_OFFERED = {(2, 2): "4:2:0", (2, 1): "4:2:2", (1, 1): "4:4:4"}
_FINEST = "4:4:4"
_NAMES = {**_OFFERED, (4, 1): "4:1:1", (1, 2): "4:4:0", (4, 2): "4:1:0"}
#: Ways of coding that Pillow's decoder does not know, by their frame's marker.
_UNKNOWN_KINDS = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless JPEG"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical JPEG"),
    segments.JPEG_LS: "JPEG-LS",
}
_UNUSUAL = "of an unusual kind"
_PREVIEWS_NOTE = "the preview after the picture was left out: it shows the mark"


@dataclass(frozen=True, eq=False)
class JpegDetails:
    """What the encoder is told. metadata: APPn and comments.

    tables: the file's quantisation tables, one a component; the last one goes on. halved: whether its colours
    are stored at half the resolution or less, across and down. subsampling: what they are stored with again.
    """

    metadata: tuple[Segment, ...]
    tables: tuple[tuple[int, ...], ...]
    halved: tuple[bool, bool]
    subsampling: str
    is_ycck: bool
    progressive: bool
    keeps_rgb: bool
    trailer: bytes
    notes: tuple[str, ...]


def decode(file: File) -> Container:
    """Take a JPEG file apart. Raises UnreadablePhotoError or UnsupportedPhotoError."""
    try:
        parts = segments.read_segments(file.data)
    except ValueError as exc:
        raise file.unreadable(f"the JPEG file is damaged: {exc}") from exc
    _check_kind(file, parts)
    parts, notes = _without_previews(file, parts)
    picture = open_picture(file, JpegImageFile)
    load_picture(file, picture)
    metadata = read_metadata(parts, picture.info)
    return Container(
        format="JPEG",
        samples=picture_samples(picture),
        orientation=exif.orientation(metadata.exif),
        metadata=metadata,
        details=_details(parts, picture, notes),
    )


def _check_kind(file: File, parts: JpegFile) -> None:
    file.check_size(parts.frame.width, parts.frame.height)
    kind = next((_UNKNOWN_KINDS[s.marker] for s in parts.head if s.marker in _UNKNOWN_KINDS), None)
    if kind is not None:
        raise file.unsupported(
            f"the file is coded as {kind}, which cannot be decoded", "export it as a plain JPEG, PNG or TIFF"
        )
    if parts.frame.depth != 8:
        raise file.unsupported(f"the JPEG file has {parts.frame.depth} bits a sample; only 8 can be decoded")
    if len(parts.frame.components) not in (1, 3, 4):
        raise file.unsupported(f"the JPEG file has {len(parts.frame.components)} components")


def _without_previews(file: File, parts: JpegFile) -> tuple[JpegFile, tuple[str, ...]]:
    alone = multipicture.without_previews(file.data, parts)
    if alone is None:
        pictures = multipicture.count_pictures(parts)
        raise file.unsupported(
            f"the file holds {pictures} pictures (a gain map, a depth map or a second view)",
            "export it as a plain JPEG first",
        )
    return alone, () if alone is parts else (_PREVIEWS_NOTE,)


def read_metadata(parts: JpegFile, info: dict[Any, Any]) -> Metadata:
    """The metadata blocks without their segments. info: Pillow's, for the resolution."""
    head = parts.head
    resources = segments.joined(head, APP13, segments.PHOTOSHOP)
    return Metadata(
        exif=segments.joined(head, APP1, EXIF) or None,
        icc=segments.read_icc(head),
        xmp=segments.joined(head, APP1, XMP) or None,
        iptc=iptc.records_in_resources(resources),
        dpi=exif.dpi_in(info),
        comments=tuple(s.payload.decode("utf-8", "replace") for s in head if s.marker == COM),
        c2pa=_has_c2pa(head),
        only_here=_only_in_jpeg(parts),
    )


def _details(parts: JpegFile, picture: Image.Image, notes: tuple[str, ...]) -> JpegDetails:
    quantisation: dict[int, list[int]] = picture.quantization  # type: ignore[attr-defined]  # JpegImageFile has it
    tables = [tuple(quantisation[component[3]]) for component in parts.frame.components]
    while len(tables) > 1 and tables[-1] == tables[-2]:
        tables.pop()
    across, down = _steps(parts.frame) or (1, 1)
    subsampling, changed = offered_subsampling(parts.frame)
    notes = (*changed, *notes)
    if parts.trailer.strip(b"\0"):
        notes = (
            *notes,
            "data after the picture (such as a motion photo's film) were kept and may show the mark",
        )
    is_ycck = len(parts.frame.components) == 4 and parts.adobe_transform == 2
    if is_ycck:
        notes = (*notes, "stored as CMYK instead of YCCK")
    return JpegDetails(
        metadata=parts.metadata,
        tables=tuple(tables),
        halved=(across >= 2, down >= 2),
        subsampling=subsampling,
        is_ycck=is_ycck,
        progressive=parts.frame.progressive,
        keeps_rgb=_is_stored_as_rgb(parts),
        trailer=parts.trailer,
        notes=notes,
    )


def offered_subsampling(frame: Frame) -> tuple[str, tuple[str, ...]]:
    """The frame's subsampling where the encoder offers it, else 4:4:4 (any other loses colour), and a note.

    >>> offered_subsampling(Frame(8, 8, 8, False, ((1, 4, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1))))
    ('4:4:4', ('colour subsampling 4:1:1 became 4:4:4, which loses no colour',))
    """
    steps = _steps(frame)
    given = _NAMES.get(steps, _UNUSUAL) if steps is not None else _UNUSUAL
    chosen = given if given in _OFFERED.values() else _FINEST
    return chosen, () if given == chosen else (
        f"colour subsampling {given} became {chosen}, which loses no colour",
    )


def _steps(frame: Frame) -> tuple[int, int] | None:
    """How many pixels across and down share a colour; None where the components' factors are unusual."""
    if len(frame.components) != 3:
        return 1, 1
    light, *colours = [(component[1], component[2]) for component in frame.components]
    across, down = colours[0]
    # Only where both colour components are coarser than the light can anything but 4:4:4 be meant.
    if colours[0] != colours[1] or not across or not down or light[0] % across or light[1] % down:
        return None
    return light[0] // across, light[1] // down


def _is_stored_as_rgb(parts: JpegFile) -> bool:
    """As the decoder decides: a JFIF segment says YCbCr, then Adobe's says, then the components' names."""
    if len(parts.frame.components) != 3:
        return False
    if any(s.marker == APP0 and s.payload.startswith(b"JFIF") for s in parts.head):
        return False
    if parts.adobe_transform is not None:
        return parts.adobe_transform == 0
    return bytes(component[0] for component in parts.frame.components) == b"RGB"


def encode(draft: Draft) -> Encoded:
    """The picture as a JPEG file; mode L, RGB or CMYK."""
    details = draft.container.details
    own = details if isinstance(details, JpegDetails) else None
    picture = samples_picture(draft.samples)
    encoded, encoder_notes = _encode_pixels(picture, own, draft)
    parts = segments.read_segments(encoded)
    if own is None:
        written, notes = write_metadata(draft.container.metadata)
        metadata = [*parts.metadata, *written]
    else:
        metadata = _merge_adobe(own.metadata, parts.metadata)
        notes = (*own.notes, exif.C2PA_NOTE) if draft.container.metadata.c2pa else own.notes
    renewed, lost = _renewed(metadata, draft.preview)
    tables = [segment for segment in parts.head if not segment.is_metadata]
    head = b"\xff\xd8" + b"".join(segment.to_bytes() for segment in (*renewed, *tables))
    return Encoded(
        head + encoded[parts.scan_at :] + (own.trailer if own else b""), (*notes, *lost, *encoder_notes)
    )


def _encode_pixels(
    picture: Image.Image, own: JpegDetails | None, draft: Draft
) -> tuple[bytes, tuple[str, ...]]:
    quality = draft.quality
    options: dict[str, Any] = {"optimize": True, "comment": b""}
    if own is None and draft.container.metadata.dpi is not None:
        options["dpi"] = draft.container.metadata.dpi
    if own is not None and own.progressive:
        options["progressive"] = True
    if own is not None and picture.mode == "RGB":
        options |= {"subsampling": own.subsampling, "keep_rgb": own.keeps_rgb}
    if own is not None and quality is None:
        options["qtables"] = [list(table) for table in _encoder_tables(own)]
    else:
        options["quality"] = quality or DEFAULT_QUALITY
        if own is None and (quality or DEFAULT_QUALITY) >= 90:
            options.setdefault("subsampling", _FINEST)
    try:
        return save_picture(picture, "JPEG", **options), ()
    except OSError:
        # Progressive files and optimised tables need the whole file in one buffer, and fine tables on a noisy
        # picture can exceed the one that Pillow makes.
        was_progressive = options.pop("progressive", False)
        notes = ("stored as baseline JPEG: too detailed for the progressive encoder",) * was_progressive
        return save_picture(picture, "JPEG", **{**options, "optimize": False}), notes


def _encoder_tables(own: JpegDetails) -> tuple[tuple[int, ...], ...]:
    """The file's tables; where inks take the place of light and colours, all have the light's, finer one."""
    return (*own.tables[:1] * 3, own.tables[-1]) if own.is_ycck else own.tables


def _merge_adobe(own: tuple[Segment, ...], encoder: tuple[Segment, ...]) -> list[Segment]:
    """The input's segments, but Adobe's from the encoder where it wrote one: it says how pixels are coded."""
    written = [s for s in encoder if s.marker == APP14 and s.payload.startswith(b"Adobe")]
    if not written:
        return list(own)
    return [s for s in own if not (s.marker == APP14 and s.payload.startswith(b"Adobe"))] + written


def _renewed(metadata: Sequence[Segment], small: Image.Image) -> tuple[list[Segment], tuple[str, ...]]:
    """The segments with every thumbnail made anew, and notes."""
    renewed, notes = xmpparts.renew_parts([_renew(segment, small) for segment in metadata], small)
    blocks = (
        (APP1, EXIF, preview.renew_exif),
        (APP1, XMP, preview.renew_xmp),
        (APP13, segments.PHOTOSHOP, preview.renew_photoshop),
    )
    for marker, prefix, renew in blocks:
        whole = segments.joined(renewed, marker, prefix)
        renewed = segments.with_joined(renewed, marker, prefix, renew(whole, small))
    return renewed, notes


def _renew(segment: Segment, small: Image.Image) -> Segment:
    if segment.marker == APP0 and segment.payload.startswith(b"JFIF\0"):
        return replace(segment, payload=preview.renew_jfif(segment.payload, small))
    if segment.marker in (APP0, APP2):
        return replace(segment, payload=preview.renew_previews(segment.payload, small))
    return segment


def _has_c2pa(head: tuple[Segment, ...]) -> bool:
    return any(s.marker == APP11 and b"jumb" in s.payload[:64] and b"c2pa" in s.payload for s in head)


def _only_in_jpeg(parts: JpegFile) -> tuple[str, ...]:
    extended = any(s.payload.startswith(segments.EXTENDED_XMP) for s in parts.metadata)
    trailer = bool(parts.trailer.strip(b"\0"))
    return ("extended XMP",) * extended + ("data after the picture",) * trailer


def write_metadata(metadata: Metadata) -> tuple[list[Segment], tuple[str, ...]]:
    """Metadata that came from another format, as segments, and notes on what does not fit into one."""
    notes: list[str] = []
    written: list[Segment] = []
    block = metadata.exif
    if block is not None and len(block) + len(EXIF) > segments.MOST_BYTES:
        notes.append("the camera maker's private EXIF data were left out: too large for JPEG")
        block = exif.without_maker_note(block)
    resources = iptc.resources_of_records(metadata.iptc) if metadata.iptc is not None else None
    wanted = (
        ("EXIF", APP1, EXIF, block),
        ("XMP", APP1, XMP, metadata.xmp),
        ("IPTC", APP13, segments.PHOTOSHOP, resources),
    )
    for name, marker, prefix, data in wanted:
        if data is not None and len(prefix) + len(data) > segments.MOST_BYTES:
            notes.append(f"{name} data were left out: too large for JPEG")
        elif data is not None:
            written.append(Segment(marker, prefix + data))
    if metadata.icc is not None:
        written += segments.write_icc(metadata.icc)
    texts = [*metadata.comments, *(f"{keyword}: {text}" for keyword, text in metadata.texts)]
    written += [Segment(COM, text.encode()[: segments.MOST_BYTES]) for text in texts]
    return written, tuple(notes)
