"""A mark that is known, taken off again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanplate.marks.composite import PlacedMark, composite
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.remove.inpaint import dilate, fill_with_membrane
from cleanplate.remove.known import ROUNDING_NOISE, remove_known
from cleanplate.structures import FloatArray, Mark
from tests.remove.scenes import letters, photograph


def _mark(opacity: float, colour: tuple[float, float, float]) -> Mark:
    alpha = opacity * letters(120, 200)
    rgb = np.broadcast_to(np.asarray(colour, np.float32), (*alpha.shape, 3))
    return Mark(alpha.astype(np.float32), np.ascontiguousarray(rgb))


def _error(result: FloatArray, clean: FloatArray, mark: Mark) -> float:
    return float(((result - clean)[mark.alpha > 0.02] ** 2).mean())


@settings(max_examples=30, deadline=None)
@given(
    opacity=st.floats(0.05, 0.95),
    colour=st.tuples(*[st.floats(0, 1)] * 3),
    seed=st.integers(0, 1000),
)
def test_with_the_mark_exactly_known_and_nothing_rounded_the_inverse_is_exact_to_a_grey_level(
    opacity: float, colour: tuple[float, float, float], seed: int
) -> None:
    clean = np.random.default_rng(seed).random((120, 200, 3)).astype(np.float32)
    mark = _mark(opacity, colour)
    marked, _, _ = composite(clean, [PlacedMark(mark, 0, 0)])
    behind, _ = remove_known(marked, mark, noise=0.0)
    assert np.abs(behind - clean).max() < 1 / 255


@settings(max_examples=20, deadline=None)
@given(opacity=st.floats(0.05, 0.45), colour=st.tuples(*[st.floats(0, 1)] * 3))
def test_with_eight_bits_the_inverse_is_off_by_no_more_than_the_rounding_grown(
    opacity: float, colour: tuple[float, float, float]
) -> None:
    clean, mark = photograph(), _mark(opacity, colour)
    marked, _, _ = composite(clean, [PlacedMark(mark, 0, 0)])
    rounded = (np.rint(marked * 255) / 255).astype(np.float32)
    behind, changed = remove_known(rounded, mark, noise=ROUNDING_NOISE)
    grown = 0.5 / 255 / (1 - mark.alpha[..., None])
    assert (np.abs(behind - clean) <= grown + 1e-4).all()
    assert (behind[~changed] == rounded[~changed]).all()


def test_after_jpeg_the_blend_is_better_than_the_plain_inverse_of_a_nearly_opaque_mark() -> None:
    clean, mark = photograph(), _mark(0.93, (1.0, 1.0, 1.0))
    marked, _, _ = composite(clean, [PlacedMark(mark, 0, 0)])
    stored = decode_jpeg(encode_jpeg(np.rint(marked * 255).astype(np.uint8), 85)) / np.float32(255)
    behind, _ = remove_known(stored, mark)
    plain, _ = remove_known(stored, mark, noise=0.0)
    assert _error(behind, clean, mark) < 0.5 * _error(plain, clean, mark)


def test_what_an_estimate_leaves_of_itself_on_an_even_photograph_is_blended_away() -> None:
    clean = np.full((120, 200, 3), 0.4, np.float32)
    clean += np.random.default_rng(0).normal(0, 0.01, (120, 200, 1)).astype(np.float32)
    marked, _, _ = composite(clean, [PlacedMark(_mark(0.6, (0.9, 0.9, 0.9)), 0, 0)])
    off = _mark(0.57, (0.9, 0.9, 0.9))
    errors = [
        _error(remove_known(marked, replace(off, kind=kind), noise=ROUNDING_NOISE)[0], clean, off)
        for kind in ("estimated", "given")
    ]
    assert errors[0] < 0.2 * errors[1]


def test_where_the_fill_does_not_know_what_is_behind_an_estimate_is_believed() -> None:
    clean = np.full((120, 200, 3), 0.3, np.float32)
    mark = replace(_mark(0.6, (0.9, 0.9, 0.9)), kind="estimated")
    clean[(mark.alpha > 0) & (np.arange(200) % 4 < 2)] = 0.7  # nothing of this shows round the mark
    marked, _, _ = composite(clean, [PlacedMark(mark, 0, 0)])
    behind, _ = remove_known(marked, mark, noise=ROUNDING_NOISE)
    assert _error(behind, clean, mark) < 1e-5


def test_opaque_cores_are_filled() -> None:
    clean = np.full((120, 200, 3), 0.25, np.float32)
    mark = _mark(1.0, (1.0, 0.0, 0.0))
    marked, _, _ = composite(clean, [PlacedMark(mark, 0, 0)])
    behind, _ = remove_known(marked, mark, noise=ROUNDING_NOISE)
    assert np.abs(behind - clean).max() < 2 / 255


def test_a_transparent_mark_changes_nothing() -> None:
    clean = photograph()
    behind, changed = remove_known(clean, _mark(0.0, (1.0, 1.0, 1.0)))
    assert not changed.any()
    assert (behind == clean).all()


def test_an_estimate_from_few_photographs_leans_on_the_fill() -> None:
    mark = replace(_mark(0.5, (1.0, 1.0, 1.0)), kind=FIXED_SIZE)
    noise = np.random.default_rng(2).standard_normal((120, 200, 3))
    clean = np.clip(0.3 + 0.03 * noise, 0, 1).astype(np.float32)
    marked, _, _ = composite(clean, [PlacedMark(mark, 0, 0)])
    behind = [remove_known(marked, replace(mark, photographs=count))[0] for count in (7, 60, 0)]
    fill = fill_with_membrane(marked, dilate(mark.alpha > 0, 1))
    few, many, unknown = (_error(result, fill, mark) for result in behind)
    assert few < 0.8 * many
    assert many > 0.98 * unknown
    smooth = np.full((120, 200, 3), 0.3, np.float32)
    marked, _, _ = composite(smooth, [PlacedMark(mark, 0, 0)])
    assert np.abs(remove_known(marked, replace(mark, photographs=7))[0] - smooth).max() < 1 / 255
