"""An inpainting network of whatever kind behind one call: pictures with holes in, pictures out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cleanplate.models.spec import InpaintSpec


@dataclass(frozen=True, eq=False)
class Inpainter:
    """A network that fills holes.

    spec: what it takes. fingerprint: of its file. network: what the memory guard predicts by, a module or
    something with `bytes_per_pixel`. run: (N, 4, H, W) float32 on the device, RGB in [0, 1] and the hole as 1
    -> (N, 3, H, W) in about [0, 1]; pixels outside the hole need not be kept.
    """

    spec: InpaintSpec
    fingerprint: str
    network: Any
    run: Callable[[Tensor], Tensor]


@dataclass(eq=False)
class Metered:
    """Stands for a network that cannot be traced: bytes it holds by pixel of its input, once measured."""

    bytes_per_pixel: int
