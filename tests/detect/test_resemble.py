"""Of what a finder saw on many photographs, what looks alike makes a group."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.detect import resemble
from cleanplate.detect.resemble import (
    MOST_PIXELS,
    Sighting,
    cut_sighting,
    find_alike_pieces,
    group_alike,
)
from cleanplate.marks import PlacedMark, composite, draw
from cleanplate.structures import Box, Mark
from tests.engine.sharing import SIZE, cut_photograph, draw_mark


def see(at: int, mark: Mark | None, left: int = 90, top: int = 120, off: int = 0) -> Sighting:
    """The finder's box round a mark, too small by `off` on the left; without a mark, one of the scene."""
    rgb = cut_photograph(at)
    height, width = (30, 120) if mark is None else mark.alpha.shape
    if mark is not None:
        rgb, _, _ = composite(rgb, [PlacedMark(mark, left, top)])
    photo = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    sighting = cut_sighting(at, 0.9 - 0.01 * at, photo, Box(left + off, top, left + width, top + height))
    assert sighting is not None
    return sighting


def test_photographs_with_the_same_mark_are_a_group_wherever_it_lies() -> None:
    one, other = draw_mark(), draw_mark(text="Foto Krug")
    sightings = [see(at, one, left=60 + 4 * at, top=100 + 3 * at, off=at % 3) for at in range(7)]
    sightings += [see(at, other) for at in range(7, 12)]
    sightings += [see(at, None) for at in range(12, 20)]
    assert group_alike(sightings, 5) == [list(range(7)), list(range(7, 12))]
    assert group_alike(sightings, 6) == [list(range(7))]


@pytest.mark.parametrize("count", [0, 8])
def test_scenes_are_no_group(count: int) -> None:
    assert group_alike([see(at, None) for at in range(count)], 4) == []


def test_flat_pieces_are_no_group() -> None:
    flat = np.full((*SIZE, 3), 128, np.uint8)
    sightings = [cut_sighting(at, 0.9, flat + np.uint8(at), Box(90, 120, 210, 150)) for at in range(8)]
    assert group_alike([sighting for sighting in sightings if sighting is not None], 4) == []


def test_a_mark_that_is_seen_in_colours_only_makes_a_group_too() -> None:
    """As light as what is behind it, on even ground."""
    shape = draw.draw_plate(90, 24, 0.5, (0.9, 0.35, 0.25))
    mark = draw.finish(shape, 0.8, "logo")
    sightings = []
    for at in range(6):
        photo = np.full((*SIZE, 3), 0.5, np.float32) + 0.002 * cut_photograph(at)
        marked, _, _ = composite(photo, [PlacedMark(mark, 100, 90)])
        piece = np.rint(np.clip(marked, 0, 1) * 255).astype(np.uint8)
        sighting = cut_sighting(at, 0.9, piece, Box(100, 90, 190, 114))
        assert sighting is not None
        sightings.append(sighting)
    assert group_alike(sightings, 5) == [list(range(6))]


def test_a_photograph_with_two_marks_is_in_two_groups() -> None:
    one, other = draw_mark(), draw_mark(text="Foto Krug")
    sightings = [see(at, one) for at in range(6)] + [see(at, other) for at in range(6, 11)]
    sightings.append(see(0, other, left=30, top=30))
    assert group_alike(sightings, 5) == [list(range(6)), [0, *range(6, 11)]]


def test_what_covers_too_much_is_not_compared() -> None:
    side = int(MOST_PIXELS**0.5) + 1
    assert cut_sighting(0, 0.9, np.zeros((side, side, 3), np.uint8), Box(0, 0, side, side)) is None


@pytest.mark.parametrize("compared_px", [100_000, 20_000])
def test_pieces_with_another_mark_at_the_same_place_are_told_apart(
    compared_px: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that were not compared, and on smaller pieces."""
    monkeypatch.setattr(resemble, "MOST_COMPARED", 16)
    monkeypatch.setattr(resemble, "COMPARED_PX", compared_px)
    one, other = draw_mark(), draw_mark(text="Foto Krug")
    marks = [one, one, other] * 10
    pieces = []
    for at, mark in enumerate(marks):
        marked, _, _ = composite(cut_photograph(at), [PlacedMark(mark, 90, 120)])
        pieces.append(np.rint(np.clip(marked, 0, 1) * 255).astype(np.uint8))
    height, width = one.alpha.shape
    where = Box(90, 120, 90 + width, 120 + height)
    kept = find_alike_pieces(pieces, where, 4)
    assert {at for at in kept if marks[at] is other} == set()
    assert len(kept) >= 18
    ones = [piece for piece, mark in zip(pieces, marks, strict=True) if mark is one]
    assert find_alike_pieces(ones, where, 4) == list(range(len(ones)))


def test_many_large_sightings_are_compared_in_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resemble, "MOST_TOGETHER", 60_000)
    sightings = [see(at, draw_mark()) for at in range(8)]
    assert sum(sighting.around[..., 0].size for sighting in sightings) > 90_000
    assert group_alike(sightings, 6) == [list(range(8))]
