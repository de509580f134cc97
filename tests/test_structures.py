"""Boxes are rectangles; photographs can be looked at in 8 bits."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.structures import Box, Photo

edges = st.integers(-50, 50)
sizes = st.integers(1, 60)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), edges, edges, sizes, sizes)


@given(boxes, boxes)
def test_a_union_holds_both_and_overlap_is_mutual(one, other):
    both = one.union(other)
    assert both.area >= max(one.area, other.area)
    assert both.union(one) == both
    assert one.overlaps(other) == other.overlaps(one)
    assert one.overlaps(other) == (intersection(one, other) > 0)


def intersection(one: Box, other: Box) -> int:
    left, top = max(one.left, other.left), max(one.top, other.top)
    right, bottom = min(one.right, other.right), min(one.bottom, other.bottom)
    return Box(left, top, right, bottom).area


def test_an_empty_box_has_no_area():
    assert Box(5, 5, 2, 9).area == 0


@given(st.integers(0, 9), st.integers(0, 9), sizes, st.integers(0, 30))
def test_a_grown_box_stays_in_the_picture(left, top, size, by):
    grown = Box(left, top, min(10, left + size), min(10, top + size)).grown(by, width=10, height=10)
    assert 0 <= grown.left <= left
    assert 0 <= grown.top <= top
    assert grown.right <= 10
    assert grown.bottom <= 10


def test_slices_cut_what_the_box_says():
    picture = np.arange(48).reshape(6, 8)
    assert picture[Box(2, 1, 5, 3).slices].shape == (2, 3)


def test_a_16_bit_photograph_is_looked_at_in_8():
    rgb = np.array([[[0, 257, 65535]]], np.uint16)
    photo = Photo(path=Path("a.png"), rgb=rgb, container=None)
    assert photo.rgb_u8.dtype == np.uint8
    assert photo.rgb_u8.tolist() == [[[0, 1, 255]]]
    assert (photo.width, photo.height, photo.nbytes) == (1, 1, 6)


def test_an_8_bit_photograph_is_not_copied_to_be_looked_at():
    rgb = np.zeros((2, 3, 3), np.uint8)
    assert Photo(path=Path("a.png"), rgb=rgb, container=None).rgb_u8 is rgb
