"""Taking off a mark that is known: inverted, and where the inverse is noise, blended towards a fill.

The mark lies where it belongs already: its planes have the photograph's (or crop's) size.
"""

from __future__ import annotations

import numpy as np

from cleanplate.remove.estimate import PIXEL_NOISE
from cleanplate.remove.inpaint import dilate, estimate_fill_variance, fill_with_membrane
from cleanplate.structures import BoolArray, FloatArray, Mark

#: Standard deviation of what rounding to 8 bits adds: all the noise that a lossless file has.
ROUNDING_NOISE = float(1 / 255 / np.sqrt(12))
#: Opacity from which on nothing of the photograph is left: filled.
OPAQUE = 0.97
#: An inverse that is no noisier than so many grey levels is kept as it is.
GOOD_LEVELS = 1.0


def remove_known(
    marked: FloatArray, mark: Mark, *, noise: float = PIXEL_NOISE
) -> tuple[FloatArray, BoolArray]:
    """(photograph, changed) from (h, w, 3) float32 `marked` in [0, 1] and a mark of the same size.

    noise: standard deviation of a pixel of `marked`; `ROUNDING_NOISE` for a lossless file, more after JPEG.
    What is wrong with a pixel is divided by `1 - alpha` too, so the blend weighs that variance against the
    fill's. Outside `changed` the photograph is the input's own.

    >>> half = Mark(np.full((4, 4), 0.5, np.float32), np.ones((4, 4, 3), np.float32))
    >>> behind, changed = remove_known(np.full((4, 4, 3), 0.75, np.float32), half, noise=ROUNDING_NOISE)
    >>> float(behind[0, 0, 0]), bool(changed.all())
    (0.5, True)
    """
    changed = np.asarray(mark.alpha > 0, bool)
    opaque = mark.alpha >= OPAQUE
    kept = np.where(opaque, 1, 1 - mark.alpha)[..., None]
    inverse = np.clip((marked - mark.alpha[..., None] * mark.rgb) / kept, 0, 1)
    noisy = noise / kept[..., 0] > GOOD_LEVELS / 255
    if (changed & (noisy | opaque)).any():
        around = dilate(changed, 1)
        fill = fill_with_membrane(marked, around)
        variance = estimate_fill_variance(marked, around)
        weight = np.where(noisy, variance / (variance + (noise / kept[..., 0]) ** 2), 1)
        weight = np.where(opaque, 0, weight)[..., None]
        inverse = weight * inverse + (1 - weight) * fill
    behind = np.where(changed[..., None], inverse, marked)
    return behind.astype(np.float32), changed
