"""Two sides of the same triples."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cleanplate.evaluate.compare import comparison_to_json, count_wins, draw_comparison, pair_up
from cleanplate.evaluate.run import Scored, score_pipeline
from cleanplate.evaluate.score import score_result
from cleanplate.evaluate.sheet import CAPTION_PX, PANEL_PX, PairSheet
from cleanplate.settings import RepairSettings
from tests.evaluate.conftest import Oracle, make_triple
from tests.evaluate.test_summary import make_clean, make_score


def test_sides_are_paired_and_counted(triples):
    able = score_pipeline(triples, Oracle(triples), RepairSettings())
    failing = score_pipeline(triples, Oracle(triples, fails="b-strong"), RepairSettings())
    pairs = list(pair_up(able, failing))
    leads = {pair.first.score.name: pair.lead for pair in pairs}
    assert leads["b-strong"] < -10
    assert leads["a-faint"] == leads["d-clean"] == 0
    first, second = [p.first.score for p in pairs], [p.second.score for p in pairs]
    assert count_wins(first, second) == (1, 3, 0)
    content = json.loads(json.dumps(comparison_to_json(("x", "y"), first, second), allow_nan=False))
    assert (content["a"], content["b"], content["wins"]) == ("x", "y", {"a": 1, "b": 0, "even": 3})
    repaired = next(goal for goal in content["goals"] if goal["key"] == "repaired")
    assert (repaired["a"], repaired["b"]) == pytest.approx((1, 0.6667))
    assert content["by_kind"]["b"]["stamp"]["repaired"] == 0
    assert content["photographs"][1]["lead"] == pytest.approx(leads["b-strong"], abs=1e-3)


def test_tables_show_both_sides():
    first, second = [make_score("a"), make_clean("c")], [make_score("a", inside_after=27.0), make_clean("c")]
    console = Console(file=io.StringIO(), width=132)
    console.print(draw_comparison(("[old]", "new"), first, second))
    shown = console.file.getvalue()
    assert "A [old]" in shown
    row = next(line for line in shown.splitlines() if " text " in line)
    assert row.split()[:3] == ["text", "25.0", "27.0"]
    assert "better by over 0.5 dB: A 0, B 1, neither 1" in shown


def test_the_sheet_shows_where_they_differ(tmp_path):
    sheet = PairSheet(count=1)
    scored = []
    for name, box in (("one", True), ("clean", False)):
        triple = make_triple(tmp_path, name, **({} if box else {"box": None}))
        worse = np.where(np.arange(200)[None, :, None] < 100, 0, triple.truth_u8).astype(np.uint8)
        pair = [Scored(triple, p, score_result(triple, p)) for p in (triple.truth_u8, worse)]
        scored.append(pair)
        sheet.add(*pair, pair[1].score.gain - pair[0].score.gain)
        sheet.add(pair[0], pair[0], 0.0)
    sheet.write(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (4 * PANEL_PX, 2 * CAPTION_PX + PANEL_PX)
