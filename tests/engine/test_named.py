"""What a call names: no empty path goes for the current folder."""

from pathlib import Path

import pytest

from cleanplate.engine.extract import extract_marks
from cleanplate.engine.maskwriter import detect_folder
from cleanplate.engine.named import read_inputs
from cleanplate.engine.run import repair_folder
from cleanplate.errors import UsageError


@pytest.mark.parametrize("call", [repair_folder, detect_folder, extract_marks])
@pytest.mark.parametrize("wrong", ["", "a\0b"])
def test_no_call_takes_an_empty_path_for_the_current_folder(call, wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for inputs, output in ((wrong, "out"), ("photos", wrong), (["photos", wrong], "out")):
        with pytest.raises(UsageError, match=r"an empty path names no folder|no path holds a zero byte"):
            call(inputs, output)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_one_or_several_may_be_named():
    assert read_inputs("a") == read_inputs(Path("a")) == read_inputs(["a"]) == [Path("a")]
