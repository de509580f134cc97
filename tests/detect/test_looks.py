from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cleanplate.detect.looks import LOOKS, Look, find_suspects, make_view, read_view
from cleanplate.structures import Box, Photo


def test_suspects_come_with_their_surroundings_and_those_that_meet_are_one() -> None:
    probability = np.zeros((600, 1000), np.float32)
    probability[100:120, 100:140] = 0.6
    probability[100:120, 240:280] = 0.6
    probability[400:420, 800:840] = 0.6
    probability[400:420, 200:240] = 0.35  # too doubtful to be looked at again
    assert find_suspects(probability) == (Box(36, 36, 344, 184), Box(736, 336, 904, 484))


def test_where_suspects_are_everywhere_all_is_looked_at() -> None:
    probability = np.zeros((300, 400), np.float32)
    probability[80:200, 50:300] = 0.9
    assert find_suspects(probability) == (Box(0, 0, 400, 300),)


@pytest.mark.parametrize("look", [*LOOKS, Look(1.5, True)])
def test_a_view_read_back_lies_where_it_was_cut(look: Look) -> None:
    rgb = np.zeros((300, 400, 3), np.uint8)
    rgb[120:140, 200:260] = 255
    box = Box(40, 20, 170, 100)  # at half the photograph's size
    view = make_view(Photo(Path("a.png"), rgb, None), (150, 200), box, look, place=3)
    assert view.place == 3
    assert view.picture.shape == (round(80 * look.scale), round(130 * look.scale), 3)
    seen = read_view(view, view.picture[..., 0].astype(np.float32) / 255)
    truth = np.zeros((80, 130), np.float32)
    truth[60 - 20 : 70 - 20, 100 - 40 : 130 - 40] = 1
    assert seen.shape == truth.shape
    assert np.abs(seen - truth).mean() < 0.01


def test_a_view_takes_the_photographs_own_pixels() -> None:
    """What the working size has lost is there again at 1.5 times it."""
    rgb = np.zeros((300, 400, 3), np.uint8)
    rgb[:, ::2] = 255
    view = make_view(
        Photo(Path("a.png"), rgb, None), (200, 266), Box(0, 0, 266, 200), Look(1.5, False), place=0
    )
    assert int(view.picture[..., 0].max()) - int(view.picture[..., 0].min()) > 200
