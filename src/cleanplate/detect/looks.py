"""Which parts of a photograph a finder looks at: near what it suspects, mirrored and larger; and where the
photograph has been rewritten since it was last looked at.

A mark is one however it is looked at; what a finder only takes for one seldom is in every look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.mask import find_groups
from cleanplate.images.tensor import resize, resize_for_network
from cleanplate.images.tiles import merge_overlapping
from cleanplate.structures import Box, FloatArray, Photo


@dataclass(frozen=True)
class Look:
    """A way to look at a part of a photograph: so many times the working size, mirrored or not."""

    scale: float
    mirrored: bool


#: Beside the first look. Source: 177 marked and 59 clean validation triples, groups kept by the mean of the
#: looks, finder-12: half and three quarters of the size (from 0.54 on) F1 0.544, 120 marks found, 9 false
#: groups and two clean ones touched; these (0.6) 0.612, 134, 6 and 4; with three quarters as well (0.54)
#: 0.607, 133, 9 and 5. Of finder-10 0.526, 124, 33 and 5 (0.5); with three quarters as well 0.580, 128, 13
#: and 6 (0.58). Gates fitted to what all looks say, logistic or a small network, were no better.
LOOKS = (Look(1.0, True), Look(1.5, False))
#: What the first look must say of a group for it to be looked at again: far less than it takes to be a mark.
SUSPECT_STRONG, SUSPECT_WEAK, SUSPECT_SCORE = 0.5, 0.3, 0.4
#: Pixels of the working size that are looked at round a suspect. Source: with 96 at the same triples F1
#: 0.616, 135, 10 and 4 (0.58), and more to look at.
CONTEXT_PX = 64
#: Where suspects and their surroundings are more of a photograph than this, all of it is looked at.
MOST_SHARE = 0.6
#: The first look, at the working size itself.
FIRST_LOOK = Look(1.0, False)
#: A part that is looked at alone has edges of so many pixels of the working size at least, as crops for
#: training do, and multiples of `WINDOW_STEP_PX`, so that networks see few sizes.
LEAST_WINDOW_PX, WINDOW_STEP_PX = 320, 64
#: So far round what was rewritten the answer is new; farther off, what was said before still holds.
RENEWED_PX = 48


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


def scale_box(box: Box, native: tuple[int, int], size: tuple[int, int]) -> Box:
    """A box of a photograph of `native` (H, W) pixels at another size (h, w), no smaller than it was.

    >>> scale_box(Box(1, 1, 4, 5), (10, 10), (5, 5))
    Box(left=0, top=0, right=2, bottom=3)
    """
    down, across = size[0] / native[0], size[1] / native[1]
    return Box(
        int(box.left * across),
        int(box.top * down),
        min(size[1], int(np.ceil(box.right * across))),
        min(size[0], int(np.ceil(box.bottom * down))),
    )


def choose_windows(boxes: Sequence[Box], size: tuple[int, int]) -> tuple[Box, ...]:
    """What to look at where `boxes` have been rewritten, all at the working size (h, w): no two overlap.

    >>> choose_windows([Box(500, 500, 520, 510)], (1024, 1024))
    (Box(left=350, top=345, right=670, bottom=665),)
    >>> choose_windows([Box(0, 0, 900, 900)], (1024, 1024))
    (Box(left=0, top=0, right=1024, bottom=1024),)
    """
    height, width = size
    windows = [box.grown(CONTEXT_PX, width, height) for box in boxes]
    while (placed := [_make_window(box, width, height) for box in merge_overlapping(windows)]) != windows:
        windows = placed  # what two make together has to be aligned again
    if sum(box.area for box in windows) > MOST_SHARE * height * width:
        return (Box(0, 0, width, height),)
    return tuple(windows)


def _make_window(box: Box, width: int, height: int) -> Box:
    wide = max(0, LEAST_WINDOW_PX - box.width) // 2
    high = max(0, LEAST_WINDOW_PX - box.height) // 2
    large = Box(
        max(0, box.left - wide),
        max(0, box.top - high),
        min(width, box.right + wide),
        min(height, box.bottom + high),
    )
    return large.aligned(WINDOW_STEP_PX, width, height)


def make_view(photo: Photo, size: tuple[int, int], box: Box, look: Look, place: int) -> View:
    """Cut a view from a photograph. size: (h, w), the working size; box: in that."""
    down, across = photo.height / size[0], photo.width / size[1]
    part = photo.rgb[
        round(box.top * down) : max(1, round(box.bottom * down)),
        round(box.left * across) : max(1, round(box.right * across)),
    ]
    native = replace(photo, rgb=part).rgb_u8
    height, width = max(1, round(box.height * look.scale)), max(1, round(box.width * look.scale))
    picture = np.asarray(resize_for_network(native, height, width), np.uint8)
    return View(place, box, look, np.ascontiguousarray(picture[:, ::-1]) if look.mirrored else picture)


def read_view(view: View, probability: FloatArray) -> FloatArray:
    """(h, w) float32 of the view's box, from the network's answer to its picture."""
    seen = probability[:, ::-1] if view.look.mirrored else probability
    resized = resize(np.ascontiguousarray(seen), view.box.height, view.box.width)
    return np.asarray(resized, np.float32)
