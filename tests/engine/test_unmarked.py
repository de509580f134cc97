"""Photographs without marks that are known, and what is seen on them then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cleanplate.detect.mask import detect_from_probability
from cleanplate.engine.photoset import PhotoSet
from cleanplate.engine.stop import StoppedError
from cleanplate.engine.unmarked import FIRST_ASKED, Beneath, Unmarked
from cleanplate.pipeline.known import Taken
from cleanplate.structures import BoolArray, Detection, FloatArray, Mark, Photo, Placement
from tests.engine.sharing import SIZE, draw_mark, find_place, write_folder
from tests.engine.test_survey import make_photo_set

MARK = draw_mark()


class Finder:
    """Sees what it is told to, and counts."""

    def __init__(self, *seen: tuple[slice, slice]) -> None:
        self.seen = seen
        self.asked: list[Photo] = []

    def __call__(self, photos: Sequence[Photo]) -> list[Detection | None]:
        self.asked += photos
        return [self._look(photo) for photo in photos]

    def _look(self, photo: Photo) -> Detection:
        probability = np.zeros(photo.rgb.shape[:2], np.float32)
        for where in self.seen:
            probability[where] = 1
        return detect_from_probability(probability)


def place() -> tuple[slice, slice]:
    left, top = find_place(MARK)
    return slice(top, top + MARK.alpha.shape[0]), slice(left, left + MARK.alpha.shape[1])


ELSEWHERE = (slice(5, 25), slice(5, 60))


def test_photographs_come_without_the_mark(tmp_path: Path) -> None:
    clean = write_folder(tmp_path, 4, mark=MARK)
    photo_set = Unmarked(make_photo_set(tmp_path), [MARK]).photo_set
    for path, rgb in clean.items():
        photo = photo_set.read(path)
        assert photo is not None
        assert np.abs(photo.rgb[place()] / 255 - rgb[place()]).mean() < 0.02


def test_photographs_that_carry_none_come_as_they_are(tmp_path: Path) -> None:
    write_folder(tmp_path, 2)
    plain = make_photo_set(tmp_path)
    photo_set = Unmarked(plain, [MARK]).photo_set
    for path in plain.paths:
        before, after = plain.read(path), photo_set.read(path)
        assert before is not None
        assert after is not None
        np.testing.assert_array_equal(before.rgb, after.rgb)


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    photo_set = PhotoSet(paths=[tmp_path / "a.jpg"], read_photo=lambda _: None)
    unmarked = Unmarked(photo_set, [MARK])
    assert unmarked.photo_set.read(tmp_path / "a.jpg") is None
    assert unmarked.look_beneath(MARK).asked == 0


def test_what_is_seen_at_the_mark_is_not_told(tmp_path: Path) -> None:
    write_folder(tmp_path, 2, mark=MARK)
    finder = Finder(place(), ELSEWHERE)
    photo_set = Unmarked(make_photo_set(tmp_path, find_marks=finder), [MARK]).photo_set
    photos = [photo_set.read(path) for path in photo_set.paths]
    found = photo_set.find([replace(photo, asked_again=True) for photo in photos if photo is not None])
    assert [len(one.boxes) for one in found if one is not None] == [1, 1]
    assert all(one.boxes[0].top == 5 for one in found if one is not None)
    assert not any(photo.asked_again for photo in finder.asked)  # a run shows other pixels


def test_a_mark_that_comes_off_is_kept(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, mark=MARK)
    finder = Finder()
    beneath = Unmarked(make_photo_set(tmp_path, find_marks=finder), [MARK]).look_beneath(MARK)
    assert beneath.keep_gone() is MARK
    assert not beneath.shows_others
    assert beneath.asked == len(finder.asked) == FIRST_ASKED


def test_a_mark_that_is_still_seen_is_none(tmp_path: Path) -> None:
    write_folder(tmp_path, 8, mark=MARK)
    beneath = Unmarked(make_photo_set(tmp_path, find_marks=Finder(place())), [MARK]).look_beneath(MARK)
    assert beneath.keep_gone() is None
    assert not beneath.shows_others


def test_other_marks_are_told(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, mark=MARK)
    finder = Finder(ELSEWHERE)
    beneath = Unmarked(make_photo_set(tmp_path, find_marks=finder), [MARK]).look_beneath(MARK)
    assert beneath.shows_others
    assert beneath.asked == FIRST_ASKED
    assert beneath.keep_gone() is MARK


def test_other_marks_on_some_photographs_take_a_longer_look(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, mark=MARK)

    def look(photos: Sequence[Photo]) -> list[Detection | None]:
        return Finder(ELSEWHERE)(photos) if int(photos[0].path.stem) % 2 else [None]

    beneath = Unmarked(make_photo_set(tmp_path, find_marks=look), [MARK]).look_beneath(MARK)
    assert (beneath.asked, beneath.with_others) == (12, 6)
    assert beneath.shows_others


def test_photographs_without_the_mark_do_not_count(tmp_path: Path) -> None:
    write_folder(tmp_path, 9)
    finder = Finder(ELSEWHERE)
    beneath = Unmarked(make_photo_set(tmp_path, find_marks=finder), [MARK]).look_beneath(MARK)
    assert beneath.asked == len(finder.asked) == 0
    assert not beneath.shows_others


def test_a_stop_is_heard(tmp_path: Path) -> None:
    write_folder(tmp_path, 8, mark=MARK)
    finder = Finder()
    photo_set = make_photo_set(tmp_path, find_marks=finder, is_stopping=lambda: len(finder.asked) > 2)
    with pytest.raises(StoppedError):
        Unmarked(photo_set, [MARK]).look_beneath(MARK)


def draw_two_parts() -> Mark:
    alpha = np.zeros((60, 200), np.float32)
    alpha[5:15, 5:60] = alpha[45:55, 130:190] = 0.5
    return Mark(alpha, np.ones((60, 200, 3), np.float32))


def taken_at(mark: Mark, left: int, top: int) -> Taken:
    opacity: FloatArray = np.zeros(SIZE, np.float32)
    height, width = mark.alpha.shape
    opacity[top : top + height, left : left + width] = mark.alpha
    rgb = np.zeros((*SIZE, 3), np.uint8)
    return Taken(rgb, detect_from_probability(np.ceil(opacity)), (), ((mark, Placement(left, top)),))


def see(*where: tuple[slice, slice]) -> Detection:
    mask: BoolArray = np.zeros(SIZE, bool)
    for part in where:
        mask[part] = True
    return detect_from_probability(mask.astype(np.float32))


@pytest.mark.parametrize("still", [0, 4, 5, 8])
def test_of_a_mark_the_parts_that_come_off_are_kept(still: int) -> None:
    """Lettering of which every photograph has its own lies beside a logo: only the logo is shared."""
    mark = draw_two_parts()
    beneath = Beneath(mark)
    for number in range(8):
        left, top = 10 + number, 90 - number
        upper = (slice(top + 5, top + 15), slice(left + 5, left + 60))
        beneath.add(see(upper) if number < still else None, taken_at(mark, left, top))
    kept = beneath.keep_gone()
    assert kept is not None
    if still < 5:
        assert kept is mark
    else:
        assert kept.alpha[:30].max() == 0
        np.testing.assert_array_equal(kept.alpha[30:], mark.alpha[30:])
    assert not beneath.shows_others


def test_a_part_that_is_cut_off_on_a_photograph_does_not_count_there() -> None:
    """Three photographs show all of it, and the finder still sees its upper part; on five that is outside."""
    mark = draw_two_parts()
    beneath = Beneath(mark)
    for _ in range(3):
        beneath.add(see((slice(95, 105), slice(15, 70))), taken_at(mark, 10, 90))
    for _ in range(5):
        rgb = np.zeros((*SIZE, 3), np.uint8)
        opacity = np.zeros(SIZE, np.float32)
        opacity[:30, 10 : 10 + mark.alpha.shape[1]] = mark.alpha[30:]
        beneath.add(
            None, Taken(rgb, detect_from_probability(np.ceil(opacity)), (), ((mark, Placement(10, -30)),))
        )
    kept = beneath.keep_gone()
    assert kept is not None
    assert kept.alpha[:30].max() == 0
    assert kept.alpha[30:].max() > 0
