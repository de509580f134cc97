"""Repairing one picture without files: for whoever has it in hand already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.named import read_path
from cleanplate.engine.owner import LocalOwner
from cleanplate.engine.policy import PlainPolicy
from cleanplate.engine.work import explain
from cleanplate.errors import RepairFailedError, UsageError
from cleanplate.images.colour import samples_to_alpha
from cleanplate.images.compare import compare_html
from cleanplate.images.orientation import to_upright
from cleanplate.images.read import read
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import BoolArray, Photo, Region, RgbArray, Verdict

#: What a picture that is no file is called in messages.
_NAMELESS = Path("<picture>")


@dataclass(frozen=True, eq=False)
class RepairedPicture:
    """What became of one picture.

    rgb: (H, W, 3) upright, uint8 or uint16 as it came. mask: (H, W) bool, the pixels that were rewritten.
    share: the part of the picture that the boxes round its marks cover. alpha: (H, W) of the same depth, if
    the picture came with one, else None. before: the picture as it came, like `rgb`.

    In a notebook it shows itself, with a slider between before and after.
    """

    rgb: RgbArray
    mask: BoolArray
    verdict: Verdict
    share: float
    regions: tuple[Region, ...] = ()
    alpha: NDArray[Any] | None = None
    before: RgbArray | None = None

    def _repr_html_(self) -> str:
        caption = self.verdict.value.replace("_", " ")
        if self.share > 0:
            caption += f", marks on {self.share:.1%}"
        return compare_html(self.rgb if self.before is None else self.before, self.rgb, caption)

    @property
    def image(self) -> Image.Image:
        """The picture as Pillow's, 8 bits a channel, RGB or RGBA."""
        layers = self.rgb if self.alpha is None else np.dstack([self.rgb, self.alpha])
        return Image.fromarray(_to_u8(layers))


def repair(
    image: Path | str | Image.Image | NDArray[Any],
    settings: RepairSettings = RepairSettings(),  # noqa: B008  # frozen: one for all calls is safe
    *,
    pipeline: Pipeline | None = None,
) -> RepairedPicture:
    """Find the visible marks in one picture and take them off; no file is written.

    image: a path, a Pillow picture, or an array (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16.
    pipeline: None: the one that `settings` ask for, built at the first call.

    Raises UsageError for something else, PhotoError for a file that cannot be read, RepairFailedError where
    finding or removing failed.
    """
    photo, alpha = _open(image, settings)
    owner = LocalOwner(pipeline or build_pipeline(settings), settings, PlainPolicy())
    (answer,) = owner.repair([photo])
    if isinstance(answer.result, Exception):
        raise RepairFailedError(photo.path, *explain(answer.result)) from answer.result
    result = answer.result
    return RepairedPicture(
        result.rgb,
        result.changed,
        result.verdict,
        float(result.first.share),
        result.regions,
        alpha,
        photo.rgb,
    )


def _open(image: object, settings: RepairSettings) -> tuple[Photo, NDArray[Any] | None]:
    if isinstance(image, (str, Path)):
        photo = read(read_path(image), max_megapixels=settings.max_megapixels)
        alpha = samples_to_alpha(photo.container.samples, photo.container.colour_key)
        return photo, None if alpha is None else to_upright(alpha, photo.orientation)
    if isinstance(image, Image.Image):
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            return _from_array(np.asarray(upright).astype(np.uint16))
        if upright.mode in ("I", "F"):
            raise UsageError(
                f"a picture of mode {upright.mode} does not say what is white; give mode L, RGB or I;16"
            )
        if upright.mode == "La":  # Pillow turns premultiplied grey into nothing but LA
            upright = upright.convert("LA")
        transparent = upright.has_transparency_data
        return _from_array(np.asarray(upright.convert("RGBA" if transparent else "RGB")))
    if isinstance(image, np.ndarray):
        return _from_array(image)
    raise UsageError(f"a {type(image).__name__} is no picture; give a path, a Pillow picture or an array")


def _from_array(array: NDArray[Any]) -> tuple[Photo, NDArray[Any] | None]:
    if array.dtype.newbyteorder("=") == np.uint16:
        array = array.astype(np.uint16, copy=False)
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    known = array.dtype in (np.uint8, np.uint16)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or not known or 0 in array.shape:
        raise UsageError(
            f"an array of shape {array.shape} and type {array.dtype} is no picture; "
            "give (H, W), (H, W, 3) or (H, W, 4) of uint8 or uint16"
        )
    alpha = array[:, :, 3] if array.shape[2] == 4 else None
    return Photo(path=_NAMELESS, rgb=np.ascontiguousarray(array[:, :, :3]), container=None), alpha


def _to_u8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    return ((array.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
