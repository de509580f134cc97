"""The summary: counts, exit codes, advice."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.engine.counters import Counters, StageSeconds
from cleanplate.engine.events import Cleaned, Paused, PhotoFinished, RunStarted, Warned
from cleanplate.engine.summary import RunSummary, Usage, advise, advise_on_marks, largest_threshold
from cleanplate.structures import Outcome, Verdict


def outcome(name, verdict=Verdict.REPAIRED, **values):
    return Outcome(source=Path(name), relative=name, verdict=verdict, **values)


@pytest.mark.parametrize(
    ("verdicts", "interrupted", "code"),
    [
        ([Verdict.REPAIRED, Verdict.CLEAN], False, 0),
        ([Verdict.REPAIRED, Verdict.FAILED], False, 1),
        ([Verdict.REPAIRED, Verdict.FAILED], True, 130),
        ([], False, 0),
    ],
)
def test_the_exit_code_follows_from_what_happened(verdicts, interrupted, code):
    outcomes = tuple(outcome(str(number), verdict) for number, verdict in enumerate(verdicts))
    assert RunSummary(outcomes=outcomes, interrupted=interrupted).exit_code == code


@given(st.floats(min_value=1e-7, max_value=0.999))
def test_the_advised_threshold_is_never_above_the_share(share):
    threshold = float(largest_threshold(share))
    assert 0 < threshold <= share
    assert "e" not in largest_threshold(share)


def test_advice_counts_every_photograph_under_the_threshold():
    shares = [0.004, 0.0011, 0.002]
    small = [outcome(str(share), Verdict.UNDER_THRESHOLD, share=share) for share in shares]
    (sentence,) = advise([*small, outcome("large", share=0.2)])
    assert sentence == (
        "3 photographs have marks smaller than --threshold; --threshold 0.001 would repair them"
    )
    assert advise([outcome("clean", Verdict.CLEAN)]) == []


def test_counters_count_what_the_stream_tells():
    counters = Counters()
    failed = outcome("b.jpg", Verdict.FAILED, cause="empty", remedy="get another", seconds={"read": 1.0})
    for event in (
        RunStarted(total=4, skipped=1),
        Warned(message="careful"),
        Warned(message="careful"),
        PhotoFinished(outcome=failed),
        PhotoFinished(outcome=outcome("a.jpg", seconds={"read": 0.5, "write": 2.0})),
        Paused(reason="memory is short", seconds=1.25),
        Cleaned(reason="25 photographs have passed"),
    ):
        counters(event)
    earlier = outcome("0.jpg", Verdict.CLEAN)
    usage = Usage(metered_peak_bytes=77, staging_allocated_bytes=10, staging_reused_bytes=90)
    summary = counters.summarise(finished_before=(earlier,), interrupted=True, usage=usage)
    assert summary.counts == {"repaired": 1, "clean": 0, "under_threshold": 0, "failed": 1, "skipped": 1}
    assert [o.relative for o in summary.outcomes] == ["a.jpg", "b.jpg"]
    assert summary.seconds_by_stage == {"read": 1.5, "write": 2.0}
    assert summary.remaining == 2
    assert summary.notes[0] == "careful"
    assert summary.notes.count("careful") == 1
    assert summary.pauses == ("memory is short (1.2 s)", "25 photographs have passed")
    written = json.loads(json.dumps(summary.to_json()))
    assert written["failures"] == [{"source": "b.jpg", "cause": "empty", "remedy": "get another"}]
    assert written["exit_code"] == 130
    assert written["memory"]["metered_peak_bytes"] == 77
    assert written["memory"]["staging_allocated_bytes_per_photograph"] == 5
    assert written["memory"]["staging_reused_bytes"] == 90


def test_a_run_that_never_began_has_no_rate():
    summary = Counters().summarise(finished_before=(), interrupted=False, usage=Usage())
    assert summary.photographs_per_second == 0
    assert summary.work_seconds == 0


def test_a_kept_photographs_seconds_read_like_a_dict():
    kept = StageSeconds({"read": 0.5, "write": 2.25})
    assert (dict(kept), len(kept), kept["write"]) == ({"read": 0.5, "write": 2.25}, 2, 2.25)
    with pytest.raises(KeyError, match="detect"):
        kept["detect"]
    assert StageSeconds({"read": 1.0, "write": 1.0})._stages is kept._stages


def test_marks_that_were_given_and_show_nowhere_are_told():
    clean = [outcome(name, Verdict.CLEAN) for name in ("a", "b")]
    failed = outcome("c", Verdict.FAILED)
    (sentence,) = advise_on_marks([*clean, failed], ["logo.png", "date.png"])
    assert sentence.startswith("none of the 2 photographs shows logo.png or date.png, which is looked for at")
    assert advise_on_marks(clean, []) == []
    assert advise_on_marks([*clean, outcome("d", Verdict.REPAIRED)], ["logo.png"]) == []
    assert advise_on_marks([*clean, outcome("d", share=0.001)], ["logo.png"]) == []
    assert advise_on_marks([failed], ["logo.png"]) == []
