from __future__ import annotations

import numpy as np
import pytest

from cleanplate.detect.mask import (
    LEAST_SCORE,
    STRONG,
    WEAK,
    cover_share,
    detect_from_probability,
    group_boxes,
    threshold_mask,
)
from cleanplate.structures import BoolArray, Box


def paint(height: int, width: int, *boxes: Box) -> BoolArray:
    mask = np.zeros((height, width), bool)
    for box in boxes:
        mask[box.slices] = True
    return mask


def test_weak_pixels_count_only_next_to_strong_ones() -> None:
    probability = np.zeros((50, 50), np.float32)
    probability[10:15, 10:20] = (STRONG + WEAK) / 2
    probability[10:15, 14:16] = 0.9
    probability[30:40, 30:40] = (STRONG + WEAK) / 2
    mask = threshold_mask(probability)
    assert mask[12, 10]
    assert not mask[35, 35]


def test_specks_are_dropped() -> None:
    probability = np.zeros((400, 500), np.float32)
    probability[5, 5:7] = 1
    probability[50:60, 50:60] = 1
    mask = threshold_mask(probability)
    assert not mask[5, 5]
    assert mask[55, 55]


def test_letters_of_a_line_share_a_box_and_far_marks_do_not() -> None:
    line = [Box(100 + 30 * k, 300, 120 + 30 * k, 325) for k in range(6)]
    far = Box(600, 20, 640, 60)
    boxes = group_boxes(paint(400, 700, *line, far))
    assert boxes == (Box(100, 300, 270, 325), far)


def test_groups_chain_whatever_their_order() -> None:
    steps = [Box(10 + 25 * k, 10 + 12 * (k % 2), 30 + 25 * k, 30 + 12 * (k % 2)) for k in range(12)]
    assert len(group_boxes(paint(100, 400, *steps))) == 1


def test_the_share_counts_overlaps_once() -> None:
    assert cover_share((Box(0, 0, 10, 10), Box(5, 0, 15, 10)), 10, 30) == pytest.approx(0.5)
    assert cover_share((), 10, 30) == 0


def test_a_detection_has_everything_together() -> None:
    probability = np.zeros((100, 200), np.float32)
    probability[40:60, 50:100] = 0.9
    found = detect_from_probability(probability)
    assert found.boxes == (Box(50, 40, 100, 60),)
    assert found.share == pytest.approx(0.05)
    assert found.score == pytest.approx(0.9)
    empty = detect_from_probability(np.zeros((100, 200), np.float32))
    assert (empty.boxes, empty.share, empty.score) == ((), 0.0, 0.0)
    assert not empty.mask.any()


def test_a_group_that_is_doubtful_on_the_whole_is_left() -> None:
    probability = np.zeros((200, 200), np.float32)
    probability[20:40, 20:60] = (LEAST_SCORE + WEAK) / 2
    probability[20:24, 20:24] = 0.95
    probability[150:170, 100:160] = 0.9
    found = detect_from_probability(probability)
    assert found.boxes == (Box(100, 150, 160, 170),)
    assert not found.mask[:100].any()
