"""Taking off a mark that is known: inverted, cleaned, and where that is noise, blended towards a fill.

The mark lies where it belongs already: its planes have the photograph's (or crop's) size.
"""

from __future__ import annotations

import numpy as np

from cleanplate.marks.files import ESTIMATED, FIXED_SIZE
from cleanplate.remove.compression import Compression
from cleanplate.remove.estimate import PIXEL_NOISE
from cleanplate.remove.halving import Halving, invert_halved
from cleanplate.remove.inpaint import dilate, estimate_fill_variance, fill_with_membrane
from cleanplate.remove.judge import judge_visibility
from cleanplate.remove.shrinkage import shrink_noise
from cleanplate.structures import BoolArray, FloatArray, Mark

#: Standard deviation of what rounding to 8 bits adds: all the noise that a lossless file has.
ROUNDING_NOISE = float(1 / 255 / np.sqrt(12))
#: Opacity from which on nothing of the photograph is left: filled.
OPAQUE = 0.97
#: An inverse that is no noisier than so many grey levels is kept as it is.
GOOD_LEVELS = 1.0
#: What is left to expect after rounding was shrunk, by its standard deviation over the square of what the
#: mark lets through: where more of it is dropped, more of the photograph is. Source: 0.04 to 0.16 on 24
#: folders of training photographs, JPEG 85 and 92, opacity 0.3 to 0.8.
REMAINS = 0.1
#: The same under a mark that was estimated, which is itself off by something. Source: on 17 folders of
#: training photographs, twelve of 8 and five of 24, 34.0 and 34.8 dB inside the mark with 0.1 (three
#: photographs of 184 are worse than the ordinary way), 34.0 and 34.7 with 0.2 (one), 33.6 and 33.8 with 0.5.
REMAINS_ESTIMATED = 0.2
#: What the opacity of a mark that was worked out from so many photographs may be off by on all of them,
#: squared; from more, it falls with the third power of their number. Source: the same folders: 0.0007 32.8
#: and 34.4 dB, 0.0003 33.5 and 34.4, this 33.8 and 34.5, a third of it as much.
DOUBT, DOUBT_PHOTOGRAPHS, DOUBT_POWER = 0.0001, 7, 3
#: What a colour may differ from what is behind it, squared, though the estimate has them alike.
LEAST_CONTRAST = 0.14
#: A fill and an inverse that differ, squared, by no more than so many times what both are expected to be
#: wrong by are both believed. Source: 0.5, 0.75, 1 and 1.5 on 11 folders, nine of them of training
#: photographs: 33.6 dB inside the mark each, and without; on the nine where it was compared, two, two, one
#: and one of 128 photographs are worse than the ordinary way, three without.
MOST_APART = 1.0

#: Standard deviation of a pixel, or what a file's compression did to it.
Noise = float | Compression


def find_halved(noise: Noise) -> tuple[bool, bool]:
    """Whether colours were stored at half the resolution, (across, down).

    >>> find_halved(ROUNDING_NOISE)
    (False, False)
    """
    return noise.halved if isinstance(noise, Compression) else (False, False)


def remove_known(
    marked: FloatArray, mark: Mark, *, noise: Noise = PIXEL_NOISE, origin: tuple[int, int] = (0, 0)
) -> tuple[FloatArray, BoolArray]:
    """(photograph, changed) from (h, w, 3) float32 `marked` in [0, 1] and a mark of the same size.

    noise: standard deviation of a pixel of `marked`, `ROUNDING_NOISE` for a lossless file; of a compressed
    one what its compression did, by which the inverse is cleaned. What is wrong with a pixel is divided by
    `1 - alpha` too, so the blend weighs that variance against the fill's. Outside `changed` the photograph
    is the input's own. origin: (left, top) of `marked` on the photograph.

    >>> half = Mark(np.full((4, 4), 0.5, np.float32), np.ones((4, 4, 3), np.float32))
    >>> behind, changed = remove_known(np.full((4, 4, 3), 0.75, np.float32), half, noise=ROUNDING_NOISE)
    >>> float(behind[0, 0, 0]), bool(changed.all())
    (0.5, True)
    """
    opaque = mark.alpha >= OPAQUE
    kept = np.where(opaque, 1, 1 - mark.alpha).astype(np.float32)
    added = mark.alpha[..., None] * mark.rgb
    if isinstance(noise, Compression):
        halving = Halving(noise.halved, *origin)
        inverse, changed = invert_halved(marked, mark.alpha, added, halving)
        remains = REMAINS_ESTIMATED if mark.kind in (ESTIMATED, FIXED_SIZE) else REMAINS
        expected = remains * float(np.sqrt(noise.rounding[0].mean())) / kept**2
    else:
        inverse = np.clip((marked - added) / kept[..., None], 0, 1).astype(np.float32)
        changed = np.asarray(mark.alpha > 0, bool)
        expected = noise / kept
    noisy = expected > GOOD_LEVELS / 255
    is_estimate = mark.kind in (ESTIMATED, FIXED_SIZE)
    needs_fill = bool((changed & (noisy | opaque | is_estimate)).any())
    around = dilate(changed, 1)
    fill = fill_with_membrane(marked, around) if needs_fill else marked
    inverse = np.where(opaque[..., None], fill, inverse).astype(np.float32)
    if isinstance(noise, Compression):
        inverse = shrink_noise(inverse, kept, changed, noise.rounding)
    if needs_fill:
        variance = estimate_fill_variance(marked, around)
        wrong = np.where(noisy, expected**2, 0)
        if is_estimate:
            sure = changed & ~opaque
            left = _find_left(inverse, fill, variance, mark.alpha, sure) + _doubt(mark, fill)
            wrong = wrong + left / kept**2
        weight = variance / (variance + wrong)
        weight = np.where(opaque, 0, weight)[..., None]
        inverse = (weight * inverse + (1 - weight) * fill).astype(np.float32)
    return np.where(changed[..., None], inverse, marked).astype(np.float32), changed


def _doubt(mark: Mark, fill: FloatArray) -> FloatArray:
    """(h, w): what an estimate from few photographs may be wrong by, squared, times what it lets through."""
    if mark.photographs == 0:
        return np.zeros(mark.alpha.shape, np.float32)
    opacity = DOUBT * (DOUBT_PHOTOGRAPHS / mark.photographs) ** DOUBT_POWER
    contrast = ((mark.rgb - fill) ** 2).mean(axis=2) + LEAST_CONTRAST
    return np.asarray(opacity * contrast, np.float32)


def _find_left(
    inverse: FloatArray, fill: FloatArray, variance: FloatArray, alpha: FloatArray, where: BoolArray
) -> float:
    """What an estimated mark leaves of itself, squared, times what it lets through, squared.

    The ghost that is seen along its edges, believed only where the inverse differs from the fill by what both
    may be wrong by: elsewhere the scene has an edge under the mark's, and the fill does not know it.
    variance: of the fill. where: (h, w) bool, where the mark lets something through.
    """
    if not where.any():
        return 0.0
    squared = judge_visibility(inverse, alpha / max(1e-6, float(alpha.max())), where).ghost ** 2
    apart = float(((inverse - fill)[where] ** 2).mean())
    if apart > MOST_APART * (float(variance[where].mean()) + squared):
        return 0.0
    return squared / float((1 / (1 - alpha[where]) ** 2).mean())
