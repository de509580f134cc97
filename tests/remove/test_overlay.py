"""Strokes laid over a photograph are told from its own lines by what their opacity says."""

from __future__ import annotations

import numpy as np
import pytest

from cleanplate.remove.overlay import looks_laid_over

from .scenes import blend, letters, photograph, scene


@pytest.mark.parametrize("opacity", [0.5, 0.7, 1.0])
@pytest.mark.parametrize("colour", [(1.0, 1.0, 1.0), (0.9, 0.1, 0.1)])
def test_letters_over_a_photograph_are_overlays(opacity: float, colour: tuple[float, float, float]) -> None:
    drawn = scene(opacity, colour)
    rgb_u8 = np.rint(drawn.marked * 255).astype(np.uint8)
    assert looks_laid_over(rgb_u8, drawn.matte > 0.05)


def test_a_photographs_own_pixels_are_none() -> None:
    rgb_u8 = np.rint(photograph() * 255).astype(np.uint8)
    assert not looks_laid_over(rgb_u8, letters(120, 200) > 0.05)


def test_few_pixels_or_none_say_nothing() -> None:
    rgb_u8 = np.rint(blend(photograph(), letters(120, 200), 0.6, (1, 1, 1)) * 255).astype(np.uint8)
    nothing = np.zeros((120, 200), bool)
    assert not looks_laid_over(rgb_u8, nothing)
    nothing[0, :3] = True
    assert not looks_laid_over(rgb_u8, nothing)
