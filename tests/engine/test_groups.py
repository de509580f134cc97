"""A folder with several marks, each on some of its photographs: all of them are worked out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cleanplate.detect.mask import detect_from_probability
from cleanplate.engine import groups
from cleanplate.engine.groups import find_shared_marks
from cleanplate.engine.photoset import PhotoSet
from cleanplate.marks.place import trim_mark
from cleanplate.structures import Detection, FloatArray, Mark, Photo
from tests.engine.sharing import draw_mark, write_folder
from tests.engine.test_survey import make_photo_set

ONE, OTHER = draw_mark(), draw_mark(0.6, text="Foto Krug")


class Finder:
    """Sees marks where they are. clean: the photographs without them, by their file."""

    def __init__(self, clean: dict[Path, FloatArray]) -> None:
        self.clean = clean
        self.asked: list[Path] = []

    def __call__(self, photos: Sequence[Photo]) -> list[Detection | None]:
        return [self._look(photo) for photo in photos]

    def _look(self, photo: Photo) -> Detection | None:
        self.asked.append(photo.path)
        if photo.path not in self.clean:
            return None  # a piece that the survey shows
        differs = np.abs(photo.rgb / 255 - self.clean[photo.path]).max(axis=2) > 0.15
        return detect_from_probability(differs.astype(np.float32))


def draw(folder: Path, ones: int, others: int, clean: int, grow_px: int = 0) -> tuple[PhotoSet, Finder]:
    finder = Finder(write_folder(folder, ones, mark=ONE, grow_px=grow_px))
    finder.clean |= write_folder(folder, others, mark=OTHER, grow_px=grow_px, first=ones)
    finder.clean |= write_folder(folder, clean, grow_px=grow_px, first=ones + others)
    return make_photo_set(folder, find_marks=finder), finder


def measure_widths(photo_set: PhotoSet) -> list[int]:
    return [trim_mark(shared.mark, 0.15)[0].alpha.shape[1] for shared in find_shared_marks(photo_set).marks]


@pytest.mark.parametrize("grow_px", [0, 3])
def test_two_marks_each_on_a_third_are_both_found(tmp_path: Path, grow_px: int) -> None:
    photo_set, _ = draw(tmp_path, 10, 9, 9, grow_px)
    found = find_shared_marks(photo_set).marks
    assert len(found) == 2
    assert sorted(shared.sharing for shared in found) == pytest.approx([9, 10], abs=2)
    widths = [trim_mark(shared.mark, 0.15)[0].alpha.shape[1] for shared in found]
    for mark in (ONE, OTHER):
        wanted = trim_mark(mark, 0.05)[0].alpha.shape[1]
        assert min(abs(width - wanted) for width in widths) <= 8


def test_beside_a_mark_that_most_carry_another_one_is_found(tmp_path: Path) -> None:
    photo_set, _ = draw(tmp_path, 16, 7, 0)
    found = find_shared_marks(photo_set).marks
    assert len(found) == 2
    assert found[0].sharing >= 13
    assert found[1].sharing >= 6


def test_one_mark_is_not_found_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though some of the photographs that carry it were taken for others."""
    photo_set, _ = draw(tmp_path, 18, 0, 0)
    search = groups.find_shared_mark

    def forget_some(some: PhotoSet, known: Sequence[Mark]):
        found = search(some, known)
        if found is not None and len(some.paths) == 18:
            object.__setattr__(found, "without", tuple(some.paths[:8]))
        return found

    monkeypatch.setattr(groups, "find_shared_mark", forget_some)
    assert len(find_shared_marks(photo_set).marks) == 1


def test_where_the_finder_sees_next_to_nothing_it_is_not_asked_about_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "FIRST_LOOK", 8)
    photo_set, finder = draw(tmp_path, 0, 2, 28)
    assert find_shared_marks(photo_set).marks == ()
    assert len(set(finder.asked)) <= 24 + 4  # what the survey asked about, and no more than a look beyond


def test_a_stop_ends_the_search(tmp_path: Path) -> None:
    photo_set, finder = draw(tmp_path, 8, 7, 7)
    halted = make_photo_set(tmp_path, find_marks=finder, is_stopping=lambda: len(finder.asked) > 25)
    assert find_shared_marks(photo_set).marks
    assert find_shared_marks(halted).marks == ()


def draw_both(folder: Path, also: Callable[[int], Mark]) -> PhotoSet:
    """Photographs of growing sizes: what most share is at the lower corner, the other mark at the upper."""
    finder = Finder(write_folder(folder, 16, mark=ONE, grow_px=3, also=also))
    return make_photo_set(folder, find_marks=finder)


def test_a_second_mark_on_the_same_photographs_is_found(tmp_path: Path) -> None:
    found = find_shared_marks(draw_both(tmp_path, lambda _: OTHER))
    assert len(found.marks) == 2
    assert not found.others  # both are off then
    widths = sorted(trim_mark(shared.mark, 0.15)[0].alpha.shape[1] for shared in found.marks)
    wanted = sorted(trim_mark(mark, 0.05)[0].alpha.shape[1] for mark in (ONE, OTHER))
    assert widths == pytest.approx(wanted, abs=8)


def test_marks_of_their_own_beside_a_shared_one_are_left_to_the_run(tmp_path: Path) -> None:
    """Dates, each of its own day, look like one mark from afar."""
    days = ["24 18:06", "17 09:41", "03 22:57", "29 13:35", "11 07:20", "08 16:48"]
    found = find_shared_marks(draw_both(tmp_path, lambda number: draw_mark(0.9, text=days[number % 6])))
    assert len(found.marks) == 1
    assert found.others
    wanted = trim_mark(ONE, 0.05)[0].alpha.shape[1]
    assert abs(trim_mark(found.marks[0].mark, 0.15)[0].alpha.shape[1] - wanted) <= 8
