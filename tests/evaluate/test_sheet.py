"""The contact sheet shows the worst, round the mark."""

import numpy as np
from PIL import Image

from cleanplate.evaluate.run import Scored
from cleanplate.evaluate.score import score_result
from cleanplate.evaluate.sheet import CAPTION_PX, PANEL_PX, WorstSheet, choose_cut, draw_row
from cleanplate.structures import Box
from tests.evaluate.conftest import make_triple


def score(triple, result, **how) -> Scored:
    return Scored(triple, result, score_result(triple, result, **how))


def read(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_the_worst_are_kept_worst_first(tmp_path):
    scored = []
    for number, strength in enumerate((0.1, 0.9, 0.4, 0.6)):  # of the mark that is left
        triple = make_triple(tmp_path, f"t{number}", seed=number)
        left = triple.truth_u8 + (triple.marked_u8.astype(float) - triple.truth_u8) * strength
        scored.append(score(triple, left.astype(np.uint8)))
    sheet = WorstSheet(count=2)
    for one in scored:
        sheet.add(one)
    sheet.write(tmp_path / "sheet.png")
    rows = PANEL_PX + CAPTION_PX
    picture = read(tmp_path / "sheet.png")
    assert picture.shape == (CAPTION_PX + 2 * rows, 4 * PANEL_PX, 3)
    np.testing.assert_array_equal(picture[CAPTION_PX : CAPTION_PX + rows], draw_row(scored[1]))
    np.testing.assert_array_equal(picture[CAPTION_PX + rows :], draw_row(scored[3]))


def test_clean_photographs_show_only_where_touched(tmp_path):
    triple = make_triple(tmp_path, box=None)
    sheet = WorstSheet()
    sheet.add(score(triple, triple.marked_u8))
    sheet.write(tmp_path / "sheet.png")
    assert read(tmp_path / "sheet.png").shape[0] == CAPTION_PX
    result = triple.marked_u8.copy()
    result[50:60, 150:170] = 255
    touched = score(triple, result)
    sheet.add(touched)
    sheet.write(tmp_path / "sheet.png")
    assert read(tmp_path / "sheet.png").shape[0] == 2 * CAPTION_PX + PANEL_PX
    assert choose_cut(touched).overlaps(Box(150, 50, 170, 60))


def test_the_cut_holds_the_mark_with_a_margin(tmp_path):
    triple = make_triple(tmp_path, box=Box(5, 5, 100, 40))
    cut = choose_cut(score(triple, triple.truth_u8))
    assert cut.union(Box(5, 5, 100, 40)) == cut
    assert max(cut.width, cut.height) <= 130


def test_of_a_large_mark_the_worst_part_is_shown(tmp_path):
    triple = make_triple(tmp_path, box=Box(0, 0, 900, 700), size=(700, 900))
    result = triple.truth_u8.copy()
    result[600:640, 800:850] = 255
    cut = choose_cut(score(triple, result))
    assert cut.width == cut.height == 480
    assert cut.union(Box(800, 600, 850, 640)) == cut


def test_the_difference_is_shown_stronger(tmp_path):
    triple = make_triple(tmp_path, box=Box(60, 40, 140, 100))
    result = np.minimum(triple.truth_u8.astype(int) + 10, 255).astype(np.uint8)
    row = draw_row(score(triple, result, error="none"))
    middle = row[CAPTION_PX + PANEL_PX // 2, 3 * PANEL_PX + PANEL_PX // 2]
    assert middle.tolist() == [40, 40, 40]
