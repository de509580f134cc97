"""What is read from an output folder, and what the page gets of it."""

import json

import pytest

from cleanplate.engine.workspace import Workspace
from cleanplate.errors import UsageError
from cleanplate.report import ReportData, collect, describe_photo, photo_id
from cleanplate.report.collect import MOST_REGIONS, thin_samples
from cleanplate.structures import Box, Method, Outcome, Region, Verdict
from tests.report.outputs import HOSTILE, make_many


def journal(tmp_path, *lines):
    path = Workspace(tmp_path).journal
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def finished(name, verdict="clean", second=1, **values):
    outcome = {
        "source": f"/in/{name}",
        "relative": name,
        "verdict": verdict,
        "share": 0.0,
        "score": 0.0,
        **values,
    }
    return {"kind": "finished", "outcome": outcome, "time": f"2026-01-01T00:00:{second:02}+00:00"}


def started(second=0, total=2):
    return {"kind": "started", "total": total, "skipped": 0, "time": f"2026-01-01T00:00:{second:02}+00:00"}


def ended(second, interrupted=False):
    return {
        "kind": "ended",
        "counts": {},
        "interrupted": interrupted,
        "time": f"2026-01-01T00:00:{second:02}+00:00",
    }


def test_a_run_of_photographs_of_all_kinds(output):
    records = {record["name"]: record for record in collect(output).to_json()["photos"]}
    assert [
        records[name]["verdict"] for name in ("a marked.jpg", "clean.jpg", "slight.png", "broken.jpg")
    ] == [
        "repaired",
        "clean",
        "under_threshold",
        "failed",
    ]
    marked = records["a marked.jpg"]
    assert marked["methods"] == {"filled": 1}
    assert marked["regions"][0]["box"] == [120, 80, 200, 160]
    assert marked["sureness"] == 0.75
    assert marked["batch"] >= 1
    assert {"read", "write"} <= set(marked["seconds"])
    assert "cause" in records["broken.jpg"]
    assert "remedy" in records["broken.jpg"]
    assert HOSTILE in records


def test_addresses_are_relative_escaped_and_there(output):
    import urllib.parse

    for record in collect(output).to_json()["photos"]:
        for name, address in record.get("pictures", {}).items():
            if name != "detail_box":
                assert not set(address) & set('<>"& ?#'), address
                assert (output / urllib.parse.unquote(address)).is_file()


def test_browsers_get_what_they_can_show(output):
    pictures = {record["name"]: record.get("pictures") for record in collect(output).to_json()["photos"]}
    assert pictures["a marked.jpg"]["after"] == "a%20marked.jpg"
    assert pictures["a marked.jpg"]["before"].startswith("../photos/")
    assert "mask" in pictures["a marked.jpg"]
    assert pictures["deep.tiff"]["after"].endswith(".large.jpg")
    assert pictures["deep.tiff"]["detail_after"].endswith(".detail.jpg")
    assert pictures["deep.tiff"]["detail_box"] == [1436, 36, 1764, 264]
    assert pictures["inks.jpg"]["after"].endswith(".large.jpg")
    assert "before" not in pictures["clean.jpg"], "it looks the same"
    assert pictures["broken.jpg"] is None


def test_the_last_outcome_of_a_photograph_counts(tmp_path):
    journal(
        tmp_path,
        started(),
        finished("a.jpg", "failed"),
        finished("b.jpg"),
        finished("a.jpg", "repaired", 3),
        ended(4),
    )
    data = collect(tmp_path)
    assert [(p.outcome.relative, p.outcome.verdict) for p in data.photos] == [
        ("a.jpg", Verdict.REPAIRED),
        ("b.jpg", Verdict.CLEAN),
    ]
    assert data.run.state == "finished"
    assert data.run.ended - data.run.began == 4


def test_a_later_run_with_nothing_to_do_hides_no_story(tmp_path):
    journal(
        tmp_path, started(), finished("a.jpg"), ended(9, interrupted=True), started(20, total=0), ended(21)
    )
    story = collect(tmp_path).run
    assert (story.state, story.total) == ("interrupted", 2)
    journal(tmp_path, started(), finished("a.jpg"), ended(9), started(20), finished("b.jpg", second=22))
    story = collect(tmp_path).run
    assert (story.state, story.ended) == ("running", None)


def test_trying_again_what_fails_again_hides_no_story_either(tmp_path):
    journal(
        tmp_path,
        *(started(), finished("a.jpg"), finished("b.jpg", "failed"), ended(9)),
        *(started(20, total=1), finished("b.jpg", "failed", 21), ended(22)),
        finished("a.jpg", "repaired", 25),  # by a review
    )
    assert (collect(tmp_path).run.total, collect(tmp_path).run.state) == (2, "finished")
    journal(tmp_path, started(), finished("b.jpg", "failed"), ended(9))
    assert collect(tmp_path).run.total == 2


def test_lines_of_another_version_are_passed_over(tmp_path):
    odd = {**finished("b.jpg"), "receipt": ["x"]}
    journal(
        tmp_path, {"kind": "finished"}, {"kind": "new", "time": "x"}, {}, odd, started(), finished("a.jpg")
    )
    assert len(collect(tmp_path).photos) == 1
    assert collect(tmp_path).run.began > 0


def test_where_no_run_has_written(tmp_path):
    with pytest.raises(UsageError, match="no run has written here"):
        collect(tmp_path)
    assert ReportData.empty(tmp_path).to_json()["photos"] == []


def test_events_and_samples_of_the_run(tmp_path):
    data = collect(make_many(tmp_path / "out", 160)).to_json()
    assert [event["kind"] for event in data["run"]["events"]] == ["paused", "retried"]
    assert all("at" in event for event in data["run"]["events"])
    assert len(data["run"]["samples"]) == 20
    json.dumps(data, allow_nan=False)


def test_samples_are_thinned_without_losing_extremes():
    samples = [
        {"seconds": n, "process_bytes": n % 10, "system_available_bytes": 100 - n % 7} for n in range(1000)
    ]
    thinned = thin_samples(samples, 50)
    assert len(thinned) == 50
    assert max(sample["process_bytes"] for sample in thinned) == 9
    assert min(sample["system_available_bytes"] for sample in thinned) == 94
    assert [sample["seconds"] for sample in thinned] == list(range(0, 1000, 20))
    assert thin_samples([], 5) == []


def test_of_many_regions_the_largest_are_listed(tmp_path):
    regions = tuple(Region(Box(0, 0, n + 1, 1), Method.RESTORED, None, 0.9) for n in range(100))
    outcome = Outcome(
        source=tmp_path / "a.jpg", relative="a.jpg", verdict=Verdict.REPAIRED, share=0.5, regions=regions
    )
    record = describe_photo(tmp_path, outcome, at=5.0)
    assert record["methods"] == {"restored": 100}
    assert len(record["regions"]) == MOST_REGIONS
    assert record["regions"][0]["box"] == [0, 0, 100, 1]
    assert record["at"] == 5.0


def test_a_server_gives_addresses_by_id(tmp_path):
    outcome = Outcome(
        source=tmp_path / "<x>.jpg", relative="<x>.jpg", verdict=Verdict.CLEAN, output="<x>.jpg"
    )
    record = describe_photo(tmp_path, outcome)
    name = photo_id(tmp_path / "<x>.jpg")
    assert record["id"] == name
    assert record["pictures"]["after"] == f"/pictures/{name}/after"
    assert record["pictures"]["thumb"] == f"/pictures/{name}/thumbnail?of=after"


def test_decisions_that_hold_are_shown(tmp_path):
    output = make_many(tmp_path / "out", 10)
    first, second = collect(output).photos[:2]
    lines = [
        {"kind": "approved", "source": str(chosen.outcome.source), "output": "x", "sha256": sha256}
        for sha256, chosen in ((first.output_sha256, first), ("00", second))
    ]
    Workspace(output).decisions.write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="ascii"
    )
    records = collect(output).to_json()["photos"]
    assert records[0]["review"] == {"decision": "approved"}
    assert "review" not in records[1], "its result has changed since"
