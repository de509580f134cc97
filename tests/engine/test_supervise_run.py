"""Whole runs whose networks are in a process of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from cleanplate.engine import run
from cleanplate.engine.events import PhotoFinished, Warned
from cleanplate.engine.run import repair_folder
from cleanplate.engine.stop import StopRequest
from cleanplate.engine.supervise import (
    NO_PROGRESS_SECONDS,
    SupervisedOwner,
    choose_limit,
    is_supervised,
)
from cleanplate.errors import UsageError
from cleanplate.settings import RepairSettings
from cleanplate.structures import Verdict

from . import troubled
from .interrupted import UnhurriedPipeline
from .simple import draw_folder, draw_photo, leftovers, read_tree
from .troubled import TroubledPipeline

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr(run, "choose_policy", troubled.make_plain)


def repair(photos, output, *, subscribers=(), stop=None, pipeline=None, **settings):
    settings = {"supervise": True, "device": "cpu", "batch_size": 3, **settings}
    return repair_folder(
        photos,
        output,
        RepairSettings(**settings),
        pipeline=pipeline or TroubledPipeline(),
        subscribers=subscribers,
        stop=stop,
    )


@pytest.mark.parametrize("optimize", [True, False], ids=["overlapped", "plain"])
def test_a_supervised_run_writes_the_same_bytes(tmp_path, optimize):
    photos = draw_folder(tmp_path / "in", 7)
    repair(photos, tmp_path / "here", supervise=False, optimize=optimize, save_masks=True)
    summary = repair(photos, tmp_path / "there", optimize=optimize, save_masks=True)
    assert summary.exit_code == 0
    assert read_tree(tmp_path / "there") == read_tree(tmp_path / "here")
    masks = [read_tree(tmp_path / name / ".cleanplate" / "masks") for name in ("here", "there")]
    assert masks[0] == masks[1] != {}
    assert "transfer" in summary.seconds_by_stage
    again = repair(photos, tmp_path / "there", optimize=optimize, supervise=False, save_masks=True)
    assert again.counts["skipped"] == 7


def test_a_photograph_that_ends_two_children_is_named_and_the_run_goes_on(tmp_path):
    photos = draw_folder(tmp_path / "in", 6)
    bad = draw_photo(photos / "leaving.png")
    warnings = []
    summary = repair(photos, tmp_path / "out", subscribers=[warnings.append])
    (failure,) = summary.failures
    assert failure.source == bad
    assert "two processes in a row ended" in failure.cause
    assert failure.remedy
    assert summary.exit_code == 1
    assert summary.counts["repaired"] == 3
    assert sum(isinstance(event, Warned) for event in warnings) == 2
    assert leftovers(tmp_path / "out") == []


def test_a_stop_lets_the_batch_in_hand_finish(tmp_path):
    photos, stop, finished = draw_folder(tmp_path / "in", 24), StopRequest(), []

    def listen(event):
        if isinstance(event, PhotoFinished):
            finished.append(event.outcome.verdict)
            stop.request()

    summary = repair(photos, tmp_path / "out", stop=stop, subscribers=[listen], pipeline=UnhurriedPipeline())
    assert summary.interrupted
    assert 0 < len(finished) < 24
    assert Verdict.FAILED not in finished
    assert len(read_tree(tmp_path / "out")) == len(finished)


def test_a_pipeline_that_cannot_travel_is_refused(tmp_path):
    pipeline = TroubledPipeline()
    pipeline.lock = lambda: None
    with pytest.raises(UsageError, match="--no-supervise"):
        repair(draw_folder(tmp_path / "in", 1), tmp_path / "out", pipeline=pipeline)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to a process group alone there")
def test_ctrl_c_in_a_terminal_reaches_all_and_drains(tmp_path):
    """Every process of a terminal gets the signal; the child leaves it to the parent."""
    photos = draw_folder(tmp_path / "in", 40)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-m", "tests.engine.interrupted", str(photos), str(tmp_path / "out")]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        os.killpg(parent.pid, signal.SIGINT)
        said, complaints = parent.communicate(timeout=60)
    assert said.split() == ["130", "0"], complaints
    assert not child.is_running()
    assert "Traceback" not in complaints


def test_it_is_on_for_cuda_unless_it_cannot_be(monkeypatch):
    from cleanplate.device import selection

    monkeypatch.setattr(selection, "resolve_device", lambda _: torch.device("cuda", 0))
    assert is_supervised(RepairSettings())
    assert choose_limit(RepairSettings()) == NO_PROGRESS_SECONDS["cuda"]
    assert not is_supervised(RepairSettings(device="cpu"))
    assert not is_supervised(RepairSettings(supervise=False))
    assert not is_supervised(RepairSettings(), is_given=True)
    assert is_supervised(RepairSettings(supervise=True), is_given=True)


def test_a_daemonic_process_keeps_the_networks(monkeypatch):
    process = type("Process", (), {"daemon": True})()
    monkeypatch.setattr("multiprocessing.current_process", lambda: process)
    assert not is_supervised(RepairSettings())
    with pytest.raises(UsageError, match="--no-supervise"), SupervisedOwner(RepairSettings()):
        pass
