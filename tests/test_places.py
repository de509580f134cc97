"""Boxes and anchors as a user writes them."""

import pytest

from cleanplate.errors import InvalidSettingError
from cleanplate.places import Edges, parse_anchor, parse_box


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,0", "-1,2,3,4", "1.5,2,3,4"]
)
def test_no_box_is_refused_with_its_form(text):
    with pytest.raises(InvalidSettingError, match="900,700,200,60"):
        parse_box(text)


def test_a_box_may_have_spaces():
    assert parse_box("1, 2, 3, 4") == Edges(1, 2, 4, 6)


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("top-left:10%x10%", Edges(0, 0, 20, 10)),
        ("left-top:10%x10%", Edges(0, 0, 20, 10)),
        ("bottom:50%x10", Edges(50, 90, 150, 100)),
        ("right:7x100%", Edges(193, 0, 200, 100)),
        ("center:20x10", Edges(90, 45, 110, 55)),
        ("Bottom-Right:999x999", Edges(0, 0, 200, 100)),
        ("top:0.1%x0.1%", Edges(100, 0, 101, 1)),
    ],
)
def test_an_anchor_lies_where_it_says(text, edges):
    assert parse_anchor(text).place(100, 200) == edges


@pytest.mark.parametrize(
    "text",
    [
        *("", "top", "top:20%", "top:20%x", "middle:1x1"),
        *("top-top:1x1", "top-bottom:1x1", "left-right:1x1", "top-center:1x1"),
        *("top:0x5", "top:-1x4", "top:120%x5%"),
    ],
)
def test_no_anchor_is_refused_with_its_form(text):
    with pytest.raises(InvalidSettingError, match="bottom-right:20%x8%"):
        parse_anchor(text)
