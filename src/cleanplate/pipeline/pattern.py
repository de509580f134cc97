"""A mark that is tiled over one photograph: worked out from its copies, and inverted.

The copies on one photograph tell what the photographs of a folder with one mark would (`remove/shared`). A
photograph on which the inverse would be seen goes the ordinary way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.detect.copies import WHOLE, Copies, find_copies, settle_copies
from cleanplate.errors import TooLittleMemoryError
from cleanplate.marks.files import ESTIMATED
from cleanplate.models.request import Attempt, Request
from cleanplate.remove.judge import compare_visibility
from cleanplate.remove.known import OPAQUE, Noise, find_halved, remove_known
from cleanplate.remove.shared import estimate_shared_mark
from cleanplate.structures import BoolArray, Detection, Mark, Method, Photo, Region, RgbArray

#: Fewer pieces of mask than this are no pattern.
FEWEST_PIECES = 4
#: Opacities under this change nothing that can be seen.
LEAST_OPACITY = 0.01
#: The inverse may show at most this part of the mark that the input shows. Source: 36 tiled marks on training
#: photographs; of the 22 under it 19 gain over the ordinary way and 3 lose up to 1.4 dB, 3.6 dB on the mean.
MOST_VISIBLE = 0.65
#: Copies that are looked at, and pixels of them all together.
MOST_COPIES, MOST_PIXELS = 60, 6_000_000
#: Host bytes by pixel: the photograph and its layer as floats, the copies, the sums of the estimate.
BYTES_BY_PIXEL = 160


@dataclass(frozen=True, eq=False)
class TakenPattern:
    """A photograph without its tiled mark. rgb: (H, W, 3) of the photograph's own depth."""

    rgb: RgbArray
    regions: tuple[Region, ...]


def take_off_patterns(
    photos: Sequence[Photo], found: Sequence[Detection], attempt: Attempt, noise: Sequence[Noise]
) -> list[TakenPattern | Exception | None]:
    """For each photograph what it is without its tiled mark, None where there is none or it would be seen.

    None too where there is too little memory to work it out.

    found: what a detector says of each. noise: of each, as in `remove/known`.
    """
    places = [
        place for place, detection in enumerate(found) if _count_pieces(detection.mask) >= FEWEST_PIECES
    ]
    taken: list[TakenPattern | Exception | None] = [None] * len(photos)
    if not places:
        return taken
    answers = attempt(
        Request(
            stage="match",
            network=None,
            items=places,
            shape=lambda batch, _tile: (batch, 3, 8, 8),
            run=lambda items, _tile: [take_off_pattern(photos[at], found[at], noise[at]) for at in items],
            item_bytes=BYTES_BY_PIXEL * max(photos[at].width * photos[at].height for at in places),
        )
    )
    for place, answer in zip(places, answers, strict=True):
        # The ordinary way goes in smaller pieces.
        taken[place] = None if isinstance(answer, TooLittleMemoryError) else answer
    return taken


def _count_pieces(mask: BoolArray) -> int:
    return int(cv2.connectedComponents(mask.astype(np.uint8))[0]) - 1


def take_off_pattern(photo: Photo, found: Detection, noise: Noise) -> TakenPattern | None:
    """One photograph without its tiled mark, None where there is none or it would be seen."""
    repeated = find_copies(np.asarray(found.probability, np.float32))
    if repeated is None:
        return None
    copies, mask = repeated
    rgb_u8 = photo.rgb_u8
    copies = settle_copies(rgb_u8, copies, mask)
    layer = _estimate(photo, copies, mask, find_halved(noise))
    if not (layer.alpha > 0).any():
        return None
    peak = np.float32(np.iinfo(photo.rgb.dtype).max)
    marked = photo.rgb.astype(np.float32) / peak
    behind, changed = remove_known(marked, layer, noise=noise)
    visible = compare_visibility(marked, behind, layer, changed)
    if visible > MOST_VISIBLE:
        return None
    result = photo.rgb.copy()
    result[changed] = np.rint(np.clip(behind[changed], 0, 1) * peak).astype(result.dtype)
    opacity = float(np.percentile(layer.alpha[changed], 90))
    method = Method.FILLED if opacity >= OPAQUE else Method.UNBLENDED
    regions = [
        Region(box, method, round(opacity, 4), round(1 - min(1.0, visible), 4))
        for box in copies.boxes(photo.height, photo.width)
        if changed[box.slices].any()
    ]
    return TakenPattern(result, tuple(regions))


def _estimate(photo: Photo, copies: Copies, mask: BoolArray, halved: tuple[bool, bool]) -> Mark:
    """The mark over the whole photograph. halved: whether its colours were stored so, (across, down)."""
    _, places = copies.list_windows(photo.height, photo.width, WHOLE)
    most = int(np.clip(MOST_PIXELS // mask.size, 2, MOST_COPIES))
    if len(places) > most:
        places = places[np.random.default_rng(0).permutation(len(places))[:most]]
    mark = estimate_shared_mark(copies.cut_out(photo.rgb_u8, places), mask, halved=halved)
    premultiplied = np.dstack([mark.rgb * mark.alpha[..., None], mark.alpha]).astype(np.float32)
    laid = copies.lay(premultiplied, photo.height, photo.width)
    alpha = np.where(laid[..., 3] >= LEAST_OPACITY, np.clip(laid[..., 3], 0, 1), 0).astype(np.float32)
    rgb = np.clip(laid[..., :3] / np.maximum(laid[..., 3:], 1e-4), 0, 1)
    return Mark(np.ascontiguousarray(alpha), np.ascontiguousarray(rgb, np.float32), ESTIMATED)
