"""Looking again where a finder suspects a mark: mirrored and in other sizes, near the suspects alone.

A mark is one however it is looked at; what a finder only takes for one seldom is in every size. On
validation the mean of several looks touches no clean photograph where one look touches one in twelve, at the
same F1 (docs/model-card.md, also for what it costs).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.mask import find_groups
from cleanplate.images.tensor import resize
from cleanplate.images.tiles import merge_overlapping
from cleanplate.structures import Box, FloatArray


@dataclass(frozen=True)
class Look:
    """A way to look at a part of a photograph: so many times the working size, mirrored or not."""

    scale: float
    mirrored: bool


#: Beside the first look. Source: of the sets tried on the validation split (with and without mirroring, 0.75
#: and 1.5 times the size) the smallest that was as good as all.
LOOKS = (Look(1.0, True), Look(1.5, False), Look(0.75, False))
#: What the first look must say of a group for it to be looked at again: far less than it takes to be a mark.
SUSPECT_STRONG, SUSPECT_WEAK, SUSPECT_SCORE = 0.5, 0.3, 0.4
#: Pixels of the working size that are looked at round a suspect.
CONTEXT_PX = 96
#: Where suspects and their surroundings are more of a photograph than this, all of it is looked at.
MOST_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class View:
    """What a look shows the network.

    place: of the photograph among others. box: in it, at the working size.
    """

    place: int
    box: Box
    look: Look
    picture: NDArray[np.uint8]


def find_suspects(probability: FloatArray) -> tuple[Box, ...]:
    """Boxes to look at again, no two of which overlap, from the first look's (h, w) probabilities.

    >>> find_suspects(np.zeros((64, 64), np.float32))
    ()
    """
    height, width = probability.shape
    _, groups = find_groups(probability, strong=SUSPECT_STRONG, weak=SUSPECT_WEAK)
    boxes = merge_overlapping(
        [group.box.grown(CONTEXT_PX, width, height) for group in groups if group.score >= SUSPECT_SCORE]
    )
    if sum(box.area for box in boxes) > MOST_SHARE * height * width:
        return (Box(0, 0, width, height),)
    return tuple(boxes)


def make_view(rgb_u8: NDArray[np.uint8], size: tuple[int, int], box: Box, look: Look, place: int) -> View:
    """Cut a view from a photograph.

    rgb_u8: (H, W, 3) at its own size. size: (h, w), the working size; box: in that.
    """
    down, across = rgb_u8.shape[0] / size[0], rgb_u8.shape[1] / size[1]
    native = rgb_u8[
        round(box.top * down) : max(1, round(box.bottom * down)),
        round(box.left * across) : max(1, round(box.right * across)),
    ]
    height, width = max(1, round(box.height * look.scale)), max(1, round(box.width * look.scale))
    shrinks = height * width < native.shape[0] * native.shape[1]
    # Cubic, as photographs are enlarged for training.
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(native, (width, height), interpolation=interpolation), np.uint8)
    return View(place, box, look, np.ascontiguousarray(picture[:, ::-1]) if look.mirrored else picture)


def read_view(view: View, probability: FloatArray) -> FloatArray:
    """(h, w) float32 of the view's box, from the network's answer to its picture."""
    seen = probability[:, ::-1] if view.look.mirrored else probability
    resized = resize(np.ascontiguousarray(seen), view.box.height, view.box.width)
    return np.asarray(resized, np.float32)
