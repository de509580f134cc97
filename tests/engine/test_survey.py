"""A mark that photographs share is found, whatever their sizes; where none is shared, none is made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cleanplate.detect import consistent
from cleanplate.detect.mask import detect_from_probability
from cleanplate.engine import leads, survey
from cleanplate.engine.photoset import PhotoSet, find_no_marks
from cleanplate.engine.stop import StoppedError
from cleanplate.engine.survey import SharedMark, find_shared_mark, see_alike
from cleanplate.images.read import read
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.place import trim_mark
from cleanplate.marks.sample import encode_jpeg
from cleanplate.models.request import Request, plainly
from cleanplate.structures import Detection, FloatArray, Photo
from tests.engine.sharing import SIZE, draw_mark, find_place, write_folder


def read_photo(path: Path) -> Photo | None:
    return read(path, max_megapixels=10)


def make_photo_set(folder: Path, **hooks) -> PhotoSet:
    return PhotoSet(**({"paths": sorted(folder.iterdir()), "read_photo": read_photo} | hooks))


def find(folder: Path, look=find_no_marks, **hooks) -> SharedMark | None:
    return find_shared_mark(make_photo_set(folder, find_marks=look, **hooks))


def agrees(found: SharedMark, opacity: float) -> bool:
    """Whether the estimate has the mark's size and, in the middle of its strokes, its opacity."""
    true, _, _ = trim_mark(draw_mark(opacity), 0.05)
    estimate, _, _ = trim_mark(found.mark, 0.15)
    near = [abs(a - b) <= 8 for a, b in zip(true.alpha.shape, estimate.alpha.shape, strict=True)]
    return all(near) and abs(float(np.percentile(estimate.alpha, 97)) - opacity) < 0.1


@pytest.mark.parametrize("grow_px", [0, 7])
def test_a_mark_in_one_corner_is_worked_out(tmp_path: Path, grow_px: int) -> None:
    write_folder(tmp_path, 12, mark=draw_mark(), grow_px=grow_px)
    found = find(tmp_path)
    assert found is not None
    assert found.sharing >= 10
    assert found.mark.kind == FIXED_SIZE
    assert agrees(found, 0.55)
    place, (left, top) = found.mark.place, find_place(draw_mark())
    assert place is not None
    (there,) = place.on(SIZE[1], SIZE[0])
    assert abs(there.left - left) <= 8
    assert abs(there.top - top) <= 8
    assert place.anchor == ((1, 1) if grow_px else None), "no two photographs have one size, or all"


def test_margins_of_large_photographs_are_found_in_a_small_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the size in which photographs are compared; then pieces are cut once, as large as the mark needs."""
    for module in (consistent, leads):
        monkeypatch.setattr(module, "WORKING_PX", SIZE[1] // 2)
    gathered = []
    gather = survey._Gatherer._gather

    def note(self: survey._Gatherer, paths: Sequence[Path]):
        pieces = gather(self, paths)
        gathered.append((self.lead.own_px, None if pieces is None else pieces.mask.shape))
        return pieces

    monkeypatch.setattr(survey._Gatherer, "_gather", note)
    write_folder(tmp_path, 12, mark=draw_mark())
    found = find(tmp_path)
    assert found is not None
    assert agrees(found, 0.55)
    assert [own_px for own_px, _ in gathered] == [1.0, 2.0]
    rough, full = (shape for _, shape in gathered)
    assert rough is not None
    assert full is not None
    assert rough[0] < full[0] < 2 * rough[0]
    assert rough[1] < full[1] < 2 * rough[1], "what is not needed round it is left out"


def look_at_the_corner(photos: Sequence[Photo]) -> list[Detection | None]:
    found: list[Detection | None] = []
    for photo in photos:
        probability: FloatArray = np.zeros(photo.rgb.shape[:2], np.float32)
        probability[-90:, -210:] = photo.asked_again  # pieces are shown without being shown again
        found.append(detect_from_probability(probability))
    return found


def test_a_mark_that_lies_anywhere_is_worked_out_with_the_finders_help(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, mark=draw_mark(0.7), jitter_px=20)
    found = find(tmp_path, look_at_the_corner)
    assert found is not None
    assert found.sharing >= 8
    assert found.mark.place is None


def test_a_mark_that_lies_anywhere_may_show_in_its_colour_alone(tmp_path: Path) -> None:
    """As light as much of what is behind it: its edges rise here and fall there, in grey."""
    write_folder(tmp_path, 12, mark=draw_mark(0.7, (0.1, 0.45, 0.9)), jitter_px=20)
    found = find(tmp_path, look_at_the_corner)
    assert found is not None
    assert found.sharing >= 8


def look_where_it_is(photos: Sequence[Photo]) -> list[Detection | None]:
    """Sees the mark of `write_folder` on every second photograph, and on no pieces of them."""
    shape, (left, top) = draw_mark().alpha, find_place(draw_mark())
    found: list[Detection | None] = []
    for photo in photos:
        probability: FloatArray = np.zeros(photo.rgb.shape[:2], np.float32)
        if photo.asked_again and int(photo.path.stem) % 2 == 0:
            probability[top : top + shape.shape[0], left : left + shape.shape[1]] = shape > 0.1
        found.append(detect_from_probability(probability))
    return found


def test_a_mark_that_gradients_do_not_show_is_worked_out_where_the_finder_sees_it(tmp_path: Path) -> None:
    write_folder(tmp_path, 8, mark=draw_mark(0.5, (0.5, 0.5, 0.5)))
    assert find(tmp_path) is None
    found = find(tmp_path, look_where_it_is)
    assert found is not None
    assert found.mark.photographs == found.sharing >= 6


def test_what_the_finder_sees_at_one_place_in_several_pieces_is_part_of_the_mark() -> None:
    pieces = [np.zeros((40, 60, 3), np.uint8)] * 12

    def look(photos: Sequence[Photo]) -> list[Detection | None]:
        found: list[Detection | None] = []
        for at, photo in enumerate(photos):
            probability: FloatArray = np.zeros(photo.rgb.shape[:2], np.float32)
            probability[10:20, 10:50] = at < 2
            probability[30:38, at * 7 : at * 7 + 6] = 1
            assert photo.glance
            found.append(detect_from_probability(probability))
        return [*found[:-1], None]

    seen = see_alike(pieces, look)
    assert seen[15, 30]
    assert not seen[34].any()
    assert not see_alike(pieces, find_no_marks).any()


def test_the_finder_is_shown_photographs_as_the_run_shows_them(tmp_path: Path) -> None:
    write_folder(tmp_path, 9)
    shown: list[Photo] = []

    def look(photos: Sequence[Photo]) -> list[Detection | None]:
        shown.extend(photos)
        return [None] * len(photos)

    assert find(tmp_path, look) is None
    assert [photo.path for photo in shown] == sorted(tmp_path.iterdir())
    assert all(photo.asked_again for photo in shown)
    first = read_photo(shown[0].path)
    assert first is not None
    assert np.array_equal(shown[0].rgb, first.rgb)


def test_a_pattern_that_goes_on_beyond_the_smaller_photographs_is_left_to_the_ordinary_way(
    tmp_path: Path,
) -> None:
    one = draw_mark(0.6)
    height, width = one.alpha.shape
    alpha = np.tile(np.pad(one.alpha, ((8, 8), (10, 10))), (8, 4))
    rgb = np.tile(np.pad(one.rgb, ((8, 8), (10, 10), (0, 0)), mode="edge"), (8, 4, 1))
    for at, count in ((0, 12), (7, 12)):
        folder = tmp_path / str(at)
        for path, clean in write_folder(folder, count, grow_px=at).items():
            shape = alpha[: clean.shape[0], : clean.shape[1], None]
            marked = clean * (1 - shape) + shape * rgb[: clean.shape[0], : clean.shape[1]]
            path.write_bytes(encode_jpeg(np.rint(marked.clip(0, 1) * 255).astype(np.uint8), 92))
    found = find(tmp_path / "0")
    assert found is not None
    assert found.mark.alpha.shape[0] > 3 * height
    assert found.mark.alpha.shape[1] > width
    assert find(tmp_path / "7") is None


@pytest.mark.parametrize("count", [5, 12])
def test_where_none_is_shared_none_is_found(tmp_path: Path, count: int) -> None:
    write_folder(tmp_path, count)
    assert find(tmp_path) is None


def test_too_few_photographs_are_not_looked_at(tmp_path: Path) -> None:
    write_folder(tmp_path, 5, mark=draw_mark())

    def read_nothing(path: Path) -> Photo | None:
        raise AssertionError(path)

    assert find(tmp_path, read_photo=read_nothing) is None


def test_photographs_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, mark=draw_mark())
    broken = {"03.jpg", "07.jpg"}
    found = find(tmp_path, read_photo=lambda path: None if path.name in broken else read_photo(path))
    assert found is not None
    assert found.looked_at == 10


def test_one_scene_over_and_over_is_no_mark(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", 1)
    (one,) = (tmp_path / "one").iterdir()
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(one.read_bytes())
    one.unlink()
    (tmp_path / "one").rmdir()
    assert find(tmp_path) is None
    assert find(tmp_path, look_at_the_corner) is None


def test_it_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    write_folder(tmp_path, 12, mark=draw_mark())
    with pytest.raises(StoppedError):
        find(tmp_path, is_stopping=lambda: True)


def test_a_stop_is_heard_between_photographs_that_the_finder_is_asked_about() -> None:
    asked: list[int] = []

    def look(photos: Sequence[Photo]) -> list[Detection | None]:
        asked.append(len(photos))
        return [None] * len(photos)

    photos = [Photo(Path("a.png"), np.zeros((8, 8, 3), np.uint8), None)] * 5
    photo_set = PhotoSet(paths=[], read_photo=read_photo, find_marks=look)
    assert photo_set.find(photos) == [None] * 5
    assert sum(asked) == 5
    asked.clear()
    with pytest.raises(StoppedError):
        replace(photo_set, is_stopping=lambda: bool(asked)).find(photos)
    assert len(asked) == 1


def test_a_stop_is_heard_within_the_estimate(tmp_path: Path) -> None:
    """It comes when the estimate is at work, which then does not come to its end."""
    write_folder(tmp_path, 12, mark=draw_mark())
    happened: list[str] = []

    def attempt(request: Request) -> list:
        happened.append("begun")
        results = plainly(request)
        happened.append("ended")
        return results

    def is_stopping() -> bool:
        if "begun" in happened:
            happened.append("asked")
        return happened.count("asked") > 60  # more than there are crops to begin with

    with pytest.raises(StoppedError):
        find(tmp_path, attempt=attempt, is_stopping=is_stopping)
    assert happened == ["begun", *["asked"] * 61]
