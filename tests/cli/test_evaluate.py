"""`cleanplate evaluate`, as it is called."""

import json
import shutil
import sys
from types import ModuleType

import cv2
import numpy as np
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
    missing = str(tmp_path / "nowhere" / "sheet.png")
    assert main(["evaluate", str(folder), "--threshold", "0.0005", "--sheet", missing]) == 2
    sheet = tmp_path / "sheet.png"
    assert main(["evaluate", str(folder), "--threshold", "0.0005", "--sheet", str(sheet)]) == 0
    printed = capsys.readouterr()
    assert "by opacity" in printed.out
    assert "b: " in printed.err
    assert "c: clean, untouched" in printed.err
    assert (assembled[0].threshold, assembled[0].model) == (0.0005, "embedded")
    assert "against the goals" in printed.out
    assert "Telea, true mask" in printed.out
    assert cv2.imread(str(sheet)) is not None


@pytest.mark.usefixtures("assembled")
def test_json_is_alone_on_standard_output(folder, capsys):
    assert main(["evaluate", str(folder), "--json", "--limit", "2"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["all"]["photographs"] == 2
    assert content["all"]["repaired"] == 1.0
    goals = {goal["key"]: goal for goal in content["goals"]}
    assert goals["repaired"]["met"] is True
    assert set(goals["inside"]) == {"key", "goal", "result", "input", "Telea, true mask", "met"}
    assert main(["evaluate", str(folder), "--json", "--no-baselines"]) == 0
    goals = json.loads(capsys.readouterr().out)["goals"]
    assert set(goals[0]) == {"key", "goal", "result", "met"}


@pytest.mark.usefixtures("assembled")
def test_two_sides_are_compared(folder, tmp_path, capsys):
    results, sheet = tmp_path / "results", tmp_path / "sheet.png"
    results.mkdir()
    for name in "abc":
        shutil.copy(folder / f"{name}.marked.png", results / f"{name}.png")
    given = ["evaluate", "compare", "embedded", str(results), "--triples", str(folder)]
    assert main([*given, "--sheet", str(sheet)]) == 0
    printed = capsys.readouterr()
    assert "better by over 0.5 dB: A 2, B 0, neither 1" in printed.out
    assert cv2.imread(str(sheet)) is not None
    assert main([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["wins"] == {"a": 2, "b": 0, "even": 1}


@pytest.mark.parametrize("protocol", ["clwd", "logo-h"])
def test_a_papers_set_is_drawn_and_scored(protocol, tmp_path, monkeypatch, capsys):
    photos, drawn, sheet = tmp_path / "photos", tmp_path / "drawn", tmp_path / "sheet.png"
    photos.mkdir()
    cv2.imwrite(str(photos / "astronaut.png"), data.astronaut()[:256, :, ::-1])
    given = ["--protocol", protocol]
    assert main(["evaluate", "make", *given, "--photos", str(photos), "-o", str(drawn), "--count", "2"]) == 0
    assert "photographs and logos are not" in capsys.readouterr().out
    settings = []

    def assemble_pipeline(chosen):
        settings.append(chosen)
        return Oracle(find_triples(drawn))

    module = ModuleType("cleanplate.pipeline.assemble")
    module.assemble_pipeline = assemble_pipeline
    monkeypatch.setitem(sys.modules, "cleanplate.pipeline.assemble", module)
    assert main(["evaluate", str(drawn), *given, "--sheet", str(sheet)]) == 0
    printed = capsys.readouterr()
    assert "published" in printed.out
    assert "M parameters" in printed.out
    assert settings[0].threshold == 0.0005
    assert cv2.imread(str(sheet)) is not None
    assert main(["evaluate", str(drawn), *given, "--outputs", str(drawn), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["means"]["result"]["psnr"] == content["means"]["input"]["psnr"]


def test_one_mark_is_drawn_alone(tmp_path, capsys):
    photos, drawn, mark = tmp_path / "photos", tmp_path / "drawn", tmp_path / "mark.png"
    photos.mkdir()
    cv2.imwrite(str(photos / "astronaut.png"), data.astronaut()[:256, :, ::-1])
    rgba = np.zeros((30, 80, 4), np.uint8)
    rgba[5:25, 5:75] = (0, 0, 255, 200)
    cv2.imwrite(str(mark), rgba)
    given = ["--photos", str(photos), "-o", str(drawn), "--count", "2", "--mark", str(mark)]
    assert main(["evaluate", "make", *given, "--clean-share", "0", "--mosaic-share", "0"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(drawn), "--results", str(drawn), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["by_kind"]) == {"given"}


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
        (("triples", "more"), "evaluate got 'triples more'"),
        (("compare", "a", "--triples", "b"), "wanted: compare A B --triples DIR"),
        (("compare", "a", "b"), "evaluate compare needs --triples DIR"),
        (("compare", "a", "b", "--triples", "c", "--model", "d"), "--model cannot be used here"),
        (("triples", "--triples", "c"), "--triples cannot be used here"),
        (("triples", "--protocol", "clwd", "--no-baselines"), "--no-baselines cannot be used with"),
        (("make", "--photos", "photos", "-o", "b", "--lossless"), "--lossless belongs to --protocol clwd"),
        (
            ("make", "--photos", "photos", "-o", "b", "--protocol", "clwd", "--clean-share", "0.1"),
            "--clean-share cannot be used here: --protocol fixes",
        ),
    ],
)
@pytest.mark.usefixtures("assembled")
def test_what_cannot_be_meant_exits_2(options, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "a.png"), data.astronaut()[:256, :, ::-1])
    assert main(["evaluate", *options]) == 2
    assert said in capsys.readouterr().err
