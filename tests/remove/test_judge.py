from __future__ import annotations

import numpy as np

from cleanplate.remove.judge import judge_visibility

from .scenes import letters, photograph, scene


def test_a_mark_is_more_visible_than_none() -> None:
    drawn = scene(0.5)
    everywhere = np.ones(drawn.matte.shape, bool)
    marked = judge_visibility(drawn.marked, drawn.matte, everywhere)
    clean = judge_visibility(drawn.clean, drawn.matte, everywhere)
    assert marked.ghost > 4 * clean.ghost
    assert marked.total > 4 * clean.total
    assert marked.squared > 10 * clean.squared


def test_an_outline_of_either_sign_is_a_halo() -> None:
    flat = np.full((120, 200, 3), 0.5, np.float32)
    matte = letters(120, 200)
    edge = (matte > 0.1) & (matte < 0.9)
    signs = np.where((np.indices(matte.shape).sum(axis=0) % 20) < 10, 0.3, -0.3)
    lined = (flat + (edge * signs)[..., None]).astype(np.float32)
    everywhere = np.ones(matte.shape, bool)
    seen = judge_visibility(lined, matte, everywhere)
    assert seen.halo > 0.02
    assert judge_visibility(flat, matte, everywhere).total == 0


def test_no_edges_no_mark() -> None:
    picture = photograph(40, 50)
    matte = np.zeros((40, 50), np.float32)
    assert judge_visibility(picture, matte, np.ones((40, 50), bool)).total == 0
