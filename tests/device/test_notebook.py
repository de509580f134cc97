"""Numbers that outlive the process."""

import json
import logging

import pytest

from cleanplate.device import notebook
from cleanplate.device.notebook import Notebook


def test_numbers_are_there_for_the_next_process(tmp_path):
    path = tmp_path / "new" / "memory.json"
    first = Notebook(path)
    first.put("factor", 1.5)
    first.put("peak", 123456)
    assert Notebook(path).get("factor") == 1.5
    assert Notebook(path).get("peak") == 123456
    Notebook(path).forget("factor")
    assert Notebook(path).get("factor") is None
    assert [file.name for file in path.parent.iterdir()] == ["memory.json"]


def test_what_another_process_wrote_meanwhile_is_kept(tmp_path):
    path = tmp_path / "memory.json"
    one, other = Notebook(path), Notebook(path)
    one.put("a", 1)
    other.put("b", 2)
    other.forget("c")
    assert json.loads(path.read_text()) == {"a": 1.0, "b": 2.0}


@pytest.mark.parametrize("content", [b"{half", b"[1, 2]", b"\xff\xfe"])
def test_a_damaged_file_is_passed_over_with_a_note(tmp_path, caplog, content):
    path = tmp_path / "memory.json"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        notes = Notebook(path)
    assert "passed over" in caplog.text
    notes.put("factor", 2.0)
    assert Notebook(path).get("factor") == 2.0


def test_only_numbers_count(tmp_path):
    path = tmp_path / "memory.json"
    path.write_text('{"a": "x", "b": true, "c": NaN, "d": 3, "e": Infinity}')
    notes = Notebook(path)
    assert [notes.get(name) for name in "abcde"] == [None, None, None, 3.0, None]


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    notes = Notebook(tmp_path / "file" / "memory.json")
    notes.put("factor", 1.5)
    assert notes.get("factor") == 1.5


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "memory.json"
    Notebook(path).put("a", 1)
    notes = Notebook(path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(notebook.Path, "replace", fail)
    notes.put("b", 2)
    assert notes.get("b") == 2
    assert json.loads(path.read_text()) == {"a": 1.0}
    assert [file.name for file in tmp_path.iterdir()] == ["memory.json"]


def test_it_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(notebook, "MOST_NAMES", 3)
    notes = Notebook(tmp_path / "memory.json")
    for number in range(5):
        notes.put(str(number), number)
    assert [notes.get(str(number)) for number in range(5)] == [None, None, 2, 3, 4]
