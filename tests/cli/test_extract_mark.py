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
    assert told["others"] == []
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


def test_all_marks_that_are_shared_are_written(tmp_path, capsys):
    other = draw_mark(0.6, text="Foto Krug")
    write_folder(tmp_path / "in", 12, mark=draw_mark(), grow_px=3, also=lambda _: other)
    target = tmp_path / "mark.png"
    assert main(["extract-mark", str(tmp_path / "in"), "-o", str(target)]) == 0
    said = capsys.readouterr().out
    assert str(target) in said
    assert str(tmp_path / "mark-2.png") in said
    heights = sorted(read_mark(tmp_path / name).alpha.shape[1] for name in ("mark.png", "mark-2.png"))
    assert heights[0] < heights[1]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["mark-2.png", "mark.png"]


def test_what_is_there_where_another_mark_may_go_is_not_written_over(folder, capsys):
    (folder / "own-2.png").write_bytes(b"mine")
    assert main(["extract-mark", str(folder / "in"), "-o", str(folder / "own.png")]) == 2
    assert "own-2.png" in capsys.readouterr().err
    assert (folder / "own-2.png").read_bytes() == b"mine"
    assert not (folder / "own.png").exists()
