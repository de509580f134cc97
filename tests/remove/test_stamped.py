"""How opaque a known mark is on a photograph, and whether it is there, follows from the gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cleanplate.marks.composite import PlacedMark, composite
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.place import place_mark, scale_mark
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.remove.stamped import Fit, fit_mark, scale_opacity
from cleanplate.structures import FloatArray, Mark, Placement
from tests.remove.scenes import letters, photograph


def _mark(opacity: float = 0.5) -> Mark:
    alpha = opacity * letters(90, 180)
    return Mark(alpha.astype(np.float32), np.ones((90, 180, 3), np.float32))


def _put(mark: Mark, placement: Placement) -> FloatArray:
    clean = photograph(300, 380)
    placed = place_mark(mark, placement, 300, 380)
    assert placed is not None
    marked, _, _ = composite(clean, [PlacedMark(placed[0], placed[1].left, placed[1].top)])
    return (np.rint(marked * 255) / 255).astype(np.float32)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1, 1.4])
def test_the_factor_on_its_opacity_is_found(factor: float) -> None:
    there = scale_opacity(_mark(), factor)
    fit = fit_mark(_put(there, Placement(60, 70)), _mark(), Placement(60, 70))
    assert fit is not None
    assert fit.is_there
    assert abs(fit.factor - factor) < 0.06


@pytest.mark.parametrize("halved", [True, False])
def test_of_a_coloured_mark_on_halved_colours_the_factor_is_found(halved: bool) -> None:
    colour = np.broadcast_to(np.array([0.1, 0.8, 0.3], np.float32), (90, 180, 3))
    mark = Mark(0.6 * letters(90, 180, scale=0.7), np.ascontiguousarray(colour))
    marked = _put(mark, Placement(61, 70))
    stored = decode_jpeg(encode_jpeg(np.rint(marked * 255).astype(np.uint8), 92, full_chroma=not halved))
    rgb = stored.astype(np.float32) / np.float32(255)
    off = [
        abs(fit.factor - 1)
        for as_halved in (halved, not halved)
        if (fit := fit_mark(rgb, mark, Placement(61, 70), (as_halved, as_halved))) is not None
    ]
    assert off[0] < 0.04
    assert off[1] > 2 * off[0]


def test_a_place_between_pixels_is_settled() -> None:
    fit = fit_mark(_put(_mark(), Placement(60.5, 70.5)), _mark(), Placement(60.2, 70.9))
    assert fit is not None
    assert abs(fit.placement.left - 60.5) < 0.2
    assert abs(fit.placement.top - 70.5) < 0.2


def test_the_size_is_settled_too() -> None:
    small = scale_mark(_mark(), 0.8)
    marked = _put(small, Placement(60, 70))
    fit = fit_mark(marked, _mark(), Placement(59, 69.5, 0.815))
    assert fit is not None
    assert abs(fit.placement.scale - 0.8) < 0.008


def test_where_the_mark_is_not_nothing_speaks_for_it() -> None:
    fit = fit_mark(photograph(300, 380), _mark(), Placement(60, 70))
    assert fit is not None
    assert not fit.is_there


def test_where_a_place_stands_out_from_all_others_little_evidence_is_enough() -> None:
    hidden, clear = Placement(0, 0, deviations=7.0), Placement(0, 0, deviations=9.5)
    assert not Fit(hidden, 1.0, 0.2, 0.0).is_there
    assert Fit(clear, 1.0, 0.2, 0.0).is_there
    assert not Fit(clear, 1.0, 0.0, 0.0).is_there
    assert not Fit(clear, 1.75, 0.2, 0.0).is_there
    assert Fit(hidden, 1.0, 0.5, 0.0).is_there


def test_a_mark_is_there_as_a_whole_or_not_at_all() -> None:
    """Another mark that begins with the same letters is another mark."""
    mark = _mark()
    begins_alike = replace(mark, alpha=mark.alpha.copy())
    begins_alike.alpha[:, 100:] = 0
    fits = [
        fit_mark(_put(there, Placement(60, 70)), mark, Placement(60, 70)) for there in (mark, begins_alike)
    ]
    assert fits[0] is not None
    assert fits[1] is not None
    assert fits[0].is_there
    assert fits[1].weakest < -0.5 < 0.3 < fits[0].weakest <= fits[0].evidence
    assert not fits[1].is_there


def test_a_mark_of_a_few_pixels_has_fewer_parts() -> None:
    dot = np.zeros((5, 5), np.float32)
    dot[2, 2] = 0.5
    mark = Mark(dot, np.ones((5, 5, 3), np.float32))
    fit = fit_mark(_put(mark, Placement(60, 70)), mark, Placement(60, 70))
    assert fit is not None
    assert np.isfinite(fit.weakest)


def test_of_an_estimated_mark_an_unusual_opacity_is_hardly_believed() -> None:
    there = scale_opacity(_mark(), 0.5)
    marked = _put(there, Placement(60, 70))
    noisy = np.clip(marked + np.random.default_rng(0).normal(0, 0.3, marked.shape), 0, 1).astype(np.float32)
    given, estimated = (
        fit_mark(noisy, replace(_mark(), kind=kind), Placement(60, 70)) for kind in ("given", FIXED_SIZE)
    )
    assert given is not None
    assert estimated is not None
    assert abs(np.log(estimated.factor)) < abs(np.log(given.factor))


def test_outside_the_photograph_there_is_nothing_to_fit() -> None:
    assert fit_mark(photograph(300, 380), _mark(), Placement(900, 0)) is None
