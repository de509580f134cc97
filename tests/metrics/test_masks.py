from __future__ import annotations

import numpy as np
import pytest

from cleanplate.metrics import MaskTally, f1, iou


def test_scores_equal_set_arithmetic() -> None:
    rng = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        found, truth = rng.random((15, 17)) < share, rng.random((15, 17)) < 0.4
        a = {int(i) for i in np.flatnonzero(found)}
        b = {int(i) for i in np.flatnonzero(truth)}
        precision, recall = len(a & b) / len(a), len(a & b) / len(b)
        assert iou(found, truth) == pytest.approx(len(a & b) / len(a | b))
        assert f1(found, truth) == pytest.approx(2 * precision * recall / (precision + recall))
        tally = MaskTally.of(found, truth)
        assert (tally.precision, tally.recall) == pytest.approx((precision, recall))


def test_two_empty_masks_agree() -> None:
    empty = np.zeros((3, 3), bool)
    assert f1(empty, empty) == iou(empty, empty) == 1.0
    assert f1(~empty, empty) == iou(~empty, empty) == 0.0


def test_tallies_add_up_to_the_tally_of_both() -> None:
    rng = np.random.default_rng(1)
    found, truth = rng.random((10, 8)) < 0.5, rng.random((10, 8)) < 0.5
    halves = MaskTally.of(found[:5], truth[:5]) + MaskTally.of(found[5:], truth[5:])
    assert halves == MaskTally.of(found, truth)


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        iou(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
