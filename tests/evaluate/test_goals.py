"""The goals and the baselines that stand beside them."""

import json
import math

import numpy as np
import pytest

from cleanplate.evaluate.baselines import INPUT, TELEA, Baselines, fill_under_truth, leave_alone
from cleanplate.evaluate.goals import GOALS, goals_to_json, measure_goals
from cleanplate.evaluate.run import Scored, collect, score_pipeline
from cleanplate.evaluate.score import MarkScore, score_result
from cleanplate.evaluate.summary import summarise
from cleanplate.settings import RepairSettings
from tests.evaluate.conftest import Oracle, make_triple
from tests.evaluate.test_summary import make_clean, make_score


def measure(scores) -> dict[str, float]:
    return {figure.goal.key: figure.value for figure in measure_goals(scores)}


def test_every_goal_is_of_its_own_photographs():
    scores = [
        make_score("a", opacity=0.2, inside_after=31.0, marks=(MarkScore(0.2, 0.9), MarkScore(0.3, 0.1))),
        make_score("b", opacity=0.4, inside_after=16.0, whole_after=29.0, marks=()),
        make_score("c", opacity=1.0, inside_after=22.0, marks=(MarkScore(1.0, 0.6), MarkScore(0.1, 0.0))),
        make_clean("d", touched=True),
        make_clean("e"),
    ]
    found = measure(scores)
    assert found["inside"] == pytest.approx(23.0)
    assert [found[f"inside_{band}"] for band in ("under_35", "35_60", "opaque")] == [31.0, 16.0, 22.0]
    assert math.isnan(found["inside_60_86"])
    assert (found["repaired"], found["harmed"]) == pytest.approx((2 / 3, 1 / 3))
    assert found["clean_touched"] == 0.5
    assert (found["found_15_35"], found["found_over_60"]) == (0.5, 1.0)
    assert math.isnan(found["found_35_60"])


def test_goals_are_met_from_the_right_side():
    goals = {goal.key: goal for goal in GOALS}
    assert goals["inside"].is_met(28.0)
    assert not goals["inside"].is_met(27.9)
    assert goals["harmed"].is_met(0.01)
    assert goals["harmed"].is_met(0.02) is False
    assert goals["f1"].is_met(float("nan")) is None
    assert goals["harmed"].show(0.015) == "1.5 %"
    assert goals["iou"].show(0.754) == "0.75"


def test_the_baselines_are_the_input_and_a_fill_that_knows_the_truth(triples):
    baselines = Baselines()
    scores = collect(score_pipeline(triples, Oracle(triples), RepairSettings()), baselines.add)
    left, filled = summarise(baselines.scores[INPUT]), summarise(baselines.scores[TELEA])
    assert left.inside_after == left.inside_before == summarise(scores).inside_before
    assert (left.repaired, left.harmed, left.clean_touched) == (0, 0, 0)
    assert filled.inside_after > left.inside_after + 3  # the photographs are smooth
    assert (filled.f1, filled.clean_touched) == (1, 0)
    content = json.loads(json.dumps(goals_to_json({"result": scores, **baselines.scores}), allow_nan=False))
    first = content[0]
    assert first["key"] == "inside"
    assert first["met"] is True
    assert first[INPUT] < first[TELEA] < first["result"]


def test_a_baseline_knows_nothing_of_what_was_found(tmp_path):
    triple = make_triple(tmp_path)
    score = score_result(triple, triple.truth_u8, found=triple.inside, seconds=1.0)
    left = leave_alone(score)
    assert (left.tally, left.marks, left.seconds, left.touched) == (None, (), None, False)
    assert (left.ssim_after, left.ring_after) == (score.ssim_before, score.ring_before)
    filled = fill_under_truth(Scored(triple, triple.truth_u8, score))
    assert filled.touched
    assert filled.ring_rmse_after < score.ring_rmse_before
    assert np.isfinite(filled.inside_after)
