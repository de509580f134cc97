"""Marks that are given, not found: masks as files or arrays, boxes, and places at a corner or an edge.

A `MaskSource` knows which pixels of a photograph are marked; `GivenDetector` answers with the union of what
its sources know. Nothing is looked for, so no network is needed, and nothing is looked for again afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from cleanplate.detect.base import Detector
from cleanplate.detect.mask import cover_share, group_boxes
from cleanplate.errors import PhotoError, RepairFailedError
from cleanplate.models.request import Attempt
from cleanplate.places import Anchor, Edges
from cleanplate.structures import BoolArray, Box, Detection, Photo


@dataclass(frozen=True, eq=False)
class GivenMask:
    """What is marked on one photograph: (H, W) bool at its own size; notes: what its owner should know."""

    mask: BoolArray
    notes: tuple[str, ...] = ()


class MaskSource(Protocol):
    """Knows which pixels of a photograph are marked.

    fingerprint: of what all answers depend on and the settings do not say. What differs from photograph to
    photograph (a file of its own) does not belong there: a changed file must touch one result only.
    """

    @property
    def fingerprint(self) -> str: ...

    def find(self, photo: Photo) -> GivenMask | None:
        """The mask of a photograph, None where this source has none. Raises PhotoError for a bad one."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayMask:
    """The same mask, (H, W) bool at the photograph's size, for whatever photograph is asked about.

    notes: what the photograph's owner should know.
    """

    mask: BoolArray
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A checksum of the mask."""
        return hashlib.sha256(np.packbits(self.mask).tobytes()).hexdigest()[:16]

    def find(self, photo: Photo) -> GivenMask:
        """The mask. Raises RepairFailedError where its size is not the photograph's."""
        if self.mask.shape != (photo.height, photo.width):
            height, width = self.mask.shape
            raise RepairFailedError(
                photo.path,
                f"its mask has {width} x {height} pixels, the photograph {photo.width} x {photo.height}",
                "give a mask of the photograph's size",
            )
        return GivenMask(self.mask, self.notes)


@dataclass(frozen=True)
class Places:
    """Boxes in pixels and anchors, the same on every photograph."""

    boxes: tuple[Edges, ...] = ()
    anchors: tuple[Anchor, ...] = ()

    @property
    def fingerprint(self) -> str:
        """None of its own: the settings say it all."""
        return "places"

    def find(self, photo: Photo) -> GivenMask:
        """The pixels of all places. Raises RepairFailedError for a box outside the photograph."""
        mask = np.zeros((photo.height, photo.width), bool)
        placed = [anchor.place(photo.height, photo.width) for anchor in self.anchors]
        for place in (*self.boxes, *placed):
            mask[place.top : place.bottom, place.left : place.right] = True
            if place.left >= photo.width or place.top >= photo.height:
                raise RepairFailedError(
                    photo.path,
                    f"the box at {place.left},{place.top} lies outside ({photo.width} x {photo.height})",
                    "leave the photograph out, or use --anchor, which goes with every size",
                )
        return GivenMask(mask)


@dataclass(frozen=True, eq=False)
class GivenDetector:
    """Answers with the marks that are given (the `Detector` protocol).

    otherwise: finds the marks of photographs about which no source knows; None: those have none.
    """

    sources: tuple[MaskSource, ...]
    otherwise: Detector | None = None

    @property
    def fingerprint(self) -> str:
        """Of all sources, and of the detector behind them."""
        parts = [source.fingerprint for source in self.sources]
        return "+".join([*parts, *([self.otherwise.fingerprint] if self.otherwise else [])])

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:
        """One Detection a photograph, in order, or the PhotoError of its mask."""
        answers: dict[int, Detection | Exception] = {}
        unknown = []
        for place, photo in enumerate(photos):
            try:
                given = find_given(self.sources, photo)
            except PhotoError as error:
                answers[place] = error
                continue
            if given is None and self.otherwise is not None:
                unknown.append(place)
            else:
                answers[place] = detect_from_mask(
                    given or GivenMask(np.zeros((photo.height, photo.width), bool))
                )
        if self.otherwise is not None and unknown:
            found = self.otherwise.detect([photos[place] for place in unknown], attempt)
            answers.update(zip(unknown, found, strict=True))
        return [answers[place] for place in range(len(photos))]


def find_given(sources: Sequence[MaskSource], photo: Photo) -> GivenMask | None:
    """The union of what all sources know of a photograph, None where none knows anything."""
    known = [given for source in sources if (given := source.find(photo)) is not None]
    if not known:
        return None
    mask = np.logical_or.reduce([given.mask for given in known])
    if mask.all():
        raise RepairFailedError(
            photo.path, "its mask covers it all: nothing is left to fill from", "mark less of it"
        )
    return GivenMask(mask, tuple(note for given in known for note in given.notes))


def detect_from_mask(given: GivenMask) -> Detection:
    """A mask as a Detection that is certain.

    >>> detect_from_mask(GivenMask(np.eye(4, dtype=bool))).boxes
    (Box(left=0, top=0, right=4, bottom=4),)
    """
    mask = given.mask
    boxes = _box_all(mask)
    share = cover_share(boxes, *mask.shape)
    score = 1.0 if boxes else 0.0
    found = Detection(mask, mask, boxes, share, score)
    return replace(found, given=True, notes=given.notes)


def _box_all(mask: BoolArray) -> tuple[Box, ...]:
    """`group_boxes`, and one round whatever it leaves out (it groups the largest regions only)."""
    boxes = group_boxes(mask)
    rest = mask.copy()
    for box in boxes:
        rest[box.slices] = False
    if not rest.any():
        return boxes
    rows, columns = np.nonzero(rest)
    return (
        *boxes,
        Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1),
    )
