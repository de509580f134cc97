"""A tiled mark that a finder hardly sees is told by the photograph's own outlines."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import ImageFont

from cleanplate.detect.repeats import complete_repeats, draw_repeated, find_repeats, is_suspected_widely
from cleanplate.marks import PlacedMark, composite, draw
from cleanplate.metrics import MaskTally
from cleanplate.structures import FloatArray

STEP = (90, 70)


def mark_all_over(degrees: float, opacity: float = 0.25) -> tuple[NDArray[np.uint8], FloatArray]:
    """(a photograph with a word tiled over it, (h, w) where the word lies)."""
    clean = np.ascontiguousarray(skimage.data.coffee())
    height, width = clean.shape[:2]
    word = draw.draw_text("Berg", ImageFont.load_default(26))
    pattern = draw.tile(word, height, width, STEP, degrees, stagger=False)
    marked, _, _ = composite(clean, [PlacedMark(draw.finish(pattern, opacity, "tiled"), 0, 0)])
    return marked, (pattern[..., 3] > 0.3).astype(np.float32)


def suspect(height: int, width: int, least: float = 0.15) -> FloatArray:
    """What a finder says that sees a little of everything and nothing clearly."""
    told = np.zeros((height, width), np.float32)
    told[20::60, 20::60] = least
    return told


def as_floats(photo_u8: NDArray[np.uint8]) -> FloatArray:
    return photo_u8.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_the_lattice_of_a_faint_mark_is_exact(degrees: float) -> None:
    marked, truth = mark_all_over(degrees)
    lattice, *_ = find_repeats(as_floats(marked), np.zeros_like(truth))
    lengths = [float(np.linalg.norm(vector)) for vector in (lattice.first, lattice.second)]
    assert lengths == pytest.approx(sorted(STEP), abs=0.5)


def test_what_is_suspected_tells_of_the_lattice_too() -> None:
    clean = as_floats(np.ascontiguousarray(skimage.data.coffee()))
    _, truth = mark_all_over(25.0)
    lattice, *_ = find_repeats(clean, 0.3 * truth)
    lengths = [float(np.linalg.norm(vector)) for vector in (lattice.first, lattice.second)]
    assert lengths == pytest.approx(sorted(STEP), abs=0.5)
    assert draw_repeated(clean, lattice) is None  # there is no outline


@pytest.mark.parametrize("name", ["coffee", "brick", "grass", "gravel", "astronaut", "text"])
def test_scenes_and_textures_have_none(name: str) -> None:
    photo = getattr(skimage.data, name)()
    photo = np.dstack([photo] * 3) if photo.ndim == 2 else photo[..., :3]
    nothing = np.zeros(photo.shape[:2], np.float32)
    assert find_repeats(as_floats(np.ascontiguousarray(photo)), nothing) == []


@pytest.mark.parametrize("enlarged", [1, 2])
def test_a_mark_that_is_hardly_suspected_is_shown_whole(enlarged: int) -> None:
    marked, truth = mark_all_over(25.0)
    height, width = truth.shape
    told = suspect(height * enlarged, width * enlarged)
    whole = complete_repeats(marked, told)
    assert whole.shape == told.shape
    shown = whole[::enlarged, ::enlarged] > 0.5
    assert MaskTally.of(shown, truth > 0).f1 > 0.45
    assert (shown & (truth > 0)).sum() > 0.9 * truth.sum()


def test_what_is_not_suspected_or_not_repeated_stays_as_it_is() -> None:
    marked, truth = mark_all_over(0.0)
    nothing = suspect(*truth.shape, least=0.05)
    assert complete_repeats(marked, nothing) is nothing
    clean, told = np.ascontiguousarray(skimage.data.coffee()), suspect(*truth.shape)
    assert complete_repeats(clean, told) is told


def test_copies_too_few_to_tell_show_nothing() -> None:
    clean = np.ascontiguousarray(skimage.data.coffee())
    marked = clean.copy()
    for left in (40, 320):
        marked[60:100, left : left + 120] = 255 - marked[60:100, left : left + 120] // 2
    told = suspect(*clean.shape[:2])
    assert complete_repeats(marked, told) is told


def test_one_corner_is_not_all_over() -> None:
    told = np.zeros((120, 120), np.float32)
    told[:30, :30] = 0.9
    assert not is_suspected_widely(told)
