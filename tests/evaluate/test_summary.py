"""Figures of many photographs."""

import json
import math

import numpy as np
import pytest

from cleanplate.evaluate.run import collect, score_pipeline
from cleanplate.evaluate.score import MarkScore, PhotoScore
from cleanplate.evaluate.summary import (
    group_by_format,
    group_by_kind,
    group_by_opacity,
    group_by_size,
    recall_by_opacity,
    summarise,
    to_json,
)
from cleanplate.metrics import MaskTally
from cleanplate.settings import RepairSettings
from tests.evaluate.conftest import Oracle


def make_score(name="a", **changes) -> PhotoScore:
    values = {
        "kind": "text", "opacity": 0.5, "width": 600, "height": 400, "format": "jpeg", "jpeg_quality": 80,
        "inside_before": 15.0, "inside_after": 25.0, "whole_before": 30.0, "whole_after": 33.0,
        "ssim_before": 0.9, "ssim_after": 0.95, "ring_before": 0.4, "ring_after": 0.05,
        "ring_rmse_before": 30.0, "ring_rmse_after": 6.0, "touched": True,
        "tally": MaskTally(80, 20, 20), "marks": (MarkScore(0.5, 0.8),), "seconds": 1.0,
    }  # fmt: skip
    return PhotoScore(name=name, **{**values, **changes})


def make_clean(name="clean", **changes) -> PhotoScore:
    values = {
        "kind": "clean", "opacity": 0.0, "inside_before": math.nan, "inside_after": math.nan,
        "whole_before": 40.0, "whole_after": 40.0, "touched": False, "ring_before": math.nan,
        "ring_after": math.nan, "ring_rmse_before": math.nan, "ring_rmse_after": math.nan,
        "tally": MaskTally(), "marks": (),
    }  # fmt: skip
    return make_score(name, **{**values, **changes})


def test_shares_are_of_the_marked_or_of_the_clean():
    scores = [
        make_score("a"),
        make_score("b", inside_after=16.0, whole_after=29.0, tally=MaskTally(0, 50, 50), seconds=3.0),
        make_clean("c"),
        make_clean("d", touched=True, whole_after=39.0, error="it failed", seconds=None),
    ]
    summary = summarise(scores)
    assert (summary.photographs, summary.clean, summary.failed) == (4, 2, 1)
    assert (summary.repaired, summary.harmed) == (0.5, 0.5)
    assert (summary.clean_touched, summary.clean_harmed) == (0.5, 0.5)
    assert summary.inside_before == 15.0
    assert summary.inside_after == pytest.approx(20.5)
    assert summary.whole_before == 30.0
    assert summary.whole_after == 31.0
    assert summary.f1 == pytest.approx(0.4)
    assert summary.pooled_f1 == pytest.approx(160 / 300)
    assert summary.pooled_iou == pytest.approx(80 / 220)
    assert summary.recall == 1
    assert (summary.ssim_before, summary.ssim_after) == pytest.approx((0.9, 0.95))
    assert (summary.ring_before, summary.ring_after) == pytest.approx((0.4, 0.05))
    assert (summary.ring_rmse_before, summary.ring_rmse_after) == pytest.approx((30.0, 6.0))
    assert summary.seconds == 1.0


def test_nothing_has_no_means():
    summary = summarise([])
    assert summary.photographs == 0
    assert math.isnan(summary.repaired)
    assert math.isnan(summary.pooled_f1)
    assert math.isnan(summary.seconds)


def test_groups_cover_every_photograph_once():
    scores = [
        make_score("a", opacity=0.2), make_score("b", opacity=0.35), make_score("c", opacity=0.6),
        make_score("d", opacity=0.86, kind="logo"), make_score("e", opacity=1.0, width=2000),
        make_clean("f", format="png", jpeg_quality=None), make_score("g", jpeg_quality=None),
        make_score("h", jpeg_quality=60), make_score("i", jpeg_quality=95, height=900),
    ]  # fmt: skip

    def names(groups):
        return {key: "".join(s.name[0] for s in members) for key, members in groups.items()}

    assert names(group_by_kind(scores)) == {"clean": "f", "logo": "d", "text": "abceghi"}
    assert names(group_by_opacity(scores)) == {
        "under .35": "a",
        ".35-.6": "bghi",
        ".6-.86": "c",
        "opaque": "de",
    }
    assert names(group_by_size(scores)) == {"to 640 px": "abcdfgh", "to 1280 px": "i", "over 1280 px": "e"}
    assert names(group_by_format(scores)) == {
        "JPEG under 70": "h",
        "JPEG 70-84": "abcde",
        "JPEG from 85": "i",
        "JPEG, quality unknown": "g",
        "PNG": "f",
    }


def test_recall_counts_marks_by_their_own_opacity():
    marks = (MarkScore(0.2, 0.9), MarkScore(0.2, 0.1), MarkScore(0.4, 1.0), MarkScore(0.9, 0.49))
    assert recall_by_opacity([make_score(marks=marks)]) == {".15-.35": 0.5, ".35-.6": 1.0, "over .6": 0.0}
    assert recall_by_opacity([make_clean()]) == {}


def test_json_is_plain(triples):
    scores = collect(score_pipeline(triples, Oracle(triples), RepairSettings()))
    content = json.loads(json.dumps(to_json(scores), allow_nan=False))
    assert content["all"]["repaired"] == 1.0
    assert content["by_kind"]["clean"]["inside_after"] is None
    assert set(content["by_opacity"]) == {"under .35", ".6-.86", "opaque"}
    first = content["photographs"][0]
    assert (first["name"], first["inside_after"], first["repaired"]) == ("a-faint", "inf", True)
    assert first["tally"] == {"f1": 1.0, "iou": 1.0}
    assert np.isclose(content["recall_by_opacity"]["over .6"], 1.0)
