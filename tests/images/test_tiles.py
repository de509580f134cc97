from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.images.tiles import TileBlend, even_windows, windows

_EDGES = st.integers(1, 70)


@given(_EDGES, _EDGES, st.integers(1, 40), st.data())
def test_windows_cover_every_pixel_with_equal_sizes(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    boxes = windows(height, width, tile=tile, overlap=overlap)
    covered = np.zeros((height, width), int)
    for box in boxes:
        assert (box.height, box.width) == (min(tile, height), min(tile, width))
        assert box.left >= 0
        assert box.top >= 0
        covered[box.slices] += 1
    assert covered.min() >= 1
    assert len(set(boxes)) == len(boxes)
    lefts = sorted({box.left for box in boxes})
    assert all(left + tile - following >= overlap for left, following in itertools.pairwise(lefts))


@given(_EDGES, _EDGES, st.integers(1, 40), st.data())
def test_blending_what_all_windows_agree_on_changes_nothing(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    channels = data.draw(st.sampled_from([(), (1,), (3,)]))
    picture = np.random.default_rng(0).random((height, width, *channels)).astype(np.float32)
    blend = TileBlend(picture.shape, overlap=overlap)
    for box in windows(height, width, tile=tile, overlap=overlap):
        blend.add(box, picture[box.slices])
    np.testing.assert_allclose(blend.result(), picture, atol=1e-6)


def test_a_seam_becomes_a_slope() -> None:
    blend = TileBlend((1, 12), overlap=4)
    left, right = windows(1, 12, tile=8, overlap=4)
    blend.add(left, np.zeros((1, 8), np.float32))
    blend.add(right, np.ones((1, 8), np.float32))
    steps = np.diff(blend.result()[0])
    assert steps.min() >= 0
    assert steps.max() < 0.3


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="overlap is 4"):
        windows(10, 10, tile=4, overlap=4)
    with pytest.raises(ValueError, match="no windows"):
        windows(0, 10, tile=4, overlap=0)
    with pytest.raises(ValueError, match="do not cover"):
        TileBlend((4, 4), overlap=1).result()


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.integers(9, 200),
    st.integers(0, 8),
    st.sampled_from([1, 8, 32]),
)
def test_even_windows_cover_as_much_with_no_more_pixels(
    height: int, width: int, most: int, overlap: int, multiple: int
) -> None:
    even = even_windows(height, width, most=most, overlap=overlap, multiple=multiple)
    plain = windows(height, width, tile=most, overlap=overlap)
    seen = np.zeros((height, width), bool)
    for box in even:
        seen[box.slices] = True
    assert seen.all()
    assert len(even) <= len(plain)
    assert sum(box.area for box in even) <= sum(box.area for box in plain)
    for edge, whole in ((even[0].height, height), (even[0].width, width)):
        assert edge in (most, whole) or edge % multiple == 0
    neighbours = sorted({box.left for box in even})
    assert all(b - a <= even[0].width - overlap for a, b in itertools.pairwise(neighbours))


def test_even_windows_refuse_what_windows_refuse() -> None:
    with pytest.raises(ValueError, match="overlap is 4"):
        even_windows(10, 10, most=4, overlap=4)
