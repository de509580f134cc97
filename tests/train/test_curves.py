"""Training curves as a picture."""

import json

import numpy as np
from PIL import Image

from cleanplate.train.curves import COLUMNS, PANEL_SIZE, TRAINING, VALIDATION, draw_curves, read_curves


def write_log(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_figures_are_read_in_the_order_of_the_steps(tmp_path):
    write_log(
        tmp_path / "log.jsonl",
        [
            {"step": 50, "examples_per_second": 12.0, "loss": 1.0, "dice": 0.9},
            {"step": 50, "validation": {"f1": 0.2}},
            {"step": 100, "examples_per_second": 12.0, "loss": 0.8, "dice": 0.7},
            {"step": 100, "examples_per_second": 12.0, "loss": 0.7, "dice": 0.6},  # resumed, logged again
        ],
    )
    curves = read_curves(tmp_path / "log.jsonl")
    assert curves == {
        "loss": [(50, 1.0), (100, 0.7)],
        "dice": [(50, 0.9), (100, 0.6)],
        "validation f1": [(50, 0.2)],
    }
    assert list(curves) == ["loss", "dice", "validation f1"]


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo', encoding="utf-8")
    assert read_curves(tmp_path / "log.jsonl") == {"loss": [(1, 2.0)]}


def test_every_figure_has_its_panel(tmp_path):
    lines = [{"step": s, "loss": 1 / s, "a": s, "b": 2.0, "validation": {"f1": s / 9}} for s in range(1, 9)]
    write_log(tmp_path / "log.jsonl", lines)
    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (2 * PANEL_SIZE[1], COLUMNS * PANEL_SIZE[0], 3)
    for index, colour in enumerate((TRAINING, TRAINING, TRAINING, VALIDATION)):
        row, column = divmod(index, COLUMNS)
        panel = pixels[row * PANEL_SIZE[1] :, column * PANEL_SIZE[0] :][: PANEL_SIZE[1], : PANEL_SIZE[0]]
        assert (panel == colour).all(axis=2).sum() > 100, f"panel {index} has no curve"


def test_a_single_point_is_drawn_and_no_log_draws_nothing(tmp_path):
    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
    write_log(tmp_path / "log.jsonl", [{"step": 5, "loss": 0.3}])
    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == PANEL_SIZE


def test_the_best_point_of_the_goal_is_ringed(tmp_path):
    lines = [
        {"step": s, "validation": {"goal": -abs(s - 3), "f1": 0.1}, "groups": {"a": {"f1": 1}}}
        for s in range(9)
    ]
    write_log(tmp_path / "log.jsonl", lines)
    assert set(read_curves(tmp_path / "log.jsonl")) == {"validation goal", "validation f1"}
    draw_curves(tmp_path / "log.jsonl", tmp_path / "with.png")
    write_log(
        tmp_path / "log.jsonl",
        [{**line, "validation": {"goap": line["validation"]["goal"], "f1": 0.1}} for line in lines],
    )
    draw_curves(tmp_path / "log.jsonl", tmp_path / "without.png")
    with Image.open(tmp_path / "with.png") as one, Image.open(tmp_path / "without.png") as other:
        difference = (np.asarray(one) != np.asarray(other)).any(axis=2)
    assert np.count_nonzero(difference[20:]) > 15  # a ring, beside the words above it
