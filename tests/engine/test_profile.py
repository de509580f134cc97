"""Stage times and traces of a run."""

import gzip
import json

import pytest
from benchmarks.light import draw_photo, make_light_pipeline

from cleanplate.device import virtual
from cleanplate.engine import profile
from cleanplate.engine.profile import Tracer
from cleanplate.engine.run import repair_folder
from cleanplate.errors import UsageError
from cleanplate.settings import RepairSettings


def repair(tmp_path, *, folder, **settings):
    for number, mark_px in enumerate((20, 0)):
        draw_photo(tmp_path / "in" / f"{number}.png", seed=number, mark_px=mark_px)
    return repair_folder(
        tmp_path / "in",
        tmp_path / "out",
        RepairSettings(profile=str(folder), **settings),
        pipeline=make_light_pipeline(),
        memory=virtual.VirtualAccelerator(1 << 30),
    )


def test_a_run_is_profiled(tmp_path):
    summary = repair(tmp_path, folder=tmp_path / "below" / "profile", batch_size=1)
    assert summary.exit_code == 0
    stages = json.loads((tmp_path / "below" / "profile" / "stages.json").read_text())
    assert stages["photographs"] == 2
    assert {"plan", "read", "detect", "restore", "guard", "compose", "write"} <= stages["stages"].keys()
    restore, plan = stages["stages"]["restore"], stages["stages"]["plan"]
    assert (restore["photographs"], restore["slowest"]) == (1, "0.png")
    assert restore["slowest_seconds"] == restore["median_seconds"] == pytest.approx(restore["seconds"])
    assert (plan["photographs"], plan["median_seconds"]) == (0, None)
    assert sum(stage["seconds"] for stage in stages["stages"].values()) > 0
    traces = sorted((tmp_path / "below" / "profile").glob("trace-*"))
    assert [path.name for path in traces] == ["trace-1.json.gz", "trace-2.json.gz"]
    names = {
        event.get("name") for event in json.loads(gzip.decompress(traces[0].read_bytes()))["traceEvents"]
    }
    assert "aten::conv2d" in names


def test_only_the_first_batches_are_traced(tmp_path, monkeypatch):
    monkeypatch.setattr(profile, "TRACED_BATCHES", 1)
    repair(tmp_path, folder=tmp_path / "profile", batch_size=1)
    assert len(list((tmp_path / "profile").glob("trace-*"))) == 1


def test_a_folder_that_cannot_be_made_is_told_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="--profile"):
        repair(tmp_path, folder=tmp_path / "file" / "below")
    assert not (tmp_path / "out").exists()


def test_a_trace_that_cannot_be_written_costs_nothing_else(tmp_path, caplog):
    (tmp_path / "file").touch()
    tracer = Tracer(tmp_path / "file" / "below")
    for _ in range(2):
        with tracer.tracing():
            pass
    assert caplog.text.count("no trace could be written") == 1


def test_without_a_folder_nothing_is_traced():
    with Tracer(None).tracing():
        pass


def test_on_a_card_the_allocations_of_the_traced_batches_are_kept(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(profile, "is_cuda_in_use", lambda: True)
    memory = profile.__dict__  # the module's own view of torch is the real one
    assert "torch" not in memory
    import torch

    monkeypatch.setattr(
        torch.cuda.memory, "_record_memory_history", lambda *_, **given: told.append(sorted(given))
    )
    monkeypatch.setattr(torch.cuda.memory, "_dump_snapshot", lambda path: told.append(path))
    tracer = Tracer(tmp_path)
    for _ in range(4):
        with tracer.tracing():
            pass
    snapshot = str(tmp_path / "memory.pickle")
    assert told == [["max_entries"], snapshot, snapshot, snapshot, ["enabled"]]
