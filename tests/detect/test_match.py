"""Known marks are found where they are, to a fraction of a pixel, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageFont
from skimage import data

from cleanplate.detect.match import find_mark, find_near
from cleanplate.marks import PlacedMark, composite, draw
from cleanplate.marks.place import scale_mark
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.structures import FloatArray, Mark, Placement


def draw_mark(opacity: float = 0.5, size_px: int = 34, text: str = "Anna Berg") -> Mark:
    return draw.finish(draw.draw_text(text, ImageFont.load_default(size_px)), opacity, "text")


def photograph(name: str = "astronaut") -> FloatArray:
    return np.asarray(getattr(data, name)()[..., :3], np.float32) / np.float32(255)


def put(rgb: FloatArray, places: list[tuple[Mark, int, int]], quality: int = 90) -> FloatArray:
    marked, _, _ = composite(rgb, [PlacedMark(*place) for place in places])
    u8 = np.rint(np.clip(marked, 0, 1) * 255).astype(np.uint8)
    return decode_jpeg(encode_jpeg(u8, quality)).astype(np.float32) / np.float32(255)


@pytest.mark.parametrize(("left", "top"), [(11, 17), (203, 300)])
def test_where_no_other_size_is_tried_none_is_found(left: int, top: int) -> None:
    marked = put(photograph(), [(scale_mark(draw_mark(), 1.02), left, top)])
    found = find_mark(marked, draw_mark(), other_scales=False)
    assert len(found) == 1
    assert found[0].scale == 1
    assert abs(found[0].left - left) <= 4
    assert abs(found[0].top - top) <= 4
    assert any(place.scale != 1 for place in find_mark(marked, draw_mark()))


@pytest.mark.parametrize(("left", "top"), [(11, 17), (203, 300), (340, 460)])
def test_a_mark_in_its_own_size_is_found_to_half_a_pixel(left: int, top: int) -> None:
    mark = draw_mark()
    found = find_mark(put(photograph(), [(mark, left, top)]), mark)
    assert len(found) == 1
    assert abs(found[0].left - left) <= 0.5
    assert abs(found[0].top - top) <= 0.5
    assert found[0].scale == 1


@pytest.mark.parametrize("scale", [0.6, 0.85, 1.3, 1.8])
def test_a_mark_in_another_size_is_found(scale: float) -> None:
    mark = draw_mark()
    drawn = scale_mark(mark, scale)
    (found,) = find_mark(put(photograph(), [(drawn, 90, 200)]), mark)
    assert abs(found.left - 90) <= 1
    assert abs(found.top - 200) <= 1
    assert abs(found.left + found.scale * mark.alpha.shape[1] - 90 - drawn.alpha.shape[1]) <= 1.5


def test_a_mark_that_is_not_there_is_not_found() -> None:
    for name in ("astronaut", "coffee", "chelsea"):
        assert find_mark(photograph(name), draw_mark()) == []


def test_a_dark_mark_and_one_of_middling_colour_are_found() -> None:
    mark = draw_mark(0.7)
    for grey in (0.0, 0.5):
        tinted = Mark(mark.alpha, np.full_like(mark.rgb, grey))
        (found,) = find_mark(put(photograph("chelsea"), [(tinted, 60, 100)]), tinted)
        assert (round(found.left), round(found.top)) == (60, 100)


def test_every_place_of_a_repeated_mark_is_found() -> None:
    mark = draw_mark(0.6, 24)
    places = [(mark, 20 + 170 * column, 30 + 110 * row) for row in range(4) for column in range(3)]
    found = find_mark(put(photograph(), places), mark)
    near = {(round(place.left), round(place.top)) for place in found}
    assert len(found) == 12
    assert near == {(left, top) for _, left, top in places}


def test_a_mark_reaching_over_the_edge_is_found() -> None:
    mark = draw_mark(0.7, 40)
    (found,) = find_mark(put(photograph(), [(mark, -12, 250)]), mark)
    assert abs(found.left + 12) <= 0.5


def test_empty_margins_of_the_file_count_for_the_place() -> None:
    mark = draw_mark()
    wide = Mark(np.pad(mark.alpha, 30), np.pad(mark.rgb, ((30, 30), (30, 30), (0, 0))))
    (found,) = find_mark(put(photograph(), [(mark, 100, 80)]), wide)
    assert (found.left, found.top) == (70, 50)


def test_near_an_expected_place_it_is_found_quickly_or_not_at_all() -> None:
    mark = draw_mark()
    marked = put(photograph(), [(mark, 103, 80)])
    near = find_near(marked, mark, Placement(100, 82), reach_px=4)
    assert near is not None
    assert (near.left, near.top) == (103, 80)
    assert find_near(photograph(), mark, Placement(100, 82), reach_px=4) is None


def test_a_mark_larger_than_the_photograph_is_not_found() -> None:
    assert find_mark(photograph()[:60, :60], draw_mark(0.5, 120), other_scales=False) == []


def test_a_mark_that_fits_at_no_size_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cleanplate.detect.match.draw_outline", lambda *_: pytest.fail("it was drawn"))
    assert (
        find_mark(
            photograph()[:60, :80], Mark(np.ones((400, 700), np.float32), np.ones((400, 700, 3), np.float32))
        )
        == []
    )
