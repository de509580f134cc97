"""The pipeline is built once a process, and again when its checkpoint is another one."""

import inspect
import os
import re
import sys
import types

import pytest

from cleanplate.engine import assembly
from cleanplate.engine.assembly import BUILT_FROM, build_pipeline
from cleanplate.pipeline import assemble
from cleanplate.settings import RepairSettings

from .simple import MagentaPipeline

#: Properties: told by other fields.
DERIVED = {"inpaint_model", "iopaint_model", "is_given"}


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


def test_a_pipeline_gets_every_setting_that_it_is_made_of():
    """A setting that is left out has its default there, whatever the user gave."""
    read = set(re.findall(r"settings\.(\w+)", inspect.getsource(assemble))) - DERIVED
    assert read <= set(BUILT_FROM)
