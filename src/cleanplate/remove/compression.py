"""What compression did to a file's pixels, for whoever divides by what a mark lets through."""

from __future__ import annotations

from dataclasses import dataclass

from cleanplate.remove.shrinkage import spread_rounding
from cleanplate.structures import FloatArray, Quantisation


@dataclass(frozen=True, eq=False)
class Compression:
    """What compression did to a file. rounding: the variances of its rounding, (3, 8, 8), see `shrinkage`.
    halved: whether its colours have half the resolution, (across, down).
    """

    rounding: FloatArray
    halved: tuple[bool, bool] = (False, False)


def read_compression(steps: Quantisation | None) -> Compression | None:
    """What a file's own tables say of it; None where it has none.

    >>> import numpy as np
    >>> one = np.ones((8, 8), np.float32)
    >>> read_compression(Quantisation(12 * one, one, (True, True))).halved
    (True, True)
    """
    if steps is None:
        return None
    return Compression(spread_rounding(steps.luma, steps.chroma, steps.halved), steps.halved)
