"""Looking again where a finder suspects a mark: in smaller sizes, near the suspects alone.

A mark is one however it is looked at; what a finder only takes for one seldom is in every size. And while a
stamp shows in a large size, a wide logo does in a small one.
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


#: Beside the first look. Source: of the sets tried on the validation split (half, three quarters, once, one
#: and a half times and twice the size, mirrored or not) the smallest that was as good as any.
LOOKS = (Look(0.75, False), Look(0.5, False))
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
    picture = view_whole(native, (height, width))
    return View(place, box, look, np.ascontiguousarray(picture[:, ::-1]) if look.mirrored else picture)


def view_whole(rgb_u8: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) in another size (h, w), enlarged and made smaller as photographs are for training.

    >>> view_whole(np.zeros((4, 6, 3), np.uint8), (8, 12)).shape
    (8, 12, 3)
    """
    height, width = size
    if rgb_u8.shape[:2] == size:
        return rgb_u8
    shrinks = height * width < rgb_u8.shape[0] * rgb_u8.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb_u8, (width, height), interpolation=interpolation), np.uint8)


def read_view(view: View, probability: FloatArray) -> FloatArray:
    """(h, w) float32 of the view's box, from the network's answer to its picture."""
    seen = probability[:, ::-1] if view.look.mirrored else probability
    resized = resize(np.ascontiguousarray(seen), view.box.height, view.box.width)
    return np.asarray(resized, np.float32)
