"""Folder mode's first pass where photographs share several marks, each on some of them or on all.

What most of the photographs share is looked for first (`survey`). Where the finder sees more on those that
carry it, the search begins anew on what they are without it. Then the finder looks at the others: photographs
on which it sees the same are a group, and each group is searched as a folder is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cleanplate.detect.consistent import WORKING_PX, shrink
from cleanplate.detect.resemble import Sighting, cut_sighting, group_alike
from cleanplate.engine.leads import FIRST_LOOK, LEAST_SHARING, LOOK_TOGETHER, spread_evenly
from cleanplate.engine.photoset import PhotoSet
from cleanplate.engine.stop import StoppedError
from cleanplate.engine.survey import SharedMark, find_shared_mark
from cleanplate.engine.unmarked import Unmarked
from cleanplate.structures import Detection, Mark, Photo

#: Photographs that the finder looks at for groups. The first ones are those of the first look: where it sees
#: something on fewer of them than `FEWEST_SEEN`, it looks at no more.
MOST_LOOKED_AT = 96
FEWEST_SEEN = 3
#: Boxes of a photograph that are compared, the largest first.
BOXES = 3
#: Groups that are searched, and marks that are kept.
MOST_GROUPS, MOST_MARKS = 6, 4


@dataclass(frozen=True, eq=False)
class SharedMarks:
    """What a search came to. marks: that of the most photographs first.

    others: whether many of the photographs that carry one of them carry other marks too.
    """

    marks: tuple[SharedMark, ...] = ()
    others: bool = False


def find_shared_marks(photo_set: PhotoSet) -> SharedMarks:
    """The marks that photographs share; none also when it was stopped.

    The finder is asked about photographs again where no mark is shared by most (`Photo.asked_again`).
    """
    try:
        return _Search(photo_set).find_all()
    except StoppedError:
        return SharedMarks()


class _Search:
    """The search of one folder, and what it has found so far. Every method raises StoppedError."""

    def __init__(self, photo_set: PhotoSet) -> None:
        self._photo_set = photo_set
        self._marks: list[SharedMark] = []
        #: What looked like a mark and is none, or in part: dates, for one.
        self._refused: list[SharedMark] = []
        self._others = False

    def find_all(self) -> SharedMarks:
        """What most share, again and again; then what some do."""
        rest = self._photo_set
        while self._add(rest):
            rest = self._unmark()
            if self._refused or not self._others:
                rest = rest.only(self._list_without())
                break
        if len(self._marks) < MOST_MARKS:
            for group in _list_groups(rest):
                self._add(rest.only(group), min(MOST_LOOKED_AT, len(rest.paths)))
        return SharedMarks(tuple(sorted(self._marks, key=lambda shared: -shared.sharing)), self._others)

    @property
    def _known(self) -> list[Mark]:
        return [shared.mark for shared in self._marks]

    def _unmark(self) -> PhotoSet:
        """The photographs without what was found on them."""
        return Unmarked(self._photo_set, self._known).photo_set if self._marks else self._photo_set

    def _list_without(self) -> list[Path]:
        """Photographs that were looked at and carry nothing that was found."""
        without = [set(shared.without) for shared in (*self._marks, *self._refused)]
        return [path for path in self._photo_set.paths if all(path in some for some in without)]

    def _add(self, photo_set: PhotoSet, chosen_from: int = 0) -> bool:
        """Look for a mark on photographs that is not known yet; whether there is anything like one.

        chosen_from: so many were looked at to choose them.
        """
        if len(self._marks) == MOST_MARKS:
            return False
        refused = [shared.mark for shared in self._refused]
        found = find_shared_mark(photo_set, [*self._known, *refused])
        if found is None:
            return False
        beneath = Unmarked(photo_set, [found.mark]).look_beneath(found.mark)
        mark = beneath.keep_gone()
        if mark is not found.mark:
            self._refused.append(found)
        if mark is None:
            return True
        looked_at = max(found.looked_at, chosen_from)
        self._marks.append(replace(found, mark=mark, looked_at=looked_at))
        if mark is not found.mark or len(self._marks) > 1:
            beneath = Unmarked(self._photo_set, self._known).look_beneath(mark)
        self._others = beneath.shows_others
        return True


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
