"""The seam: the fill inside, the photograph outside, the energy of both between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cleanplate.remove.seam import blend_margin

from .scenes import letters, photograph


def blend(texture: Callable[[], Any]) -> tuple[Any, Any, Any]:
    hole, marked = np.zeros((80, 80), bool), np.zeros((80, 80), bool)
    hole[20:60, 20:60] = True
    marked[30:50, 30:50] = True
    return blend_margin(texture(), texture(), hole, marked), hole, marked


def test_the_seam_keeps_the_energy_of_its_sides() -> None:
    rng = np.random.default_rng(0)
    blended, hole, marked = blend(lambda: (0.5 + 0.05 * rng.standard_normal((80, 80, 3))).astype(np.float32))
    margin = hole & ~marked
    assert blended[margin].std() == pytest.approx(0.05, rel=0.12)


def test_the_seam_is_the_photograph_outside_and_the_fill_inside() -> None:
    hole = letters(120, 200) > 0.3
    marked = letters(120, 200) > 0.9
    picture, fill = photograph(), np.full((120, 200, 3), 0.5, np.float32)
    blended = blend_margin(picture, fill, hole, marked)
    assert np.array_equal(blended[~hole], picture[~hole])
    assert np.allclose(blended[marked], 0.5)
    assert np.array_equal(blend_margin(picture, fill, hole, hole)[~hole], picture[~hole])


def test_a_fill_that_goes_on_as_the_photograph_does_is_not_made_rougher() -> None:
    picture = photograph()
    hole = letters(120, 200) > 0.3
    marked = letters(120, 200) > 0.9
    assert np.abs(blend_margin(picture, picture, hole, marked) - picture).max() < 0.02
