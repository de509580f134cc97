"""Tables say what the figures are."""

import io

from rich.console import Console

from cleanplate.evaluate.baselines import Baselines
from cleanplate.evaluate.run import collect, score_pipeline
from cleanplate.evaluate.tables import describe, draw_tables
from cleanplate.settings import RepairSettings
from tests.evaluate.conftest import Oracle
from tests.evaluate.test_summary import make_clean, make_score


def show(scores, baselines=None) -> str:
    console = Console(file=io.StringIO(), width=132)
    console.print(draw_tables(scores, baselines))
    return console.file.getvalue()


def test_every_group_has_its_row(triples):
    shown = show(collect(score_pipeline(triples, Oracle(triples), RepairSettings())))
    for text in ("by kind", "by opacity", "by size", "by format", "stamp", "logo", "clean", "all", "opaque"):
        assert text in shown
    assert "60.0" in shown  # a perfect result counts as the cap
    assert "100.0 %" in shown
    assert "marks found, by opacity: .15-.35 100.0 %, over .6 100.0 %" in shown
    assert "clean photographs harmed: 0.0 % of 1" in shown
    assert "median time of a repair" in shown


def test_a_row_has_the_changes_and_shares():
    line = next(line for line in show([make_score("a"), make_clean("b")]).splitlines() if " all " in line)
    assert line.split() == [
        "all", "2", "15.0", ">", "25.0", "30.0", ">", "33.0", "0.950", "0.40", ">", "0.05", "100.0",
        "%", "0.0", "%", "0.80", "0.67", "100.0", "%", "0.0", "%",
    ]  # fmt: skip


def test_goals_stand_first_with_the_baselines_beside(triples):
    baselines = Baselines()
    scores = collect(score_pipeline(triples, Oracle(triples), RepairSettings()), baselines.add)
    lines = show(scores, baselines.scores).splitlines()
    assert lines[0].strip() == "against the goals"
    head = next(line for line in lines if "goal" in line and "input" in line)
    assert head.split() == ["input", "Telea,", "true", "mask", "result", "goal"]
    repaired = next(line for line in lines if line.startswith(" repaired") or line.startswith("repaired"))
    assert repaired.split()[-8:] == ["0.0", "%", "100.0", "%", "100.0", "%", "+", "92.0", "%"][-8:]
    found = next(line for line in lines if "over .6" in line)
    assert found.split()[-7:] == ["100.0", "%", "100.0", "%", "+", "99.0", "%"]
    assert "error in the ring along the marks' outlines: " in show(scores)


def test_failures_are_listed_and_names_are_no_markup():
    text = describe([make_score("[bold]", error="[red] it broke", tally=None, marks=(), seconds=None)])
    assert "1 without a result, scored as left alone:\n  [bold]: [red] it broke" in text
    assert "median" not in text
    assert "[bold]: [red] it broke" in show([make_score("[bold]", error="[red] it broke")])
