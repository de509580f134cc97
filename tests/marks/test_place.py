"""Marks are put where they belong: whole pixels exactly, fractions and scales without losing colour."""

from __future__ import annotations

import numpy as np

from cleanplate.marks.place import place_mark, scale_mark, trim_mark
from cleanplate.structures import Box, Mark, Placement


def _draw() -> Mark:
    alpha = np.zeros((20, 30), np.float32)
    alpha[5:15, 8:22] = 0.6
    return Mark(alpha, np.full((20, 30, 3), (0.2, 0.5, 0.9), np.float32))


def test_whole_pixels_are_copied() -> None:
    mark = _draw()
    placed = place_mark(mark, Placement(7, 4), 100, 100)
    assert placed is not None
    assert placed[1] == Box(7, 4, 37, 24)
    assert np.array_equal(placed[0].alpha, mark.alpha)


def test_a_fraction_moves_the_centre_by_it() -> None:
    mark = _draw()
    placed = place_mark(mark, Placement(7.25, 4.5), 100, 100)
    assert placed is not None
    moved, box = placed
    columns = box.left + (moved.alpha.sum(axis=0) * np.arange(box.width)).sum() / moved.alpha.sum()
    rows = box.top + (moved.alpha.sum(axis=1) * np.arange(box.height)).sum() / moved.alpha.sum()
    assert abs(columns - (7.25 + 14.5)) < 0.05
    assert abs(rows - (4.5 + 9.5)) < 0.05
    inside = moved.alpha > 0.5
    assert np.allclose(moved.rgb[inside], (0.2, 0.5, 0.9), atol=0.01)


def test_scaling_keeps_opacity_and_colour() -> None:
    for scale in (0.5, 1.7):
        scaled = scale_mark(_draw(), scale)
        assert abs(float(scaled.alpha.max()) - 0.6) < 1e-6
        assert np.allclose(scaled.rgb[scaled.alpha > 0.3], (0.2, 0.5, 0.9), atol=0.02)


def test_outside_the_photograph_nothing_is_placed() -> None:
    assert place_mark(_draw(), Placement(200, 0), 100, 100) is None


def test_trimming_says_what_it_cut() -> None:
    trimmed, left, top = trim_mark(_draw())
    assert trimmed.alpha.shape == (10, 14)
    assert (left, top) == (8, 5)
