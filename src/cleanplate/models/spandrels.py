"""Inpainting networks of architectures that the package `spandrel` knows (MAT among its extra ones)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cleanplate.errors import MissingExtraError, ModelError
from cleanplate.extras import require
from cleanplate.models.filler import Inpainter, Metered
from cleanplate.models.spec import SPECS, InpaintSpec

#: A network whose sizes are multiples of this or more works at this one size.
FIXED_FROM_PX = 256


def load_with_spandrel(
    tensors: Mapping[str, Tensor], path: Path, fingerprint: str, device: torch.device
) -> Inpainter:
    """A network that fills holes, told by its tensors.

    Raises ModelError where spandrel does not know it or it does something else, MissingExtraError where
    spandrel is not installed.
    """
    spandrel = require("spandrel", extra="spandrel")
    with suppress(MissingExtraError):  # without it there are fewer architectures
        require("spandrel_extra_arches", extra="spandrel").install(ignore_duplicates=True)
    try:
        descriptor = spandrel.ModelLoader(device="cpu").load_from_state_dict(dict(tensors))
    except (spandrel.UnsupportedModelError, RuntimeError, KeyError) as exc:
        raise ModelError(
            f"{path}: neither LaMa nor a network that spandrel knows ({exc}); check the file"
        ) from exc
    if not isinstance(descriptor, spandrel.MaskedImageModelDescriptor):
        raise ModelError(f"{path}: {descriptor.architecture.name} fills no holes; give an inpainting network")
    descriptor.to(device).eval()
    spec = _describe(descriptor)
    assert spec.bytes_per_pixel is not None  # given for all of them

    def run(batch: Tensor) -> Tensor:
        # its wrapper takes one picture at a time
        return torch.cat([descriptor(one[None, :3], one[None, 3:]) for one in batch])

    return Inpainter(spec, fingerprint, Metered(spec.bytes_per_pixel), run)


def _describe(descriptor: Any) -> InpaintSpec:
    wants = descriptor.size_requirements
    stride, least = max(1, wants.multiple_of or 1), max(16, wants.minimum or 0)
    fixed = max(stride, least) if stride >= FIXED_FROM_PX else None
    return InpaintSpec(
        stride=stride,
        least_px=least,
        fixed_px=fixed,
        most_px=2 * fixed if fixed else SPECS["lama"].most_px,
        batches=False,
        bytes_per_pixel=SPECS["mat"].bytes_per_pixel,
    )
