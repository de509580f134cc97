"""`cleanplate extract-mark` writes what photographs share as a picture that `repair --mark` takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanplate.cli import main
from cleanplate.marks import read_mark
from tests.engine.sharing import draw_mark, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made: Path = tmp_path_factory.mktemp("extract")
    write_folder(made / "in", 9, mark=draw_mark())
    return made


def test_the_mark_is_written_and_can_be_used(folder, capsys):
    target = folder / "mark.png"
    assert main(["extract-mark", str(folder / "in"), "-o", str(target), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sharing"] >= 8
    assert 0.4 < float(read_mark(target).alpha.max()) < 0.8
    assert (
        main(["repair", str(folder / "in"), "-o", str(folder / "out"), "--mark", str(target), "--quiet"]) == 0
    )


def test_a_mark_that_is_there_is_not_written_over(folder, capsys):
    target = folder / "there.png"
    target.write_bytes(b"mine")
    assert main(["extract-mark", str(folder / "in"), "-o", str(target)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"


def test_a_name_that_is_no_png_is_refused(folder, capsys):
    assert main(["extract-mark", str(folder / "in"), "-o", str(folder / "mark.jpg")]) == 2
    assert ".png" in capsys.readouterr().err


def test_photographs_that_share_nothing_give_no_file(tmp_path, capsys):
    write_folder(tmp_path / "in", 6)
    target = tmp_path / "mark.png"
    assert main(["extract-mark", str(tmp_path / "in"), "-o", str(target)]) == 2
    assert "no mark was found" in capsys.readouterr().err
    assert not target.exists()
