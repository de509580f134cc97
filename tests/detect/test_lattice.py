"""A finder that sees some copies of a tiled mark knows where the others are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import ImageFont

from cleanplate.detect.lattice import complete_pattern, correlate_moves, find_lattice
from cleanplate.marks import draw
from cleanplate.metrics import MaskTally
from cleanplate.structures import FloatArray


def tiled(degrees: float, stagger: bool, height: int = 320, width: int = 480) -> FloatArray:
    """Where a word repeated over a photograph lies, (h, w) of 0 and 1."""
    word = draw.draw_text("Berg", ImageFont.load_default(22))
    step = (word.shape[1] + 30, word.shape[0] + 40)
    pattern = draw.tile(word, height, width, step, degrees, stagger)
    return (pattern[..., 3] > 0.3).astype(np.float32)


def as_found(truth: FloatArray, seed: int, missed: float = 0.35) -> FloatArray:
    """What a finder says of it: a part of the copies is missed, and it takes two things for marks."""
    rng = np.random.default_rng(seed)
    count, labels = cv2.connectedComponents(cv2.dilate(truth, np.ones((15, 15), np.uint8)).astype(np.uint8))
    seen = rng.random(count) >= missed
    found = 0.9 * truth * seen[labels]
    for _ in range(2):
        row, column = (int(rng.integers(edge - 20)) for edge in truth.shape)
        found[row : row + 12, column : column + 20] = 0.9
    noise = cv2.GaussianBlur(rng.random(truth.shape).astype(np.float32), (0, 0), 4)
    return np.clip(cv2.GaussianBlur(found, (0, 0), 1.5) + 0.2 * (noise - 0.5), 0, 1).astype(np.float32)


@pytest.mark.parametrize(("degrees", "stagger"), [(0.0, False), (0.0, True), (30.0, False), (-17.5, True)])
def test_missed_copies_are_completed(degrees: float, stagger: bool) -> None:
    truth = tiled(degrees, stagger)
    found = as_found(truth, seed=3)
    completed = complete_pattern(found)

    before = MaskTally.of(found > 0.5, truth > 0)
    after = MaskTally.of(completed > 0.5, truth > 0)
    assert before.f1 < 0.8
    assert after.f1 > before.f1 + 0.1


def test_the_lattice_is_exact_to_a_part_of_a_pixel() -> None:
    word = draw.draw_text("Berg", ImageFont.load_default(22))
    step = (word.shape[1] + 30, word.shape[0] + 40)
    lattice = find_lattice(as_found(tiled(0.0, stagger=False), seed=5))
    assert lattice is not None
    lengths = sorted(float(np.linalg.norm(v)) for v in (lattice.first, lattice.second))
    assert lengths == pytest.approx(sorted(step), abs=0.3)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_scattered_is_no_pattern(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = np.zeros((300, 400), np.float32)
    for _ in range(12):
        row, column = int(rng.integers(270)), int(rng.integers(360))
        found[row : row + int(rng.integers(5, 30)), column : column + int(rng.integers(5, 40))] = 0.9
    assert complete_pattern(found) is found


def test_a_line_of_letters_is_no_pattern() -> None:
    line = draw.draw_text("o o o o o o o o", ImageFont.load_default(30))[..., 3]
    found = np.zeros((300, 480), np.float32)
    found[120 : 120 + line.shape[0], 60 : 60 + line.shape[1]] = line
    assert complete_pattern(found) is found


def test_nothing_found_stays_as_it_is() -> None:
    found = np.full((40, 60), 0.1, np.float32)
    assert complete_pattern(found) is found


def test_a_plane_correlates_with_itself_where_it_repeats() -> None:
    plane = np.zeros((60, 80), np.float32)
    plane[10:14, 10:14] = plane[10:14, 40:44] = 1
    correlation = correlate_moves(plane)
    middle = (59, 79)
    assert correlation.shape == (119, 159)
    assert correlation[middle] == pytest.approx(1, abs=1e-4)
    assert correlation[middle[0], middle[1] + 30] > 0.4
    assert correlation[middle[0], middle[1] + 20] < 0.1


def test_pieces_in_one_corner_are_no_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of letters is looked at no closer; copies lie all over a photograph."""
    asked: list[FloatArray] = []
    monkeypatch.setattr("cleanplate.detect.lattice.find_lattice", asked.append)
    plane = np.zeros((320, 480), np.float32)
    for left in (20, 80, 140):
        plane[270:290, left : left + 20] = 0.9
    assert complete_pattern(plane) is plane
    assert asked == []
    plane[20:40, 400:420] = 0.9
    complete_pattern(plane)
    assert len(asked) == 1
