"""Between a file's own samples and the RGB that everything above looks at."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cleanplate.images.container import Samples

#: Rec. 601 luma in thousandths; they sum to 1000, so equal channels come back exactly.
_LUMA = np.array([299, 587, 114], dtype=np.uint32)

#: Rows converted at a time, so that a large picture needs no second large array of a wider type.
_ROWS = 512


def samples_to_rgb(samples: Samples, icc: bytes | None = None) -> NDArray[Any]:
    """(H, W, 3) of the samples' own depth, not yet upright.

    icc: only used for CMYK, which becomes sRGB; other modes keep their colour space.
    """
    array = samples.array
    if samples.mode == "P":
        assert samples.palette is not None  # a Samples of mode "P" is always built with one
        colours: NDArray[np.uint8] = samples.palette[:, :3][array]
        return colours
    if samples.mode in ("1", "L"):
        return np.repeat(array[:, :, None], 3, axis=2)
    if samples.mode == "LA":
        return np.repeat(array[:, :, :1], 3, axis=2)
    if samples.mode == "CMYK":
        return _cmyk_to_rgb(array, icc)
    return np.ascontiguousarray(array[:, :, :3])


def samples_to_alpha(samples: Samples, colour_key: tuple[int, ...] | None = None) -> NDArray[Any] | None:
    """(H, W) of the samples' own depth, not yet upright; None where no pixel can be transparent.

    colour_key: the one colour that is transparent, if any (`Container.colour_key`).
    """
    array = samples.array
    if samples.mode in ("LA", "RGBA"):
        return np.ascontiguousarray(array[:, :, -1])
    if samples.mode == "P":
        assert samples.palette is not None  # a Samples of mode "P" is always built with one
        return samples.palette[:, 3][array] if samples.has_alpha else None
    if colour_key is None or samples.mode not in ("1", "L", "RGB"):
        return None
    hits = (array.reshape(*array.shape[:2], -1) == np.array(colour_key)).all(axis=2)
    return np.where(hits, 0, np.iinfo(array.dtype).max).astype(array.dtype)


def rgb_to_grey(rgb: NDArray[Any]) -> NDArray[Any]:
    """(..., 3) uint8 or uint16 to (...): luma, exact where the channels are equal.

    >>> rgb_to_grey(np.array([[7, 7, 7], [255, 0, 0]], np.uint8)).tolist()
    [7, 76]
    """
    return ((rgb.astype(np.uint32) @ _LUMA + 500) // 1000).astype(rgb.dtype)


def rgb_to_cmyk(rgb: NDArray[np.uint8], icc: bytes | None = None) -> NDArray[np.uint8]:
    """(N, 3) uint8 to (N, 4) CMYK ink amounts: by the profile, without one with as much black as fits."""
    transform = _transform(icc, to_cmyk=True)
    if transform is not None and len(rgb):
        picture = Image.fromarray(rgb.reshape(1, -1, 3))
        converted = ImageCms.applyTransform(picture, transform)
        assert converted is not None  # only None when asked to work in place
        return np.asarray(converted).reshape(-1, 4)
    light = rgb.astype(np.int32)
    most = light.max(axis=1, keepdims=True)
    ink = 255 - (light * 255 + most // 2) // np.maximum(most, 1)
    return np.concatenate([np.where(most > 0, ink, 0), 255 - most], axis=1).astype(np.uint8)


def _cmyk_to_rgb(cmyk: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    transform = _transform(icc, to_cmyk=False)
    if transform is not None:
        converted = ImageCms.applyTransform(
            Image.frombytes("CMYK", cmyk.shape[1::-1], cmyk.tobytes()), transform
        )
        assert converted is not None  # only None when asked to work in place
        return np.array(converted)
    rgb = np.empty((*cmyk.shape[:2], 3), np.uint8)
    for top in range(0, len(cmyk), _ROWS):
        paper = 255 - cmyk[top : top + _ROWS].astype(np.uint32)
        rgb[top : top + _ROWS] = (paper[:, :, :3] * paper[:, :, 3:] + 127) // 255
    return rgb


@lru_cache(maxsize=8)
def _transform(icc: bytes | None, *, to_cmyk: bool) -> ImageCms.ImageCmsTransform | None:
    """CMYK by its profile to sRGB or back; None where there is no profile or it does not describe CMYK."""
    if icc is None:
        return None
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        screen = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        pair = (screen, own, "RGB", "CMYK") if to_cmyk else (own, screen, "CMYK", "RGB")
        return ImageCms.buildTransform(
            *pair,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
