"""`cleanplate report`, and --report on repair."""

import pytest

from cleanplate.cli import main
from cleanplate.cli.options import read_watching
from tests.cli.test_options import parse
from tests.report.outputs import make_many


def test_it_says_where_the_page_is(tmp_path, capsys):
    output = make_many(tmp_path / "out", 4)
    assert main(["report", str(output)]) == 0
    assert capsys.readouterr().out.strip() == str(output / "report.html")
    assert main(["report", str(output), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_folder_without_a_run_is_wrong_usage(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 2
    assert "no run has written here" in capsys.readouterr().err


def test_masks_are_kept_for_it():
    from cleanplate.cli.options import read_settings

    assert read_watching(parse("--report")).report
    assert read_settings(parse("--report"), {}).save_masks
    assert not read_settings(parse("--report", "--no-save-masks"), {}).save_masks
    assert not read_settings(parse(), {}).save_masks


def test_a_dry_run_has_no_report(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    given = ["repair", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--report", "--dry-run"]
    assert main(given) == 2
    assert "a dry run writes nothing" in capsys.readouterr().err


@pytest.fixture
def photos(tmp_path):
    from tests.engine.simple import draw_photo

    draw_photo(tmp_path / "in" / "a.png", mark_px=0)
    return tmp_path / "in"


def test_repair_writes_it(photos, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(["repair", str(photos), "-o", str(output), "--report", "--quiet"]) == 0
    assert (output / "report.html").is_file()
    assert main(["repair", str(photos), "-o", str(output), "--report"]) == 0
    assert f"report: {output / 'report.html'}" in capsys.readouterr().err


def test_of_nothing_there_is_no_report(tmp_path):
    (tmp_path / "in").mkdir()
    assert main(["repair", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--report", "--quiet"]) == 0
    assert not (tmp_path / "out" / "report.html").exists()
