"""Whether an estimated mark explains the pieces that it was worked out from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cleanplate.engine import pieces
from cleanplate.remove.stamped import Fit
from cleanplate.structures import Mark, Placement


@pytest.mark.parametrize(
    ("evidence", "is_explained"),
    [
        ((2.0, 2.0, 2.0, 0.0, 0.0), True),  # most speak for it clearly
        ((2.0, 2.0, 2.0, 0.2, 0.2, 0.2), True),  # half clearly, the others a little
        ((0.5, 0.3, 0.3, 0.1, 0.1, 0.1), True),  # half more than a little, nearly none clearly
        ((2.0, 2.0, 2.0, 0.2, 0.2, 0.0), False),  # one of them not at all
        ((2.0, 2.0, 0.2, 0.2, 0.2, 0.2), False),  # too few more than a little
    ],
)
def test_where_nearly_all_pieces_speak_for_a_mark_half_must_do_so_by_more_than_a_little(
    evidence: tuple[float, ...], is_explained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = iter(Fit(Placement(0, 0), 1.0, nats, nats) for nats in evidence)
    monkeypatch.setattr(pieces, "fit_mark", lambda *_: next(fits))
    crops = [np.zeros((4, 4, 3), np.uint8)] * len(evidence)
    mark = Mark(np.ones((4, 4), np.float32), np.ones((4, 4, 3), np.float32))
    assert pieces.explains(mark, crops, (False, False)) is is_explained


def test_a_mark_of_an_unbelievable_opacity_explains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = Fit(Placement(0, 0), 1.75, 2.0, 2.0)
    monkeypatch.setattr(pieces, "fit_mark", lambda *_: replace(fit))
    mark = Mark(np.ones((4, 4), np.float32), np.ones((4, 4, 3), np.float32))
    assert not pieces.explains(mark, [np.zeros((4, 4, 3), np.uint8)] * 6, (False, False))


def test_specks_round_a_large_mark_are_none_of_its_parts_but_dots_are() -> None:
    alpha = np.zeros((200, 200), np.float32)
    alpha[20:120, 20:180] = 0.5  # a logo
    alpha[150:154, 60:68] = 0.5  # a letter's dot: two thousandths of it
    alpha[150:153, 120:123] = 0.5  # noise
    kept = pieces.drop_faint(alpha, 8)
    assert kept[152, 64] == 0.5
    assert kept[151, 121] == 0
    assert kept[70, 100] == 0.5
