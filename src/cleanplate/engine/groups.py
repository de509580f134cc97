"""Folder mode's first pass where photographs share several marks, each on some of them.

What most of the photographs share is looked for first (`survey`). Then the finder looks at those that do not
carry it: photographs on which it sees the same are a group, and each group is searched as a folder is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cleanplate.detect.consistent import WORKING_PX, shrink
from cleanplate.detect.resemble import Sighting, cut_sighting, group_alike
from cleanplate.engine.leads import FIRST_LOOK, LEAST_SHARING, LOOK_TOGETHER, spread_evenly
from cleanplate.engine.photoset import PhotoSet
from cleanplate.engine.stop import StoppedError
from cleanplate.engine.survey import SharedMark, find_shared_mark
from cleanplate.structures import Detection, FloatArray, Mark, Photo

#: Photographs that the finder looks at for groups. The first ones are those of the first look: where it sees
#: something on fewer of them than `FEWEST_SEEN`, it looks at no more.
MOST_LOOKED_AT = 96
FEWEST_SEEN = 3
#: Boxes of a photograph that are compared, the largest first.
BOXES = 3
#: Groups that are searched, and marks that are kept.
MOST_GROUPS, MOST_MARKS = 6, 4
#: Two marks are one where their opacities agree so far (a correlation) at some place.
SAME = 0.7


def find_shared_marks(photo_set: PhotoSet) -> tuple[SharedMark, ...]:
    """The marks that photographs share, that of the most of them first; none also when it was stopped.

    The finder is asked about photographs again where no mark is shared by most (`Photo.asked_again`).
    """
    try:
        return _find_all(photo_set)
    except StoppedError:
        return ()


def _find_all(photo_set: PhotoSet) -> tuple[SharedMark, ...]:
    first = find_shared_mark(photo_set)
    marks = [] if first is None else [first]
    others = photo_set if first is None else photo_set.only(first.without)
    for group in _list_groups(others):
        found = find_shared_mark(photo_set.only(group))
        if found is not None and not any(_are_same(found.mark, known.mark) for known in marks):
            marks.append(replace(found, looked_at=min(MOST_LOOKED_AT, len(others.paths))))
        if len(marks) == MOST_MARKS:
            break
    return tuple(sorted(marks, key=lambda shared: -shared.sharing))


def _list_groups(photo_set: PhotoSet) -> Iterator[list[Path]]:
    """Photographs on which the finder sees the same, group by group, the largest first."""
    if len(photo_set.paths) < LEAST_SHARING:
        return
    looked_at = _order(photo_set.paths)
    sightings: list[_Scaled] = []
    for start in range(0, len(looked_at), LOOK_TOGETHER):
        seen_on = {scaled.sighting.at for scaled in sightings}
        if start >= FIRST_LOOK and len(seen_on) < FEWEST_SEEN:
            return
        sightings += _look_at(photo_set, looked_at, start)
    least = min((scaled.by for scaled in sightings), default=1.0)
    alike = group_alike([scaled.to(least) for scaled in sightings], LEAST_SHARING)
    for group in alike[:MOST_GROUPS]:
        photo_set.check_stop()
        yield [looked_at[at] for at in group]


@dataclass(frozen=True, eq=False)
class _Scaled:
    """What the finder saw on a photograph that was scaled. by: its edges, of their own length."""

    sighting: Sighting
    by: float

    def to(self, by: float) -> Sighting:
        """The same where photographs are scaled by no more than this one."""
        return self.sighting.scaled(by / self.by)


def _order(paths: Sequence[Path]) -> list[Path]:
    """Those to look at: first those of the first look, then others."""
    first = spread_evenly(paths, FIRST_LOOK)
    taken = set(first)
    return first + spread_evenly([path for path in paths if path not in taken], MOST_LOOKED_AT - len(first))


def _look_at(photo_set: PhotoSet, paths: Sequence[Path], start: int) -> list[_Scaled]:
    """What the finder sees on the next few photographs, none of them longer than they are compared."""
    ats = range(start, min(start + LOOK_TOGETHER, len(paths)))
    read = [(at, photo_set.read(paths[at])) for at in ats]
    there = [(at, replace(photo, asked_again=True)) for at, photo in read if photo is not None]
    found = photo_set.find([photo for _, photo in there]) if there else []
    return [
        scaled
        for (at, photo), detection in zip(there, found, strict=True)
        if detection is not None
        for scaled in _cut_all(at, photo, detection)
    ]


def _cut_all(at: int, photo: Photo, detection: Detection) -> Iterator[_Scaled]:
    by = min(1.0, WORKING_PX / max(photo.width, photo.height))
    small = shrink(photo.rgb_u8, by)
    for box in detection.boxes[:BOXES]:
        sighting = cut_sighting(at, detection.score, small, box.scaled(by))
        if sighting is not None:
            yield _Scaled(sighting, by)


def _are_same(one: Mark, other: Mark) -> bool:
    """Whether two marks are one: what photographs show on which it was not seen before.

    >>> mark = Mark(np.eye(9, dtype=np.float32), np.ones((9, 9, 3), np.float32))
    >>> _are_same(mark, mark), _are_same(mark, replace(mark, alpha=mark.alpha[::-1].copy()))
    (True, False)
    """
    within, small = _pad(one.alpha, other.alpha.shape), other.alpha
    spread = float(np.sqrt((small**2).sum() * (one.alpha**2).sum()))
    together = cv2.matchTemplate(within, small, cv2.TM_CCORR)
    return float(together.max()) > SAME * max(spread, 1e-6)


def _pad(alpha: FloatArray, room: tuple[int, ...]) -> FloatArray:
    """With so much room all round that a plane of that size can lie at every place."""
    return np.pad(alpha, ((room[0], room[0]), (room[1], room[1])))
