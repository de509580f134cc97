"""A folder's shared mark is worked out once, kept, and part of what makes a result valid."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cleanplate.engine import pieces
from cleanplate.engine.events import Event, MarkShared, RunStarted, SurveyFinished, SurveyStarted, Warned
from cleanplate.engine.groups import SharedMarks
from cleanplate.engine.run import repair_folder
from cleanplate.engine.sharedmark import MARK_FILE, RECORD_FILE, MarkKeeper, Surveyed
from cleanplate.engine.stop import StopRequest
from cleanplate.engine.survey import SharedMark
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import UsageError
from cleanplate.images.discover import Source
from cleanplate.marks import read_mark, write_mark
from cleanplate.settings import RepairSettings
from cleanplate.structures import Mark, Method, Verdict
from tests.engine.sharing import draw_mark, write_folder

SETTINGS = RepairSettings(device="cpu")


@pytest.fixture(scope="module")
def repaired(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    clean = write_folder(folder / "in", 9, mark=draw_mark())
    heard: list[Event] = []
    summary = repair_folder(folder / "in", folder / "out", SETTINGS, subscribers=[heard.append])
    return folder, clean, summary, heard


def test_the_photographs_come_back_nearly_as_they_were(repaired):
    folder, clean, summary, heard = repaired
    assert summary.counts["repaired"] >= 8
    (shared,) = [event for event in heard if isinstance(event, MarkShared)]
    assert shared.sharing >= 8
    kinds = (SurveyStarted, SurveyFinished, MarkShared, RunStarted)
    assert [type(event) for event in heard if isinstance(event, kinds)] == list(kinds)
    assert SurveyStarted(photographs=9) in heard
    errors = []
    for path, rgb in clean.items():
        result = np.asarray(Image.open(folder / "out" / path.name), np.float32) / 255
        errors.append(float(((result - rgb)[-70:-20, -180:-20] ** 2).mean()))
    assert np.median(errors) < 0.002
    methods = {region.method for outcome in summary.outcomes for region in outcome.regions}
    assert Method.UNBLENDED in methods


def test_the_same_run_again_takes_up_the_same_mark_and_has_nothing_to_do(repaired):
    folder, _, _, _ = repaired
    heard: list[Event] = []
    again = repair_folder(folder / "in", folder / "out", SETTINGS, subscribers=[heard.append])
    assert not again.outcomes
    assert len(again.finished_before) == 9
    (shared,) = [event for event in heard if isinstance(event, MarkShared)]
    assert shared.again


def test_an_edited_mark_makes_every_result_anew(repaired, tmp_path):
    folder, _, _, _ = repaired
    out = tmp_path / "out"
    repair_folder(folder / "in", out, SETTINGS)
    kept = out / ".cleanplate" / MARK_FILE
    mark = read_mark(kept)
    write_mark(Mark(mark.alpha * np.float32(0.97), mark.rgb, mark.kind), kept)
    again = repair_folder(folder / "in", out, SETTINGS)
    assert len(again.outcomes) == 9


def test_a_mark_that_was_damaged_is_worked_out_anew(repaired, tmp_path):
    folder, _, _, _ = repaired
    out = tmp_path / "out"
    repair_folder(folder / "in", out, SETTINGS)
    kept = out / ".cleanplate" / MARK_FILE
    before = kept.read_bytes()
    kept.write_bytes(b"no picture")
    again = repair_folder(folder / "in", out, SETTINGS)
    assert kept.read_bytes() == before
    assert not again.outcomes


def test_off_looks_for_none(repaired, tmp_path):
    folder, _, _, _ = repaired
    repair_folder(folder / "in", tmp_path / "out", dataclasses.replace(SETTINGS, shared_mark="off"))
    assert not (tmp_path / "out" / ".cleanplate" / RECORD_FILE).exists()


def test_where_none_is_shared_that_is_remembered(tmp_path):
    write_folder(tmp_path / "in", 7)
    repair_folder(tmp_path / "in", tmp_path / "out", SETTINGS)
    told = json.loads((tmp_path / "out" / ".cleanplate" / RECORD_FILE).read_text())
    assert told["marks"] == []
    assert len(told["sources"]) == 7


@pytest.mark.parametrize("count", [3, 7])
def test_require_does_nothing_where_none_is_shared(tmp_path: Path, count: int) -> None:
    write_folder(tmp_path / "in", count)
    with pytest.raises(UsageError, match="--mark FILE"):
        repair_folder(tmp_path / "in", tmp_path / "out", dataclasses.replace(SETTINGS, shared_mark="require"))
    assert not list((tmp_path / "out").glob("*.jpg"))


def test_stopped_while_it_looks_it_keeps_nothing_and_goes_on_later(tmp_path):
    write_folder(tmp_path / "in", 9, mark=draw_mark())
    stop = StopRequest()
    stop.request()
    summary = repair_folder(tmp_path / "in", tmp_path / "out", SETTINGS, stop=stop)
    assert summary.interrupted
    assert not (tmp_path / "out" / ".cleanplate" / RECORD_FILE).exists()
    later = repair_folder(tmp_path / "in", tmp_path / "out", SETTINGS)
    assert later.counts["repaired"] >= 8


def test_stopped_within_the_estimate_it_says_what_was_not_reached(tmp_path, monkeypatch):
    write_folder(tmp_path / "in", 9, mark=draw_mark())
    stop, happened = StopRequest(), []
    estimate = pieces.estimate_shared_mark

    def stop_and_estimate(*args, **named):
        happened.append("begun")
        stop.request()
        estimate(*args, **named)
        happened.append("ended")

    monkeypatch.setattr(pieces, "estimate_shared_mark", stop_and_estimate)
    summary = repair_folder(tmp_path / "in", tmp_path / "out", SETTINGS, stop=stop)
    assert happened == ["begun"]
    assert (summary.exit_code, summary.remaining, summary.outcomes) == (130, 9, ())
    assert summary.notes == ("9 photographs were not reached; the same command goes on with them",)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".cleanplate"]
    assert not list((tmp_path / "out" / ".cleanplate").glob("shared-mark*"))


def test_a_given_mark_is_inverted_on_one_photograph_too(tmp_path):
    write_folder(tmp_path / "in", 1, mark=draw_mark())
    write_mark(draw_mark(), tmp_path / "mark.png")
    settings = dataclasses.replace(SETTINGS, mark=(str(tmp_path / "mark.png"),))
    (outcome,) = repair_folder(tmp_path / "in", tmp_path / "out", settings).outcomes
    assert outcome.verdict is Verdict.REPAIRED
    assert outcome.regions[0].method is Method.UNBLENDED


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_file_that_is_no_mark_is_refused_before_any_work(tmp_path, mode):
    write_folder(tmp_path / "in", 1)
    Image.new(mode, (20, 10)).save(tmp_path / "mark.png")
    settings = dataclasses.replace(SETTINGS, mark=(str(tmp_path / "mark.png"),))
    with pytest.raises(UsageError, match=r"mark\.png: .*(no alpha|transparent)"):
        repair_folder(tmp_path / "in", tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("asked", "others", "wanted"),
    [("auto", True, "on"), ("auto", False, "off"), ("off", True, "off"), ("on", False, "on")],
)
def test_whether_others_are_looked_for_is_kept_and_asked(tmp_path, asked, others, wanted):
    """What was seen in the survey decides, unless somebody has said otherwise."""
    settings = dataclasses.replace(SETTINGS, other_marks=asked)
    with Workspace(tmp_path / "out").opened():
        keeper = MarkKeeper(Workspace(tmp_path / "out"), settings, [])
    told = keeper._keep(SharedMarks((SharedMark(draw_mark(), 9, 9),), others=others))
    assert keeper.recall() == told
    assert keeper.apply(told).other_marks == wanted
    assert keeper.apply(Surveyed(key=told.key)).other_marks == asked


@pytest.mark.parametrize("more", [{"inpaint": "opencv"}, {"box": "1,2,30,40"}, {"mark": "mark.png"}])
def test_require_is_refused_where_no_shared_mark_is_looked_for(tmp_path: Path, more: dict[str, str]) -> None:
    write_folder(tmp_path / "in", 9, mark=None)
    settings = dataclasses.replace(SETTINGS, shared_mark="require", **more)
    with pytest.raises(UsageError, match="require cannot be met"):
        repair_folder(tmp_path / "in", tmp_path / "out", settings)


def test_require_wants_photographs_enough_of_a_dry_run_too(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", 3, mark=None)
    settings = dataclasses.replace(SETTINGS, shared_mark="require", dry_run=True)
    with pytest.raises(UsageError, match="there are 3"):
        repair_folder(tmp_path / "in", tmp_path / "out", settings)


def test_a_dry_run_says_that_it_looks_for_no_mark_that_is_required(tmp_path: Path) -> None:
    write_folder(tmp_path / "in", 7, mark=None)
    settings = dataclasses.replace(SETTINGS, shared_mark="require", dry_run=True)
    told: list[Any] = []
    repair_folder(tmp_path / "in", tmp_path / "out", settings, subscribers=[told.append])
    assert any(isinstance(event, Warned) and "dry run" in event.message for event in told)


def test_a_few_photographs_done_again_have_the_kept_mark(repaired: Any, tmp_path: Path) -> None:
    folder, _, _, _ = repaired
    out = tmp_path / "out"
    shutil.copytree(folder / "out", out)
    before = {path.name: path.read_bytes() for path in out.glob("*.*") if path.is_file()}
    heard: list[Event] = []
    again = repair_folder(
        folder / "in", out, dataclasses.replace(SETTINGS, limit=2), subscribers=[heard.append]
    )
    assert (len(again.finished_before), again.outcomes) == (2, ())
    assert {path.name: path.read_bytes() for path in out.glob("*.*") if path.is_file()} == before
    dry = repair_folder(folder / "in", out, dataclasses.replace(SETTINGS, dry_run=True))
    assert len(dry.finished_before) == 9


def keep(workspace: Workspace, folder: Path, names: str, *marks: SharedMark) -> MarkKeeper:
    """Keeps what a survey of photographs of these names would have come to."""
    keeper = MarkKeeper(workspace, SETTINGS, find_sources(folder, names))
    keeper._keep(SharedMarks(marks, others=False))
    return keeper


def find_sources(folder: Path, names: str) -> list[Source]:
    folder.mkdir(exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_bytes(name.encode())
    return [Source(folder / name, name, name) for name in names]


def test_that_there_is_none_is_true_of_those_photographs_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    with workspace.opened():
        keeper = keep(workspace, tmp_path / "in", "abcdefg")
    told = keeper.recall()
    assert told is not None
    assert told.marks == ()
    others = MarkKeeper(workspace, SETTINGS, find_sources(tmp_path / "other", "abcdefg"))
    assert others.recall() is None
    (tmp_path / "in" / "a").write_bytes(b"exchanged")
    assert keeper.recall() is None


def test_marks_of_another_folder_are_kept_and_told_of(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "out")
    with workspace.opened():
        keeper = keep(workspace, tmp_path / "in", "abcdefg", SharedMark(draw_mark(), 7, 7))
    told = keeper.recall()
    assert told is not None
    assert not keeper.is_of_others(told)
    record = workspace.state / RECORD_FILE
    as_now = json.loads(record.read_text())
    earlier = {key: value for key, value in as_now.items() if key != "sources"} | {"photographs": 7}
    record.write_text(json.dumps(earlier))  # as earlier versions kept it
    assert keeper.recall() == dataclasses.replace(told, sources=())
    record.write_text(json.dumps(as_now))
    added = MarkKeeper(workspace, SETTINGS, find_sources(tmp_path / "in", "abcdefghijklmno"))
    assert not added.is_of_others(told)
    others = MarkKeeper(workspace, SETTINGS, find_sources(tmp_path / "other", "abcdefg"))
    assert others.recall() == told
    assert others.is_of_others(told)
    assert str(tmp_path / "out") in others.say_others(told)
