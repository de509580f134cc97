"""What `--format` does: samples and metadata into what another format can hold, with a note for each loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanplate.images import cicp, exif, iptc, xmp
from cleanplate.images.colour import samples_to_rgb
from cleanplate.images.container import Container, Metadata, Samples
from cleanplate.images.formats import tiff
from cleanplate.images.orientation import to_upright
from cleanplate.settings import OutputFormat

_TARGETS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}
_MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
}


def has_format(container: Container, format: OutputFormat) -> bool:
    """Whether a picture is in a format already, so that it can stay the file that it is."""
    return format == "keep" or container.format == _TARGETS[format]


def convert(
    container: Container, samples: Samples, format: OutputFormat
) -> tuple[Container, Samples, tuple[str, ...]]:
    """The container and samples to encode for `format`, and notes. With the same format, what was given."""
    if format == "keep" or has_format(container, format):
        return container, samples, ()
    target = _TARGETS[format]
    notes: list[str] = []
    metadata = container.metadata
    keyed = container.colour_key is not None and target != "PNG"
    fitting = _with_key_as_alpha(samples, container.colour_key) if keyed else samples
    if isinstance(container.details, tiff.TiffDetails):
        fitting = _with_plain_alpha(fitting, container.details.extra_samples, notes)
    if fitting.array.dtype == np.uint16 and target != "PNG":
        fitting = Samples(fitting.mode, _to_bytes(fitting.array))
        notes.append(f"16 bits a sample became 8: {target} holds no more")
    if fitting.mode not in _MODES[target]:
        fitting, metadata = _to_colour(fitting, metadata, target, notes)
    metadata = _with_colours(_for_target(metadata, target, notes), fitting.mode, target, notes)
    key = container.colour_key if target == "PNG" else None
    # Many programs know EXIF's orientation in JPEG only: what changes its format is stored upright.
    upright = replace(fitting, array=to_upright(fitting.array, container.orientation))
    built = Container(format=target, samples=upright, metadata=metadata, colour_key=key)
    return built, upright, tuple(notes)


def _to_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return ((array.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def _with_key_as_alpha(samples: Samples, key: tuple[int, ...] | None) -> Samples:
    """The colour that means transparent as an alpha channel."""
    if key is None or samples.mode not in ("1", "L", "RGB"):
        return samples
    array = samples.array.reshape(*samples.array.shape[:2], -1)
    most = np.iinfo(array.dtype).max
    alpha = np.where((array == np.array(key)).all(axis=2), 0, most).astype(array.dtype)
    return Samples("RGBA" if samples.mode == "RGB" else "LA", np.dstack([array, alpha]))


def _with_plain_alpha(samples: Samples, extra_samples: int, notes: list[str]) -> Samples:
    """The fourth channel of a TIFF file as straight alpha, the only kind elsewhere; left out if none."""
    if samples.mode != "RGBA":
        return samples
    if extra_samples == tiff.PREMULTIPLIED:
        notes.append("premultiplied transparency became straight transparency")
        return Samples("RGBA", tiff.straighten(samples.array))
    if extra_samples == tiff.UNSPECIFIED:
        notes.append("a fourth channel that the TIFF file does not explain was left out")
        return Samples("RGB", np.ascontiguousarray(samples.array[:, :, :3]))
    return samples


def _to_colour(
    samples: Samples, metadata: Metadata, target: str, notes: list[str]
) -> tuple[Samples, Metadata]:
    """RGB, RGBA or grey samples for a format that lacks the mode."""
    if samples.mode == "CMYK":
        notes.append("CMYK became RGB (sRGB), without its CMYK profile")
        return Samples("RGB", samples_to_rgb(samples, metadata.icc)), replace(metadata, icc=None)
    if samples.mode == "1" and target == "JPEG":
        return Samples("L", samples.array), metadata
    if samples.mode in ("1", "L", "LA") and metadata.icc is not None and target == "WEBP":
        notes.append("the grey colour profile was left out: WebP pictures are RGB")
        metadata = replace(metadata, icc=None)
    rgb = samples_to_rgb(samples)
    if not samples.has_alpha:
        return Samples("RGB", rgb), metadata
    alpha = samples.palette[samples.array, 3] if samples.palette is not None else samples.array[:, :, -1]
    if target == "JPEG":
        notes.append("transparent parts were laid on white: JPEG has no transparency")
        opacity = alpha[:, :, None].astype(np.uint32)
        laid = ((rgb * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
        return (Samples("L", laid[:, :, 0]) if samples.mode == "LA" else Samples("RGB", laid)), metadata
    return Samples("RGBA", np.dstack([rgb, alpha])), metadata


def _with_colours(metadata: Metadata, mode: str, target: str, notes: list[str]) -> Metadata:
    """Colours that were described by numbers: by a profile in another format, or a note that they are not."""
    described = metadata.cicp
    if described is not None and mode in ("1", "L", "LA"):
        described = (1, described[1])  # grey is grey under all primaries
    if described is None or metadata.icc is not None or cicp.is_usual(described):
        return replace(metadata, cicp=None)
    profile = cicp.make_profile(described)
    if profile is not None:
        return replace(metadata, cicp=None, icc=profile)
    if target == "PNG" and max(described) < 256:
        notes.append("its colours are described in a way (cICP) that not every program knows")
        return metadata
    notes.append(f"its colours will look different: {target} cannot say what they were (HDR, for example)")
    return replace(metadata, cicp=None)


def _for_target(metadata: Metadata, target: str, notes: list[str]) -> Metadata:
    """Metadata as the target can hold it; authorship goes into EXIF where EXIF lacks it."""
    named = {key.lower(): value for key, value in metadata.texts}
    found = {**named, **xmp.authorship(metadata.xmp), **iptc.authorship(metadata.iptc)}
    texts = {
        exif.ARTIST: found.get("author", ""),
        exif.COPYRIGHT: found.get("copyright", ""),
        exif.DESCRIPTION: found.get("description", ""),
    }
    if target == "WEBP" and metadata.iptc is not None:
        notes.append("WebP holds no IPTC: author, copyright and caption were put into EXIF")
    if target == "WEBP" and (metadata.comments or set(named) - {"author", "copyright", "description"}):
        notes.append("comments were left out: WebP holds none")
    if metadata.c2pa:
        notes.append(exif.C2PA_LEFT_OUT)
    if metadata.only_here:
        notes.append(f"left out, as {target} has no place for it: {', '.join(metadata.only_here)}")
    block = exif.completed(metadata.exif, texts, metadata.dpi if target == "WEBP" else None)
    return replace(
        metadata,
        exif=exif.upright(block) if block is not None else None,
        xmp=xmp.upright(metadata.xmp) if metadata.xmp is not None else None,
    )
