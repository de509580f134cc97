"""Photographs as they are without marks that are known, and what the finder sees on them then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cleanplate.detect.mask import group_boxes, leave_out
from cleanplate.engine.leads import FIRST_LOOK, spread_evenly
from cleanplate.engine.photoset import PhotoSet
from cleanplate.marks.place import place_mark
from cleanplate.pipeline.known import LEAST_OPACITY, KnownMarks, Taken
from cleanplate.structures import BoolArray, Box, Detection, Mark, Photo

#: Photographs that are looked at first; where something else is seen on none of them or on all, no more are.
FIRST_ASKED = 8
#: They carry other marks too where the finder sees some on this part of them, and on so many. Source: of
#: photographs without a mark it takes something for one on three to six of a hundred.
LEAST_WITH_OTHERS, FEWEST_WITH_OTHERS = 0.3, 3
#: A part of a mark is still there where what the finder sees covers this much of it; on so many of the
#: photographs it is no part of what they share: dates, each of its own day, look like one mark from afar.
LEAST_COVERED, MOST_STILL_THERE = 0.25, 0.6


class Unmarked:
    """Takes known marks off the photographs of a set before anyone sees them.

    What the finder sees where a mark was is not told.
    """

    def __init__(self, photo_set: PhotoSet, marks: Sequence[Mark]) -> None:
        self._marked = photo_set
        self._known = KnownMarks(tuple(marks))
        #: Where the marks were, by photograph.
        self._boxes: dict[Path, tuple[Box, ...]] = {}

    @property
    def photo_set(self) -> PhotoSet:
        """The same photographs without the marks."""
        return replace(self._marked, read_photo=self._read, find_marks=self._find)

    def look_beneath(self, mark: Mark) -> Beneath:
        """What the finder sees on photographs of the first look that carry known marks. Raises StoppedError.

        mark: of these the one whose remains are looked for.
        """
        beneath = Beneath(mark)
        for path in spread_evenly(self._marked.paths, FIRST_LOOK):
            photo = self._marked.read(path)
            taken = None if photo is None else self._take_off(photo)
            if photo is None or taken is None:
                continue
            (found,) = self._marked.find([replace(photo, rgb=taken.rgb)])
            beneath.add(found, taken)
            if beneath.asked >= FIRST_ASKED and beneath.is_clear:
                break
        return beneath

    def _take_off(self, photo: Photo) -> Taken | None:
        (taken,) = self._known.take_off([photo], self._marked.attempt)
        return None if isinstance(taken, Exception) else taken  # the run itself says what fails

    def _read(self, path: Path) -> Photo | None:
        photo = self._marked.read_photo(path)
        taken = None if photo is None else self._take_off(photo)
        if photo is None or taken is None:
            return photo
        self._boxes[path] = taken.detection.boxes
        return replace(photo, rgb=taken.rgb)

    def _find(self, photos: Sequence[Photo]) -> list[Detection | None]:
        seen = [replace(photo, asked_again=False) if photo.path in self._boxes else photo for photo in photos]
        return [
            None if found is None else leave_out(found, self._boxes.get(photo.path, ()))
            for photo, found in zip(photos, self._marked.find_marks(seen), strict=True)
        ]


class Beneath:
    """What the finder sees on photographs without the marks that they carried.

    mark: one of these. asked: photographs. with_others: those on which it sees something elsewhere.
    """

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.asked = self.with_others = 0
        self._parts = [_keep_only(mark, box) for box in group_boxes(mark.alpha > LEAST_OPACITY)]
        #: On how many photographs each part of the mark was, and on how many it is still seen.
        self._was = np.zeros(len(self._parts), int)
        self._is = np.zeros(len(self._parts), int)

    def add(self, found: Detection | None, taken: Taken) -> None:
        """One photograph."""
        self.asked += 1
        seen = found.mask if found is not None else np.zeros(taken.rgb.shape[:2], bool)
        self.with_others += found is not None and bool(leave_out(found, taken.detection.boxes).boxes)
        for placement in (placement for mark, placement in taken.placed if mark is self.mark):
            for at, part in enumerate(self._parts):
                placed = place_mark(part, placement, *seen.shape)
                covered = None if placed is None else _find_covered(placed[0], seen[placed[1].slices])
                if covered is not None:
                    self._was[at] += 1
                    self._is[at] += covered >= LEAST_COVERED

    @property
    def shows_others(self) -> bool:
        """Whether the photographs carry other marks too."""
        return self.with_others >= max(FEWEST_WITH_OTHERS, LEAST_WITH_OTHERS * self.asked)

    @property
    def is_clear(self) -> bool:
        """Whether further photographs of the first look would hardly change whether they carry others."""
        return self.with_others == 0 or self.with_others >= LEAST_WITH_OTHERS * FIRST_LOOK

    def keep_gone(self) -> Mark | None:
        """The mark without the parts that are still seen on many photographs; None: nothing is left."""
        gone = self._is < MOST_STILL_THERE * np.maximum(1, self._was)
        if gone.all():
            return self.mark
        kept = [part.alpha for part, is_gone in zip(self._parts, gone, strict=True) if is_gone]
        return replace(self.mark, alpha=np.maximum.reduce(kept)) if kept else None


def _find_covered(part: Mark, seen: BoolArray) -> float | None:
    """Which part of a mark's pixels is seen; None where it has none: it is cut off there."""
    there = part.alpha > LEAST_OPACITY
    return float(seen[there].mean()) if there.any() else None


def _keep_only(mark: Mark, box: Box) -> Mark:
    """The mark as far as it lies in a box."""
    alpha = np.zeros_like(mark.alpha)
    alpha[box.slices] = mark.alpha[box.slices]
    return replace(mark, alpha=alpha)
