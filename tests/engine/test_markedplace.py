"""The mark that photographs share where a person has painted is worked out; nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cleanplate.engine.markedplace import PlacedMark, find_mark_at
from cleanplate.engine.photoset import PhotoSet
from cleanplate.images.read import read
from cleanplate.structures import BoolArray, Mark, Photo
from tests.engine.sharing import SIZE, draw_mark, find_place, write_folder


def read_photo(path: Path) -> Photo | None:
    return read(path, max_megapixels=10)


def paint(mark: Mark, grow_px: int = 3) -> BoolArray:
    """A hand's mask over the mark: its box and a little more."""
    painted = np.zeros(SIZE, bool)
    left, top = find_place(mark)
    height, width = mark.alpha.shape
    painted[top - grow_px : top + height + grow_px, left - grow_px : left + width + grow_px] = True
    return painted


def find(folder: Path, painted: BoolArray, **hooks) -> PlacedMark | None:
    paths = sorted(folder.iterdir())
    return find_mark_at(PhotoSet(paths=paths, read_photo=read_photo, **hooks), painted)


def test_the_mark_is_worked_out_where_it_lies(tmp_path: Path) -> None:
    mark = draw_mark()
    write_folder(tmp_path, 12, mark=mark)
    found = find(tmp_path, paint(mark))
    assert found is not None
    assert found.looked_at == 12
    assert found.sharing >= 10
    assert abs(float(np.percentile(found.mark.alpha, 97)) - 0.55) < 0.1
    left, top = find_place(mark)
    drawn_top, drawn_left = np.argwhere(mark.alpha > 0.3).min(axis=0)
    found_top, found_left = np.argwhere(found.mark.alpha > 0.2).min(axis=0)
    assert abs(found.placement.left + found_left - left - drawn_left) <= 3
    assert abs(found.placement.top + found_top - top - drawn_top) <= 3


def test_what_is_shared_outside_the_painted_place_is_left_alone(tmp_path: Path) -> None:
    mark = draw_mark()
    write_folder(tmp_path, 12, mark=mark)
    left, _ = find_place(mark)
    half = left + mark.alpha.shape[1] // 2
    painted = paint(mark)
    painted[:, half:] = False
    found = find(tmp_path, painted)
    assert found is not None
    assert found.placement.left + found.mark.alpha.shape[1] <= half + 8


def test_where_no_mark_is_painted_over_there_is_none(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, mark=draw_mark())
    painted = np.zeros(SIZE, bool)
    painted[20:60, 30:120] = True
    assert find(tmp_path, painted) is None


def test_too_few_photographs_of_that_size_or_a_stop_give_none(tmp_path: Path) -> None:
    mark = draw_mark()
    write_folder(tmp_path / "few", 5, mark=mark)
    assert find(tmp_path / "few", paint(mark)) is None
    write_folder(tmp_path / "sizes", 9, mark=mark, grow_px=7)
    assert find(tmp_path / "sizes", paint(mark)) is None
    write_folder(tmp_path / "many", 9, mark=mark)
    assert find(tmp_path / "many", paint(mark), is_stopping=lambda: True) is None
