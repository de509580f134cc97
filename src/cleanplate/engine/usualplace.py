"""Where most of the photographs that share a mark have it."""

from __future__ import annotations

from collections.abc import Sequence

from cleanplate.detect.gather import Seen
from cleanplate.structures import UsualPlace

#: So many photographs, and half of those that show the mark, must have it at one place, that it is its own.
FEWEST_AT_PLACE = 3
#: From where a mark may keep its distance; a place on photographs of one size comes first, as it says least.
_SIDES = (0.0, 1.0, 0.5)
_ANCHORS: tuple[tuple[float, float] | None, ...] = (None, *((x, y) for y in _SIDES for x in _SIDES))


def choose_place(seen: Sequence[Seen], size: tuple[int, ...]) -> UsualPlace | None:
    """The place that most photographs share; of several as good that from whose anchor the mark is nearest.

    seen: of each, where it has the mark (left, top), and its own size. size: the mark's (width, height).

    >>> choose_place([(80, 9, 100, 50), (100, 9, 120, 40), (80, 9, 100, 50), (7, 0, 120, 40)], (10, 5))
    UsualPlace(left=80, top=9, width=100, height=50, anchor=(1.0, 0.0))
    >>> choose_place([(80, 9, 100, 50)] * 3 + [(81, 9, 100, 50)], (10, 5))
    UsualPlace(left=80, top=9, width=100, height=50, anchor=None)
    """
    places = [UsualPlace(*one, anchor=anchor) for anchor in _ANCHORS for one in dict.fromkeys(seen)]
    if not places:
        return None
    counts = [sum(_is_at(place, one) for one in seen) for place in places]
    if max(counts) < max(FEWEST_AT_PLACE, len(seen) / 2):
        return None
    best = [place for place, count in zip(places, counts, strict=True) if count == max(counts)]
    return min(best, key=lambda place: _measure_distance(place, size))


def _measure_distance(place: UsualPlace, size: tuple[int, ...]) -> float:
    """How far the mark's middle is from its anchor, in parts of the photograph; without one it is nearest."""
    if place.anchor is None:
        return -1.0
    across = (place.left + size[0] / 2) / place.width
    down = (place.top + size[1] / 2) / place.height
    return abs(across - place.anchor[0]) + abs(down - place.anchor[1])


def _is_at(place: UsualPlace, seen: Seen) -> bool:
    left, top, width, height = seen
    return (left, top) in [(at.left, at.top) for at in place.on(width, height)]
