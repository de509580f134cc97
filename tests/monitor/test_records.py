"""A run's state as files."""

import os

from cleanplate.monitor import records
from cleanplate.monitor.records import (
    SAMPLES_FILE,
    STATUS_FILE,
    RunStatus,
    append_sample,
    clear_samples,
    read_samples,
    read_status,
    write_status,
)


def test_a_status_comes_back(tmp_path):
    status = RunStatus(state="running", total=9, images={"repaired": 3, "failed": 1}, seconds={"read": 1.5})
    write_status(tmp_path, status)
    assert read_status(tmp_path) == status
    assert status.done == 4
    assert [path.name for path in (tmp_path / ".cleanplate").iterdir()] == ["status.json"]


def test_what_a_newer_version_writes_is_still_read(tmp_path):
    (tmp_path / ".cleanplate").mkdir()
    (tmp_path / STATUS_FILE).write_text('{"state": "finished", "invented": 1}', encoding="utf-8")
    assert read_status(tmp_path).state == "finished"


def test_no_status_where_none_can_be_read(tmp_path):
    assert read_status(tmp_path) is None
    (tmp_path / ".cleanplate").mkdir()
    for content in ("", "[1]", "{}", '{"state'):
        (tmp_path / STATUS_FILE).write_text(content, encoding="utf-8")
        assert read_status(tmp_path) is None


def test_samples_grow_and_begin_anew(tmp_path):
    assert read_samples(tmp_path) == []
    for second in range(5):
        append_sample(tmp_path, {"seconds": second})
    assert [sample["seconds"] for sample in read_samples(tmp_path, last=2)] == [3, 4]
    clear_samples(tmp_path)
    clear_samples(tmp_path)
    assert read_samples(tmp_path) == []


def test_half_a_line_is_left_out(tmp_path):
    append_sample(tmp_path, {"seconds": 1})
    with (tmp_path / SAMPLES_FILE).open("a", encoding="utf-8") as file:
        file.write('3\n{"seconds": 2, "proc')
    assert read_samples(tmp_path) == [{"seconds": 1}]


def test_samples_stay_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MOST_SAMPLE_BYTES", 400)
    for second in range(200):
        append_sample(tmp_path, {"seconds": second})
    assert (tmp_path / SAMPLES_FILE).stat().st_size <= 400
    kept = [sample["seconds"] for sample in read_samples(tmp_path)]
    assert kept == list(range(kept[0], 200))
    assert len(kept) > 5


def test_damaged_lines_and_figures_that_are_none_are_left_out(tmp_path):
    append_sample(tmp_path, {"seconds": 1})
    with (tmp_path / SAMPLES_FILE).open("ab") as file:
        file.write(b'\xff\xfe\n{"seconds": 2, "cpu": null, "gpu": "none"}\n')
    assert read_samples(tmp_path) == [{"seconds": 1}, {"seconds": 2}]


def test_a_run_whose_process_is_gone_was_killed(tmp_path):
    gone = 2**22 + 1
    for state, process, told in (
        ("running", gone, "killed"),
        ("running", os.getpid(), "running"),
        ("finished", gone, "finished"),
    ):
        write_status(tmp_path, RunStatus(state=state, process=process, updated=1.0))
        assert read_status(tmp_path).state == told
