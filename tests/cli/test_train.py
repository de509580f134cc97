"""`cleanplate train`, as it is called."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cleanplate.cli import main
from cleanplate.models import weights
from cleanplate.models.nets.chooser import Chooser
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import NAMES, read_weights, write_weights
from cleanplate.train import chooser, finder, restorer
from tests.train.conftest import write_photos

QUICK = ("--examples", "2", "--batch-size", "2", "--workers", "0", "--threads", "1")


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", 3)[0].parent


@pytest.fixture
def init(tmp_path, monkeypatch):
    """A checkpoint of fresh networks, and validation on little."""
    monkeypatch.setattr(finder, "VALIDATION_PHOTOS", 1)
    monkeypatch.setattr(restorer, "VALIDATION_CROPS", 3)
    monkeypatch.setattr(chooser, "VALIDATION_CROPS", 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    path = tmp_path / "init.safetensors"
    write_weights(path, {"finder": Finder(), "restorer": Restorer(), "chooser": Chooser()}, {})
    monkeypatch.setattr(weights, "_read_embedded", lambda: read_weights(path))
    return str(path)


@pytest.mark.parametrize("network", ["finder", "restorer", "chooser"])
def test_a_network_is_trained_and_its_weights_are_told(network, photos, init, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["train", network, "--photos", str(photos), "-o", str(out), "--init", init, *QUICK]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"weights: {out / network}-best.safetensors\n"
    assert re.search(r"step 1  validation \{", printed.err)
    assert {name.split(".")[0] for name in read_weights(out / f"{network}.safetensors")[0]} == {network}


@pytest.fixture
def mark(tmp_path):
    rgba = np.zeros((20, 60, 4), np.uint8)
    rgba[4:16, 4:56] = (255, 255, 255, 180)
    path = tmp_path / "mine.png"
    Image.fromarray(rgba).save(path)
    return path


@pytest.mark.parametrize("network", ["finder", "restorer"])
def test_a_network_adapts_to_one_mark(network, photos, init, mark, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cleanplate.cli.train.MARK_VALIDATION_COUNT", {"finder": 1, "restorer": 3})
    given = ["train", network, "--photos", str(photos), "--mark", str(mark), "--init", init, *QUICK]
    assert main([*given, "--join", "embedded"]) == 0
    printed = capsys.readouterr()
    out = Path("trained") / f"mine-{network}"
    weights = out / f"{network}-best.safetensors"
    assert printed.out == f"weights: {weights}\nall networks: {out / 'joined.safetensors'}\n"
    assert "step 0  validation" in printed.err
    assert re.search(r"^given +\d", printed.err, re.MULTILINE)
    assert {name.split(".")[0] for name in read_weights(out / "joined.safetensors")[0]} == NAMES


@pytest.mark.usefixtures("init")
def test_a_mark_without_transparency_is_refused(photos, tmp_path, capsys):
    path = tmp_path / "solid.png"
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(path)
    out = str(tmp_path / "out")
    assert main(["train", "finder", "--photos", str(photos), "-o", out, "--mark", str(path), *QUICK]) == 2
    assert "solid.png: the mark has no alpha channel" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--examples", "1"), "examples is 1"),
        (("--threads", "0"), "threads is 0"),
        (("--device", "foo"), "foo"),
        (("--seed", "-1"), "seed is -1"),
        (("--crop-size", "100"), "crop_size is 100"),
        (("--fonts", "missing-fonts"), "missing-fonts: there is no such folder"),
        (("--validation", "missing-photos"), "missing-photos: no photographs are there"),
        (("--init", "missing.safetensors"), "missing.safetensors: there is no such model"),
    ],
)
@pytest.mark.usefixtures("init")
def test_what_cannot_be_meant_exits_2(options, said, photos, tmp_path, capsys):
    given = ["train", "restorer", "--photos", str(photos), "-o", str(tmp_path / "out"), *QUICK, *options]
    assert main(given) == 2
    assert said in capsys.readouterr().err


def test_an_interrupt_exits_130_and_keeps_the_state(photos, init, tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("cleanplate.cli.train._print_figures", interrupt)
    given = [
        "train",
        "restorer",
        "--photos",
        str(photos),
        "-o",
        str(tmp_path / "out"),
        "--init",
        init,
        *QUICK,
    ]
    assert main(given) == 130
    assert (tmp_path / "out" / "state.ckpt").exists()


def test_help_needs_no_torch():
    program = (
        "import sys; from cleanplate.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit as left: assert left.code == 0\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "goes on where it stopped" in done.stdout


def test_a_training_goes_on_with_its_own_subject_only(photos, init, mark, tmp_path, capsys):
    words = ["train", "finder", "--photos", str(photos), "-o", str(tmp_path / "out"), "--init", init, *QUICK]
    assert main([*words, "--mark", str(mark)]) == 0
    assert main([*words, "--mark", str(mark)]) == 0
    other = mark.with_name("other.png")
    Image.fromarray(np.full((20, 60, 4), 200, np.uint8)).save(other)
    capsys.readouterr()
    assert main([*words, "--mark", str(other), "--seed", "5"]) == 2
    assert "begun with another --mark and another --seed" in capsys.readouterr().err
