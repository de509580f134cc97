"""What photographs share is told from what only some of them show."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.detect import gather
from cleanplate.detect.consistent import (
    Rule,
    cover_outline,
    extend_outline,
    find_consistent,
    find_outline,
    list_rules,
    shrink_together,
)
from cleanplate.detect.gather import (
    Window,
    cut_window,
    gather_around,
    lay_on_each_other,
    locate_anywhere,
    locate_near,
)
from cleanplate.detect.outlines import COLOURS, draw_field
from cleanplate.marks import PlacedMark, composite
from cleanplate.structures import FloatArray
from tests.engine.sharing import cut_photograph, draw_mark


def put(rgb: FloatArray, left: int, top: int) -> np.ndarray:
    marked, _, _ = composite(rgb, [PlacedMark(draw_mark(), left, top)])
    return np.rint(np.clip(marked, 0, 1) * 255).astype(np.uint8)


def shared(count: int = 10) -> list[np.ndarray]:
    return [put(cut_photograph(number), 60, 120) for number in range(count)]


def test_a_shared_outline_is_found_where_it_is() -> None:
    found = find_consistent(shared(), [Rule((1.0, 1.0))])
    assert found is not None
    height, width = draw_mark().alpha.shape
    assert abs(found.box.left - 60) < 10
    assert abs(found.box.bottom - 120 - height) < 10
    assert abs(found.box.width - width) < 16
    assert found.place(200, 280) == (found.box.left, found.box.top)


def test_photographs_that_share_nothing_have_none() -> None:
    clean = [np.rint(cut_photograph(number) * 255).astype(np.uint8) for number in range(10)]
    assert find_consistent(clean, [Rule((1.0, 1.0))]) is None


def draw_tinted(count: int) -> list[np.ndarray]:
    """Photographs under a mark that is as light as what is behind it: it changes their colour alone."""
    pictures = []
    for number in range(count):
        clean = cut_photograph(number)
        shape = draw_mark().alpha
        alpha = np.zeros(clean.shape[:2], np.float32)
        alpha[120 : 120 + shape.shape[0], 60 : 60 + shape.shape[1]] = 0.6 * (shape > 0.3)
        tint = clean.mean(axis=2, keepdims=True) + np.array([0.3, -0.3, 0.0], np.float32)
        marked = clean * (1 - alpha[..., None]) + alpha[..., None] * tint
        marked += (clean.mean(axis=2) - marked.mean(axis=2))[..., None]
        pictures.append(np.rint(np.clip(marked, 0, 1) * 255).astype(np.uint8))
    return pictures


def test_an_outline_that_shows_in_colours_only_is_found_and_located() -> None:
    photographs = draw_tinted(10)
    found = find_consistent(photographs, [Rule((1.0, 1.0))])
    assert found is not None
    assert found.manner in COLOURS
    assert abs(found.box.left - 60) < 10
    there = found.place(200, 280)
    located = [locate_near(p, found.field, there, 3, found.manner) for p in photographs]
    assert sum(place is not None and (place.left, place.top) == there for place in located) >= 8
    assert sum(locate_near(p, found.field, there, 3) is not None for p in photographs) < 5


def test_sizes_decide_which_rules_could_matter() -> None:
    assert list(list_rules([(100, 200)] * 3)) == [None]
    assert list(list_rules([(100, 200), (120, 240)])) == [None, "width", "long"]
    assert list(list_rules([(100, 200), (120, 200)])) == [None]


def test_scaled_to_one_width_photographs_have_it() -> None:
    sample = [(np.zeros((50, width, 3), np.uint8), (100, 2 * width)) for width in (60, 80, 100)]
    small, wanted = shrink_together(sample, "width")
    assert wanted == 160
    assert [picture.shape[1] for picture in small] == [160, 160, 160]


def test_an_outline_is_filled_and_extended() -> None:
    fields = [draw_field(picture / np.float32(255)) for picture in shared()]
    outline = find_outline(fields)
    extended = extend_outline(outline, fields)
    assert (extended | outline == extended).all()
    covered = cover_outline(extended, 7, 4)
    alpha = draw_mark().alpha
    inside = np.zeros(covered.shape, bool)
    inside[120 : 120 + alpha.shape[0], 60 : 60 + alpha.shape[1]] = alpha > 0.3
    assert covered[inside].mean() > 0.98


def test_an_outline_is_located_near_and_anywhere() -> None:
    found = find_consistent(shared(), [Rule((1.0, 1.0))])
    assert found is not None
    other = put(cut_photograph(30), 71, 60)
    place = locate_anywhere(draw_field(other / np.float32(255)), found.field)
    expected = (found.box.left + 11, found.box.top - 60)
    assert place is not None
    assert (place.left, place.top) == expected
    near = locate_near(other, found.field, (expected[0] + 2, expected[1] - 1), reach_px=3)
    assert near is not None
    assert (near.left, near.top) == expected
    clean = np.rint(cut_photograph(30) * 255).astype(np.uint8)
    assert locate_near(clean, found.field, expected, reach_px=3) is None


def test_one_photographs_piece_leads_to_what_all_share() -> None:
    rng = np.random.default_rng(1)
    places = [(60 + int(x), 100 + int(y)) for x, y in rng.integers(-20, 20, (10, 2))]
    pictures = [put(cut_photograph(n), *place) for n, place in enumerate(places)]
    fields = [draw_field(picture / np.float32(255)) for picture in pictures]
    left, top = places[0]
    template = np.ascontiguousarray(fields[0][top - 4 : top + 40, left - 4 : left + 150])
    _, located = gather_around(fields, template)
    good = [
        place is not None and abs(place.left - x + 4) <= 1 and abs(place.top - y + 4) <= 1
        for place, (x, y) in zip(located, places, strict=True)
    ]
    assert sum(good) >= 8


@pytest.mark.parametrize("whole", [True, False])
def test_pieces_are_laid_on_each_other(whole: bool) -> None:
    rng = np.random.default_rng(2)
    windows = []
    for number in range(10):
        x, y = (int(v) for v in rng.integers(-3, 4, 2))
        picture = put(cut_photograph(number), 60 + x, 120 + y)
        windows.append(Window(picture[100:190, 40:260], np.ones((90, 220), bool)))
    laid = lay_on_each_other(windows, 4, whole=whole)
    assert len(laid.crops) >= 8
    fields = [draw_field(crop / np.float32(255)) for crop in laid.crops]
    assert find_outline(fields).sum() > 500
    assert 0.1 < laid.mask.mean() < 0.7
    assert not laid.is_cut


def test_a_mark_that_goes_on_where_few_photographs_do_is_cut() -> None:
    windows = []
    for number in range(10):
        inside = np.ones((90, 220), bool)
        inside[:, 130 if number < 6 else 220 :] = False
        picture = put(cut_photograph(number), 60, 120)
        windows.append(Window(np.where(inside[..., None], picture[100:190, 40:260], 0), inside))
    laid = lay_on_each_other(windows, 4, whole=True)
    assert laid.is_cut
    assert not laid.mask[:, 130:].any()


def test_lettering_as_light_as_what_is_behind_it_is_seen_by_its_colour() -> None:
    windows = []
    for number in range(10):
        picture = put(cut_photograph(number), 60, 120)
        grey = picture.mean(axis=2, keepdims=True)
        tinted = (0.5 * grey + 0.5 * grey * np.array([0.2, 1.4, 1.4])).clip(0, 255)
        where = np.zeros(picture.shape[:2], bool)
        where[175:180, 60:200] = where[170:186, 90:94] = where[170:186, 150:154] = True
        picture = np.where(where[..., None], tinted, picture).astype(np.uint8)
        windows.append(Window(picture[100:200, 40:260], np.ones((100, 220), bool)))
    laid = lay_on_each_other(windows, 4, whole=True)
    assert laid.mask[75 - 4 : 80 - 4, 40:120].mean() > 0.8


@pytest.mark.parametrize(("left", "top"), [(3, 2), (-4, -9), (33, 25), (-60, 5), (50, 40), (-5, -50)])
def test_a_window_repeats_the_edge_of_the_photograph_wherever_it_lies(left: int, top: int) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    rows, columns = np.clip(np.arange(top, top + 14), 0, 29), np.clip(np.arange(left, left + 17), 0, 39)
    assert np.array_equal(cut_window(photo, left, top, 17, 14), photo[rows][:, columns])


def test_large_pieces_are_asked_at_half_the_size_where_the_mark_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [Window(photo, np.ones((200, 280), bool)) for photo in shared()]
    monkeypatch.setattr(gather, "LARGE_PX", 10_000)
    laid = lay_on_each_other(pieces, 3, whole=True)
    alpha = draw_mark().alpha
    drawn = np.zeros((200, 280), bool)
    drawn[120 : 120 + alpha.shape[0], 60 : 60 + alpha.shape[1]] = alpha > 0.1
    inner = drawn[3:-3, 3:-3]
    assert laid.mask.shape == inner.shape
    assert (laid.mask & inner).sum() > 0.98 * inner.sum()
    assert laid.mask.mean() < 0.4, "coarser, but not all there is"


@pytest.mark.parametrize("last", [0, 12, 25, 45])
def test_a_stop_is_heard_while_pieces_are_laid_on_each_other(
    monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    """While their fields are drawn, while they are laid, and while it is asked where the mark may lie."""
    monkeypatch.setattr(gather, "LARGE_PX", 10_000)
    asked = []

    def check_stop() -> None:
        if len(asked) == last:
            raise KeyError(last)
        asked.append(last)

    pieces = [Window(photo, np.ones((200, 280), bool)) for photo in shared()]
    with pytest.raises(KeyError):
        lay_on_each_other(pieces, 3, whole=True, check_stop=check_stop)
