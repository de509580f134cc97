"""How coarsely a file's pixels were rounded when it was compressed: what JPEG's own tables say."""

from __future__ import annotations

import numpy as np

from cleanplate.images.container import Container
from cleanplate.images.formats.jpeg import JpegDetails
from cleanplate.structures import Quantisation


def read_quantisation(container: Container) -> Quantisation | None:
    """What a JPEG file was rounded to, as its upright picture shows it; None for other formats."""
    details = container.details
    if not isinstance(details, JpegDetails) or not details.tables:
        return None
    tables = [np.asarray(table, np.float32).reshape(8, 8) for table in details.tables]
    across, down = details.subsampling in ("4:2:0", "4:2:2"), details.subsampling == "4:2:0"
    luma, chroma = tables[0], tables[min(1, len(tables) - 1)]
    if container.orientation >= 5:  # rows and columns change places
        return Quantisation(luma.T, chroma.T, (down, across))
    return Quantisation(luma, chroma, (across, down))
