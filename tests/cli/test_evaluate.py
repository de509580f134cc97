"""`cleanplate evaluate`, as it is called."""

import json
import shutil
import sys
from types import ModuleType

import cv2
import pytest
from skimage import data

from cleanplate.cli import main
from cleanplate.evaluate.triples import find_triples, write_triple
from tests.evaluate.conftest import Oracle, draw_sample


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "triples"
    folder.mkdir()
    for name, how in (("a", {"opacity": 0.3}), ("b", {"opacity": 0.8, "kind": "logo"}), ("c", {"box": None})):
        write_triple(folder, name, draw_sample(**how))
    return folder


@pytest.fixture
def assembled(folder, monkeypatch):
    """The settings that the pipeline was assembled from; the pipeline knows the truth."""
    settings = []

    def assemble_pipeline(given):
        settings.append(given)
        return Oracle(find_triples(folder))

    module = ModuleType("cleanplate.pipeline.assemble")
    module.assemble_pipeline = assemble_pipeline
    monkeypatch.setitem(sys.modules, "cleanplate.pipeline.assemble", module)
    return settings


def test_a_folder_is_scored_by_repairing(folder, assembled, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    assert main(["evaluate", str(folder), "--threshold", "0.0005", "--sheet", str(sheet)]) == 0
    printed = capsys.readouterr()
    assert "by opacity" in printed.out
    assert "b: " in printed.err
    assert "c: clean, untouched" in printed.err
    assert (assembled[0].threshold, assembled[0].model) == (0.0005, "embedded")
    assert cv2.imread(str(sheet)) is not None


@pytest.mark.usefixtures("assembled")
def test_json_is_alone_on_standard_output(folder, capsys):
    assert main(["evaluate", str(folder), "--json", "--limit", "2"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["all"]["photographs"] == 2
    assert content["all"]["repaired"] == 1.0


def test_results_of_another_tool_are_scored(folder, tmp_path, capsys):
    results = tmp_path / "results"
    results.mkdir()
    for name in ("a", "c"):
        shutil.copy(folder / f"{name}.truth.png", results / f"{name}.png")
    assert main(["evaluate", str(folder), "--results", str(results), "--json"]) == 1  # one has no result
    content = json.loads(capsys.readouterr().out)
    assert (content["all"]["repaired"], content["all"]["failed"]) == (0.5, 1)


def test_triples_are_drawn_and_can_be_scored(tmp_path, capsys):
    photos, drawn = tmp_path / "photos", tmp_path / "drawn"
    photos.mkdir()
    cv2.imwrite(str(photos / "astronaut.png"), data.astronaut()[:256, :, ::-1])
    given = ["make", "--photos", str(photos), "-o", str(drawn), "--count", "2", "--seed", "4"]
    assert main(["evaluate", *given, "--clean-share", "0.5"]) == 0
    assert capsys.readouterr().out == f"2 triples in {drawn}\n"
    assert main(["evaluate", str(drawn), "--results", str(drawn), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["all"]["clean"], content["all"]["clean_touched"]) == (1, 0.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("missing",), "missing: there is no such folder"),
        (("make",), "needs --photos DIR and -o DIR"),
        (("make", "--photos", "missing", "-o", "out"), "missing: there is no such folder"),
        (("make", "--photos", "a", "-o", "b", "--json"), "--json cannot be used here"),
        (("triples", "--count", "3", "--clean-share", "0"), "--count, --clean-share cannot be used here"),
        (("triples", "--limit", "0"), "--limit is 0"),
        (
            ("triples", "--results", "triples", "--model", "x"),
            "--model, --threshold and --device have no use",
        ),
        (("triples", "--threshold", "2"), "threshold is 2.0"),
    ],
)
@pytest.mark.usefixtures("assembled")
def test_what_cannot_be_meant_exits_2(options, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *options]) == 2
    assert said in capsys.readouterr().err
