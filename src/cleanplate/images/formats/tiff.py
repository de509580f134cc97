"""TIFF: new strips under the input's own tags; 8 and 16 bits, compression kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from cleanplate.images import exif, preview, tiffblock
from cleanplate.images.container import Container, Metadata, Samples
from cleanplate.images.formats.base import (
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
from cleanplate.images.formats.bmp import opaque_palette
from cleanplate.images.orientation import to_stored
from cleanplate.images.tiffblock import ORIENTATION, Directory, Field

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 0x0100, 0x0101, 0x0102, 0x0103, 0x0106
_STRIP_OFFSETS, _STRIP_BYTES, _PREDICTOR, _COLOUR_MAP = 0x0111, 0x0117, 0x013D, 0x0140
_SUB_DIRECTORIES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 0x014A, 0x0152, 0x0153
_SAMPLES, _PLANAR = 0x0115, 0x011C
_XMP, _IPTC, _PHOTOSHOP, _ICC, _LAYERS, _MAKER_NOTE = 0x02BC, 0x83BB, 0x8649, 0x8773, 0x935C, 0x927C

#: How the pixels are laid out: always the encoder's, never the input's.
_LAYOUT = frozenset(
    {
        *(0x00FE, 0x00FF, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, 0x010A, _STRIP_OFFSETS),
        *(_SAMPLES, 0x0116, _STRIP_BYTES, 0x0118, 0x0119, _PLANAR, 0x0124, 0x0125, _PREDICTOR, _COLOUR_MAP),
        *(0x0142, 0x0143, 0x0144, 0x0145, _SUB_DIRECTORIES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, 0x015B),
        *(0x0200, 0x0201, 0x0202, 0x0203, 0x0205, 0x0207, 0x0208, 0x0209, 0x0211, 0x0212, 0x0213, 0x0214),
    }
)
#: Blocks with a byte order of their own.
_OPAQUE = frozenset({_XMP, _IPTC, _PHOTOSHOP, _ICC, _LAYERS, _MAKER_NOTE})
#: What of the first directory belongs into an EXIF block when the format changes.
_EXIF_TAGS = frozenset(
    {
        0x010E,
        0x010F,
        0x0110,
        ORIENTATION,
        0x011A,
        0x011B,
        0x0128,
        0x0131,
        0x0132,
        0x013B,
        0x8298,
        *tiffblock.POINTERS,
    }
)

_NONE, _LZW, _JPEG, _DEFLATE, _OLD_DEFLATE, _PACK_BITS = 1, 5, 7, 8, 32946, 32773
#: LZMA and Zstandard, which OpenCV's own TIFF library is built without.
_UNKNOWN_TO_OPENCV = frozenset({34925, 50000})
#: The compressions that change pixels: JPEG as it was first put into TIFF files, and as it is now.
JPEG_COMPRESSIONS = frozenset({6, _JPEG})
#: Pillow's names of the compressions that it writes.
_PILLOW_NAMES = {
    _NONE: "raw",
    3: "group3",
    4: "group4",
    _LZW: "tiff_lzw",
    _JPEG: "jpeg",
    _DEFLATE: "tiff_adobe_deflate",
    _OLD_DEFLATE: "tiff_adobe_deflate",
    _PACK_BITS: "packbits",
}
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
_INVERTED_GREY, _GREY, _RGB = 0, 1, 2
#: Channels of each kind of colour (grey, RGB, palette, mask, inks, YCbCr).
_COLOUR_CHANNELS = {_INVERTED_GREY: 1, _GREY: 1, _RGB: 3, 3: 1, 4: 1, 5: 4, 6: 3}
#: What a channel beside the colours is.
UNSPECIFIED, PREMULTIPLIED, _STRAIGHT_ALPHA = 0, 1, 2
_FLOATING_POINT = 3
_C2PA = 0xCD41
_INTERLEAVE = "store it with interleaved channels (chunky, not planar) with another program first"


@dataclass(frozen=True, eq=False)
class TiffDetails:
    """The input's tags without those of the pixels, and how the pixels were compressed.

    extra_samples: what RGBA samples' fourth channel is, `UNSPECIFIED`, `PREMULTIPLIED` or straight alpha.
    """

    directory: Directory
    compression: int
    predictor: int
    extra_samples: int
    notes: tuple[str, ...]


def decode(file: File) -> Container:
    """Take a TIFF file apart. Raises UnreadablePhotoError or UnsupportedPhotoError (pages, rare depths)."""
    try:
        first = tiffblock.read_directory(file.data, opaque=_OPAQUE)
        pages = _count_pages(file.data, first)
    except ValueError as exc:
        raise file.unreadable(f"the TIFF file is damaged: {exc}") from exc
    file.check_size(first.number(_WIDTH) or 0, first.number(_HEIGHT) or 0)
    if pages > 1:
        raise file.unsupported(f"the file has {pages} pages", "export the page that is meant")
    if first.number(_SAMPLE_FORMAT) == _FLOATING_POINT:
        raise file.unsupported("its samples are floating point numbers", "export it with 16 bits a sample")
    samples = _decode_deep(file, first) if _is_deep(first) else _decode_bytes(file, first)
    return Container(
        format="TIFF",
        samples=samples,
        orientation=_orientation(first),
        metadata=_metadata(first),
        details=_details(first),
    )


def _orientation(first: Directory) -> int:
    found = first.number(ORIENTATION) or 1
    return found if found in range(1, 9) else 1


def _count_pages(data: bytes, first: Directory) -> int:
    pages, seen, following = 1, set[int](), first.next
    while following and following not in seen:
        seen.add(following)
        pages += 1
        try:
            following = tiffblock.read_directory(data, following).next
        except ValueError:  # a dangling pointer after the last page
            return pages - 1
    return pages


def _is_deep(first: Directory) -> bool:
    bits = first.fields.get(_BITS)
    return bits is not None and set(bits.numbers()) == {16}


def _decode_bytes(file: File, first: Directory) -> Samples:
    _check_channels(file, first)
    extra = first.fields.get(_EXTRA_SAMPLES)
    if extra is not None and first.number(_EXTRA_SAMPLES) == UNSPECIFIED:
        # Pillow would leave the channel out; its values are the same under any name.
        file = replace(file, data=tiffblock.with_short(file.data, extra, _STRAIGHT_ALPHA))
    picture = open_picture(file, TiffImageFile)
    if is_over_pillows_limit(*picture.size) and picture.mode in ("L", "RGB", "RGBA"):
        return _decode_large(file, extra)
    if picture.mode not in _MODES:
        raise file.unsupported(f"TIFF pictures of the kind {picture.mode} cannot be stored as they came")
    load_picture(file, picture)
    samples = _palette_samples(picture) if picture.mode == "P" else picture_samples(picture)
    # Pillow hands TIFF pictures out upright.
    return replace(samples, array=to_stored(samples.array, _orientation(first)))


def _check_channels(file: File, first: Directory) -> None:
    """Raises UnsupportedPhotoError for a channel beside the colours that would be lost or misread."""
    colours, channels = first.number(_PHOTOMETRIC, -1) or 0, first.number(_SAMPLES) or 1
    kind = first.number(_EXTRA_SAMPLES, _STRAIGHT_ALPHA)
    beside = channels - _COLOUR_CHANNELS.get(colours, channels)
    if beside <= 0:
        return
    if beside > 1 or not (colours == _RGB or (colours == _GREY and kind != UNSPECIFIED)):
        raise file.unsupported(
            "the TIFF file has channels beside its colours that cannot be stored as they came",
            "store it without them (alpha channels, spot colours) with another program first",
        )
    if first.number(_PLANAR) == 2 and (colours == _GREY or kind == PREMULTIPLIED):
        raise file.unsupported("the TIFF file's transparency lies in a plane of its own", _INTERLEAVE)


def _palette_samples(picture: Image.Image) -> Samples:
    indices = np.array(picture)
    colours = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    return Samples("P", indices, opaque_palette(colours, int(indices.max()) + 1))


def _decode_deep(file: File, first: Directory) -> Samples:
    """16 bits a sample: OpenCV keeps them, and does not invert. It would turn them, flag or no flag."""
    grey = first.number(_PHOTOMETRIC) in (0, 1)
    channels = len(first.fields[_BITS].numbers())
    plain = first.number(_SAMPLE_FORMAT, 1) == 1 and first.number(_PHOTOMETRIC) in (0, 1, 2)
    if not plain or channels not in ((1,) if grey else (3, 4)):
        raise file.unsupported(
            "TIFF pictures of this kind with 16 bits a sample cannot be stored as they came"
        )
    if channels > 1 and first.number(_PLANAR) == 2:  # OpenCV takes one plane's values for all channels
        raise file.unsupported("the TIFF file has 16 bits a sample and a plane for each channel", _INTERLEAVE)
    samples = decode_by_opencv(exif.upright(file.data))
    if samples is None and first.number(_COMPRESSION) in _UNKNOWN_TO_OPENCV:
        raise file.unsupported(
            "the TIFF file has 16 bits a sample, compressed by Zstandard or LZMA",
            "store it with deflate or LZW",
        )
    if samples is None or samples.array.dtype != np.uint16:
        raise file.unreadable("the picture is truncated or damaged")
    if first.number(_PHOTOMETRIC) == _INVERTED_GREY:
        return Samples("L", 65535 - samples.array)
    return samples


def _decode_large(file: File, extra: Field | None) -> Samples:
    """8 bits a sample, more pixels than Pillow accepts without a word."""
    data = exif.upright(file.data)
    if extra is not None:
        # OpenCV multiplies straight alpha in, and takes what is multiplied already as it is.
        data = tiffblock.with_short(data, extra, PREMULTIPLIED)
    samples = decode_by_opencv(data)
    if samples is None:
        raise file.unreadable("the picture is truncated or damaged, or of a kind not read at this size")
    if extra is not None and samples.mode == "RGBA" and extra.numbers() == [PREMULTIPLIED]:
        return Samples("RGBA", straighten(samples.array))
    return samples


def straighten(array: NDArray[Any]) -> NDArray[Any]:
    """(H, W, 4) of premultiplied colours and their alpha, uint8 or uint16, with straight colours.

    >>> straighten(np.array([[[50, 25, 0, 50], [9, 9, 9, 0]]], np.uint8)).tolist()
    [[[255, 128, 0, 50], [0, 0, 0, 0]]]
    """
    most = np.iinfo(array.dtype).max
    straight = array.copy()
    for row in straight:  # one at a time: they need a wider type
        wide = row.astype(np.uint32)
        alpha = wide[:, 3:]
        colours = (wide[:, :3] * most + alpha // 2) // np.maximum(alpha, 1)
        row[:, :3] = np.where(alpha > 0, colours.clip(0, most), 0)
    return straight


def _metadata(first: Directory) -> Metadata:
    block = tiffblock.write_block(
        Directory({tag: value for tag, value in first.fields.items() if tag in _EXIF_TAGS}, first.children)
    )
    return Metadata(
        exif=block,
        icc=_raw(first, _ICC),
        xmp=_raw(first, _XMP),
        iptc=_raw(first, _IPTC),
        dpi=exif.resolution(block),
        c2pa=_C2PA in first.fields,
    )


def _raw(first: Directory, tag: int) -> bytes | None:
    found = first.fields.get(tag)
    return found.raw if found is not None and found.raw else None


def _details(first: Directory) -> TiffDetails:
    notes = []
    if _SUB_DIRECTORIES in first.fields:
        notes.append("smaller versions inside the TIFF file were left out: they show the mark")
    if _C2PA in first.fields:
        notes.append(exif.C2PA_NOTE)
    if _LAYERS in first.fields:
        notes.append("Photoshop's layers were left out: they show the mark")
    extra = first.number(_EXTRA_SAMPLES, _STRAIGHT_ALPHA) or UNSPECIFIED
    kept_kinds = (UNSPECIFIED, PREMULTIPLIED) if _is_deep(first) else (UNSPECIFIED,)
    if extra == PREMULTIPLIED and not _is_deep(first):
        notes.append("premultiplied transparency became straight transparency")
    kept = {tag: value for tag, value in first.fields.items() if tag not in _LAYOUT and tag != _LAYERS}
    return TiffDetails(
        directory=Directory(kept, first.children),
        compression=first.number(_COMPRESSION, _NONE) or _NONE,
        predictor=first.number(_PREDICTOR, 1) or 1,
        extra_samples=extra if extra in kept_kinds else _STRAIGHT_ALPHA,
        notes=tuple(notes),
    )


def encode(draft: Draft) -> Encoded:
    """The picture as a TIFF file with the input's tags; any mode."""
    details: TiffDetails = draft.container.details
    deep = draft.samples.array.dtype == np.uint16
    encoded, note = _encode_deep(draft, details) if deep else _encode_bytes(draft, details)
    written = tiffblock.read_directory(encoded)
    layout = {tag: value for tag, value in written.fields.items() if tag in _LAYOUT}
    if draft.samples.mode == "RGBA":
        # OpenCV writes the fourth channel and does not say what it is; Pillow says that it is straight alpha.
        layout[_EXTRA_SAMPLES] = Field(tiffblock.SHORT, 1, details.extra_samples.to_bytes(2, "little"))
    strips = _strips(encoded, written)
    merged = Directory(
        {**_renewed(details.directory, draft), **layout}, _renewed_children(details.directory, draft)
    )
    return Encoded(tiffblock.write_block(merged, strips=strips), (*details.notes, *note))


def _strips(encoded: bytes, written: Directory) -> tuple[bytes, ...]:
    offsets = written.fields[_STRIP_OFFSETS].numbers()
    lengths = written.fields[_STRIP_BYTES].numbers()
    return tuple(encoded[at : at + length] for at, length in zip(offsets, lengths, strict=True))


def _encode_bytes(draft: Draft, details: TiffDetails) -> tuple[bytes, tuple[str, ...]]:
    compression, note = _fitting_compression(details.compression, draft.samples.mode)
    options: dict[str, Any] = {"compression": _PILLOW_NAMES[compression]}
    if compression == _JPEG:
        options["quality"] = draft.quality or 95
    if details.predictor == 2 and compression in (_LZW, _DEFLATE, _OLD_DEFLATE) and draft.samples.mode != "1":
        options["tiffinfo"] = {_PREDICTOR: 2}
    return save_picture(samples_picture(draft.samples), "TIFF", **options), note


def _fitting_compression(compression: int, mode: str) -> tuple[int, tuple[str, ...]]:
    known = compression in _PILLOW_NAMES
    fits = (compression not in (3, 4) or mode == "1") and (
        compression != _JPEG or mode in ("L", "RGB", "CMYK")
    )
    if known and fits:
        return compression, ()
    return _DEFLATE, _deflate_note(compression)


def _deflate_note(compression: int) -> tuple[str, ...]:
    return (f"TIFF compression {compression} became deflate, which loses nothing",)


def _encode_deep(draft: Draft, details: TiffDetails) -> tuple[bytes, tuple[str, ...]]:
    array = draft.samples.array
    if array.ndim == 3:
        array = np.ascontiguousarray(array[:, :, [2, 1, 0, 3][: array.shape[2]]])
    compression = details.compression
    note: tuple[str, ...] = ()
    if compression not in (_NONE, _LZW, _DEFLATE, _OLD_DEFLATE):
        compression, note = _DEFLATE, _deflate_note(compression)
    written, data = cv2.imencode(".tiff", array, [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    if not written:
        raise OSError("the TIFF encoder failed")
    return data.tobytes(), note


def _renewed(directory: Directory, draft: Draft) -> dict[int, Field]:
    fields = dict(directory.fields)
    renewers = {
        _XMP: preview.renew_xmp,
        _IPTC: preview.renew_iptc,
        _PHOTOSHOP: preview.renew_photoshop,
        _MAKER_NOTE: preview.renew_previews,
    }
    for tag, renew in renewers.items():
        if tag in fields:
            raw = renew(fields[tag].raw, draft.preview)
            count = fields[tag].count if len(raw) == len(fields[tag].raw) else len(raw)
            kind = fields[tag].type if count == fields[tag].count else tiffblock.UNDEFINED
            fields[tag] = Field(kind, count, raw)
    return fields


def _renewed_children(directory: Directory, draft: Draft) -> dict[int, Directory]:
    return {
        tag: Directory(_renewed(child, draft), _renewed_children(child, draft))
        for tag, child in directory.children.items()
    }
