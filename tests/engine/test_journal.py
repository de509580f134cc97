"""The journal: what it keeps, and what a crash or a full disk leaves of it."""

import json
import os
import threading

import pytest

from cleanplate.engine.events import Cleaned, MemorySampled, Paused, Retried, RunFinished, RunStarted, Warned
from cleanplate.engine.journal import Journal, read_history, read_lines
from cleanplate.engine.records import Receipt, Stamp, outcome_from_json, outcome_to_json
from cleanplate.engine.summary import RunSummary
from cleanplate.structures import Box, Method, Outcome, Region, Verdict

STAMP = Stamp("ab" * 32, 100, 1_700_000_000_000_000_000)


def make_outcome(tmp_path, name="a.jpg", **values):
    return Outcome(
        **{
            "source": tmp_path / name,
            "relative": name,
            "verdict": Verdict.REPAIRED,
            "output": name,
            "share": 0.01,
            "score": 0.9,
            "rounds": 2,
            "width": 30,
            "height": 20,
            "regions": (
                Region(Box(1, 2, 3, 4), Method.UNBLENDED, 0.4, 0.9),
                Region(Box(0, 0, 9, 9), Method.LEFT, None, 0.1),
            ),
            "seconds": {"read": 0.25},
            "notes": ("a note",),
            "input_sha256": "cd" * 32,
            "settings_key": "key-1",
            **values,
        }
    )


def test_an_outcome_comes_back_as_it_was(tmp_path):
    outcome = make_outcome(tmp_path)
    assert outcome_from_json(json.loads(json.dumps(outcome_to_json(outcome)))) == outcome
    failed = make_outcome(tmp_path, verdict=Verdict.FAILED, output=None, cause="why", remedy="how")
    assert outcome_from_json(outcome_to_json(failed)) == failed


def test_names_that_are_no_unicode_come_back(tmp_path):
    outcome = make_outcome(tmp_path, name=os.fsdecode(b"caf\xe9.jpg"))
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.finish(outcome, Receipt(STAMP, STAMP))
    assert read_history(tmp_path / "journal.jsonl").results[outcome.output].outcome == outcome


def test_the_latest_result_of_a_name_counts_and_failures_leave_it_standing(tmp_path):
    path = tmp_path / "journal.jsonl"
    first, second = make_outcome(tmp_path), make_outcome(tmp_path, settings_key="key-2")
    with Journal(path) as journal:
        journal.finish(first, Receipt(STAMP, STAMP))
        journal.finish(second, Receipt(STAMP, STAMP))
        journal.finish(make_outcome(tmp_path, verdict=Verdict.FAILED, output=None), None)
        journal.announce("b.jpg", "ef" * 32)
    history = read_history(path)
    assert history.results["a.jpg"].outcome == second
    assert history.results["a.jpg"].receipt == Receipt(STAMP, STAMP)
    assert history.announced == {"b.jpg": {"ef" * 32}}


def test_a_missing_journal_has_no_history(tmp_path):
    assert read_history(tmp_path / "journal.jsonl").results == {}


def test_a_journal_cut_at_any_byte_loses_only_its_last_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    names = ["a.jpg", "b.jpg", "c.jpg"]
    with Journal(path) as journal:
        for name in names:
            journal.finish(make_outcome(tmp_path, name), Receipt(STAMP, STAMP))
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:length])
        complete = sum(length >= end - 1 for end in ends)  # the newline itself may be missing
        assert list(read_history(path).results) == names[:complete]
        with Journal(path) as journal:
            journal.finish(make_outcome(tmp_path, "after.jpg"), Receipt(STAMP, STAMP))
        assert list(read_history(path).results) == [*names[:complete], "after.jpg"]


def test_lines_that_mean_nothing_are_passed_over(tmp_path):
    path = tmp_path / "journal.jsonl"
    lines = [b"[1, 2]", b"\xff\xfe", b'{"no": "kind"}', b'{"kind": "finished", "outcome": 3, "receipt": {}}']
    lines += [b'{"kind": "finished", "outcome": {"source": "a", "verdict": "eaten"}, "receipt": {}}']
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert read_history(path).results == {}
    assert len(list(read_lines(path))) == 3


def test_a_write_that_fails_half_way_spoils_no_other_line(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    write = os.write
    with Journal(path) as journal:

        def fail_half_way(descriptor, data):
            write(descriptor, bytes(data)[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", fail_half_way)
        with pytest.raises(OSError, match="No space"):
            journal.finish(make_outcome(tmp_path), Receipt(STAMP, STAMP))
        journal(Warned(message="this one is for reading only, and is lost"))
        monkeypatch.setattr(os, "write", write)
        journal.finish(make_outcome(tmp_path, "b.jpg"), Receipt(STAMP, STAMP))
    assert list(read_history(path).results) == ["b.jpg"]


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:11]))
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.finish(make_outcome(tmp_path), Receipt(STAMP, STAMP))
    assert list(read_history(tmp_path / "journal.jsonl").results) == ["a.jpg"]


def test_every_line_is_synced_before_its_method_returns(tmp_path, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: (synced.append(os.fstat(descriptor).st_size), sync(descriptor))
    )
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.announce("a.jpg", "00")
        assert synced == [(tmp_path / "journal.jsonl").stat().st_size]


def test_what_else_happens_is_noted(tmp_path):
    path = tmp_path / "journal.jsonl"
    events = [
        RunStarted(total=3, skipped=1, key="key"),
        Paused(reason="system memory is at 85%", seconds=2.5),
        Cleaned(reason="25 photographs have passed", freed_bytes=10),
        Retried(stage="detect", batch=4, tile=None, next_batch=2, next_tile=None, cause="out of memory"),
        MemorySampled(resident_bytes=1, peak_resident_bytes=2, available_bytes=3),
        Warned(message="careful"),
        RunFinished(summary=RunSummary(outcomes=())),
    ]
    with Journal(path) as journal:
        for event in events:
            journal(event)
    lines = list(read_lines(path))
    assert [line["kind"] for line in lines] == ["started", "paused", "cleaned", "retried", "warned", "ended"]
    assert all("time" in line for line in lines)
    assert {"batch": 4, "next_batch": 2, "tile": None, "next_tile": None}.items() <= lines[3].items()


def test_lines_of_many_threads_stay_whole(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        threads = [
            threading.Thread(target=lambda k=k: [journal.announce(f"{k}-{i}", "00") for i in range(20)])
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read_history(path).announced) == 80
