"""Where most of the photographs that share a mark have it."""

from __future__ import annotations

from collections import Counter

from cleanplate.engine.leads import FIRST_LOOK, spread_evenly
from cleanplate.engine.photoset import PhotoSet
from cleanplate.pipeline.known import KnownMarks
from cleanplate.structures import Mark, Placement

#: So many photographs, and half of those that show the mark, must have it at one place, that it is its own.
FEWEST_AT_PLACE = 3


def find_usual_place(mark: Mark, photo_set: PhotoSet) -> tuple[int, int, int, int] | None:
    """(left, top, width, height), in pixels: where most photographs of one size, of those that show the mark,
    have it, and that size. None where no place is usual. Raises StoppedError.
    """
    known, places = KnownMarks((mark,)), Counter[tuple[int, int, int, int]]()
    for path in spread_evenly(photo_set.paths, FIRST_LOOK):
        photo = photo_set.read(path)
        (found,) = known.locate([photo], photo_set.attempt) if photo is not None else (None,)
        if photo is not None and isinstance(found, Placement):
            places[round(found.left), round(found.top), photo.width, photo.height] += 1
    if not places:
        return None
    ((place, count),) = places.most_common(1)
    return place if count >= max(FEWEST_AT_PLACE, places.total() / 2) else None
