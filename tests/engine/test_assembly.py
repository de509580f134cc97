"""The pipeline is built once a process, and again when its checkpoint is another one."""

import os
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cleanplate.pipeline
from cleanplate.engine import assembly
from cleanplate.engine.assembly import build_pipeline
from cleanplate.models.nets.chooser import Chooser
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import Networks
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.iopaint import MOST_SILENT, IOPaintRemover
from cleanplate.settings import RepairSettings

from .simple import MagentaPipeline

#: Properties: told by other fields.


@pytest.fixture
def built(monkeypatch):
    calls = []
    module = types.ModuleType("cleanplate.pipeline.assemble")
    module.assemble_pipeline = lambda settings: calls.append(settings) or MagentaPipeline()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(assembly, "configure_threads", lambda: calls.append("threads"))
    assembly._build.cache_clear()
    yield calls
    assembly._build.cache_clear()


def test_the_same_settings_get_the_same_pipeline(built):
    first = build_pipeline(RepairSettings())
    assert build_pipeline(RepairSettings()) is first
    assert build_pipeline(RepairSettings(threshold=0.1, batch_size=2)) is first
    assert build_pipeline(RepairSettings(inpaint="opencv")) is not first
    assert built == ["threads", RepairSettings(), "threads", RepairSettings(inpaint="opencv")]


def test_a_run_knows_nothing_of_a_program_that_hung_in_an_earlier_one(monkeypatch):
    remover = IOPaintRemover(model="lama")
    remover._course.silent = MOST_SILENT
    hung = MarkRepair(detector=None, remover=remover)
    monkeypatch.setattr(assembly, "_build", lambda *_: hung)
    pipeline = build_pipeline(RepairSettings(inpaint="iopaint:lama"))
    assert not pipeline.remover._course.is_given_up
    assert pipeline.remover.fingerprint == remover.fingerprint
    assert remover._course.is_given_up


def test_a_checkpoint_that_was_trained_on_is_another_one(built, tmp_path):
    checkpoint = tmp_path / "model.safetensors"
    settings = RepairSettings(model=str(checkpoint))
    build_pipeline(settings)
    checkpoint.write_bytes(b"weights")
    first = build_pipeline(settings)
    assert build_pipeline(settings) is first
    os.utime(checkpoint, ns=(1, 1))
    assert build_pipeline(settings) is not first
    assert built.count(settings) == 3


@pytest.mark.usefixtures("built")
def test_weights_that_came_to_hand_make_another_pipeline(tmp_path):
    settings = RepairSettings(model_dir=str(tmp_path))
    first = build_pipeline(settings)
    (tmp_path / "big-lama.pt").write_bytes(b"weights")
    assert build_pipeline(settings) is not first
    chosen = RepairSettings(model_dir=str(tmp_path), inpaint="opencv")
    second = build_pipeline(chosen)
    (tmp_path / "migan_traced.pt").write_bytes(b"weights")
    assert build_pipeline(chosen) is second


def test_every_setting_that_a_pipeline_reads_is_one_that_it_is_built_from():
    """Others have their defaults there, so reading one would be as if nobody had given it."""
    folder = Path(cleanplate.pipeline.__file__).parent
    read = set(re.findall(r"settings\.(\w+)", (folder / "assemble.py").read_text(encoding="utf-8")))
    derived = {"is_given": "masks", "iopaint_model": "inpaint", "inpaint_model": "inpaint"}
    derived["inverts_marks"] = "inpaint"
    assert {derived.get(name, name) for name in read} <= set(assembly.BUILT_FROM)
    assert "ocr" in read


def test_a_mark_that_was_found_is_put_to_the_networks_that_are_there(monkeypatch, tmp_path):
    """A run with a shared mark builds a pipeline to look with and one to take the mark off."""
    loaded = []

    def load(model, *_where, **_how):
        loaded.append(model)
        return Networks(Finder().eval(), Restorer().eval(), Chooser().eval(), "untrained")

    monkeypatch.setattr("cleanplate.models.weights.load_networks", load)
    rgba = np.zeros((20, 30, 4), np.uint8)
    rgba[5:15, 5:25] = (255, 255, 255, 128)
    Image.fromarray(rgba).save(tmp_path / "mark.png")
    assembly._build.cache_clear()
    assembly._build_with_marks.cache_clear()
    looking = build_pipeline(RepairSettings(device="cpu"))
    taking = build_pipeline(RepairSettings(device="cpu", mark=(str(tmp_path / "mark.png"),)))
    again = build_pipeline(RepairSettings(device="cpu", mark=(str(tmp_path / "mark.png"),)))
    assembly._build.cache_clear()
    assembly._build_with_marks.cache_clear()

    assert loaded == ["embedded"]
    assert again is taking
    assert (taking.detector, taking.remover) == (looking.detector, looking.remover)
    assert looking.known is None
    assert len(taking.known.marks) == 1
