"""What a file's coding does to its pixels: whether it keeps them, how coarsely JPEG's tables round them."""

from __future__ import annotations

import numpy as np

from cleanplate.images import riff
from cleanplate.images.container import Container
from cleanplate.images.formats.jpeg import JpegDetails
from cleanplate.images.formats.tiff import JPEG_COMPRESSIONS
from cleanplate.structures import Quantisation


def read_quantisation(container: Container) -> Quantisation | None:
    """What a JPEG file was rounded to, as its upright picture shows it; None for other formats."""
    details = container.details
    if not isinstance(details, JpegDetails) or not details.tables:
        return None
    tables = [np.asarray(table, np.float32).reshape(8, 8) for table in details.tables]
    across, down = details.halved
    luma, chroma = tables[0], tables[min(1, len(tables) - 1)]
    if container.orientation >= 5:  # rows and columns change places
        return Quantisation(luma.T, chroma.T, (down, across))
    return Quantisation(luma, chroma, (across, down))


def keeps_pixels(container: Container) -> bool:
    """Whether the file's format gives back the very pixels that are stored in it.

    PNG and BMP do; TIFF unless it is compressed as JPEG; WebP where it is coded without loss; no other.

    >>> from cleanplate.images.container import Samples
    >>> keeps_pixels(Container(format="PNG", samples=Samples("L", np.zeros((1, 1), np.uint8))))
    True
    """
    if container.format == "TIFF":
        return container.details.compression not in JPEG_COMPRESSIONS
    if container.format == "WEBP":
        return riff.is_lossless(container.details or ())
    return container.format in ("PNG", "BMP")
