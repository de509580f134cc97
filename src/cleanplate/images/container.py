"""What a file held besides its looks: samples in their own mode, metadata, its format's own tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Channels of each mode; the names are Pillow's, the depth is the array's dtype.
CHANNELS = {"1": 1, "L": 1, "LA": 2, "P": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}


@dataclass(frozen=True, eq=False)
class Samples:
    """Pixels as the file stores them: before its orientation is applied, in its own colours.

    mode: a key of `CHANNELS`. array: (H, W) for one channel, else (H, W, C); uint8, or uint16 for 16-bit
    files; mode "1" holds 0 and 255. palette: (n, 4) uint8 RGBA for mode "P", else None.
    """

    mode: str
    array: NDArray[Any]
    palette: NDArray[np.uint8] | None = None

    @property
    def has_alpha(self) -> bool:
        """Whether some pixel can be transparent."""
        if self.palette is not None:
            return bool((self.palette[:, 3] < 255).any())
        return self.mode in ("LA", "RGBA")


@dataclass(frozen=True, kw_only=True, eq=False)
class Metadata:
    """What a file says about its picture, each as the bare block without its format's wrapping.

    exif: a TIFF block ("II*" or "MM*" first). icc, xmp (a UTF-8 packet), iptc (IIM records): as they came.
    dpi: pixels an inch, across and down. comments: free text. texts: named texts (PNG), (keyword, text).
    c2pa: whether there are content credentials. only_here: data that no other format has a place for.
    cicp: primaries and transfer by the numbers of H.273 (see `images.cicp`), where the file says them.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    cicp: tuple[int, int] | None = None
    comments: tuple[str, ...] = ()
    c2pa: bool = False
    only_here: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Container:
    """A decoded file. `details` is the format's own: what it needs to write the file as it came.

    format: "JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF" or "AVIF". orientation: EXIF's 1 to 8, to be applied
    to `samples` for looking. colour_key: the one colour that a PNG declares transparent, in sample values.
    """

    format: str
    samples: Samples
    orientation: int = 1
    metadata: Metadata = field(default_factory=Metadata)
    colour_key: tuple[int, ...] | None = None
    details: Any = None
