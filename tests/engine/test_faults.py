"""Every file operation of a run fails in turn; and the process dies at every one in turn."""

import contextlib
import errno
import gc
import os
import threading

import pytest
from benchmarks.light import make_light_pipeline

from cleanplate.device.virtual import VirtualAccelerator
from cleanplate.engine.run import repair_folder
from cleanplate.errors import CleanplateError
from cleanplate.settings import RepairSettings
from cleanplate.structures import Verdict
from tests.sweep.harness import TOTAL_BYTES, StrictAccelerator

from .faults import Faults, Killed
from .simple import draw_photo, leftovers, read_tree

BOTH = pytest.mark.parametrize("optimize", [True, False], ids=["overlapped", "plain"])


def repair(folder, output, *, optimize, memory=None):
    settings = RepairSettings(optimize=optimize, save_masks=True, recursive=True, batch_size=1)
    memory = memory or VirtualAccelerator(TOTAL_BYTES)
    return repair_folder(folder, output, settings, pipeline=make_light_pipeline(), memory=memory)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    """A sync is still counted and still fails; what it does cannot be seen without cutting the power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "in"
    draw_photo(folder / "a.png", seed=1, size=(40, 32), mark_px=8)
    draw_photo(folder / "below" / "b.jpg", seed=2, size=(40, 32), mark_px=0)
    return folder


@pytest.fixture
def expected(photos, tmp_path):
    """What an undisturbed run writes."""
    repair(photos, tmp_path / "undisturbed", optimize=False)
    return read_tree(tmp_path / "undisturbed")


def count_operations(photos, tmp_path, *, optimize) -> tuple[int, set[str]]:
    """How many there are, and of what kinds."""
    with Faults(tmp_path).armed() as faults:
        repair(photos, tmp_path / "counted", optimize=optimize)
    return faults.count, {name.split()[0] for name in faults.seen}


def permission_or_space(name):
    if name.split()[0] in {"open", "read", "stat", "scandir", "listdir"}:
        return PermissionError(errno.EACCES, "Permission denied", name)
    return OSError(errno.ENOSPC, "No space left on device", name)


def check_every_photograph_is_right_or_named(summary, photos, output, expected):
    written = read_tree(output) if output.exists() else {}
    assert all(expected.get(name) == content for name, content in written.items()), "half-written"
    named = [outcome.source for outcome in summary.outcomes if outcome.verdict is Verdict.FAILED]
    for name in expected:  # or the folder that it lies in, where that could not be looked into
        source = photos / name
        done = [outcome.source for outcome in summary.outcomes]
        assert source in done or any(folder in source.parents for folder in named), name
    for outcome in summary.outcomes:
        if outcome.verdict is Verdict.FAILED:
            assert outcome.cause
            assert outcome.remedy
        else:
            assert written[outcome.output] == expected[outcome.output]


@pytest.mark.parametrize(
    ("optimize", "for_good"),
    [(True, False), (False, False), (True, True), (False, True)],
    ids=["overlapped, once", "plain, once", "overlapped, from then on", "plain, from then on"],
)
def test_each_file_operation_failing_in_turn(photos, tmp_path, expected, optimize, for_good):
    total, swept = count_operations(photos, tmp_path, optimize=optimize)
    assert total > 50
    assert {"scandir", "stat", "open", "write", "fsync", "replace", "unlink"} <= swept
    refused_at_start = 0
    for n in range(1, total + 1):
        output = tmp_path / f"out-{n}"
        faults = Faults(
            tmp_path, (lambda i, n=n: i >= n) if for_good else (lambda i, n=n: i == n), permission_or_space
        )
        memory, threads, summary = StrictAccelerator(TOTAL_BYTES), set(threading.enumerate()), None
        gc.disable()
        try:
            with faults.armed():
                summary = repair(photos, output, optimize=optimize, memory=memory)
        except CleanplateError:
            refused_at_start += 1
        finally:
            gc.enable()
        assert memory.meter.live_bytes == 0, (n, faults.failed[:1])
        assert set(threading.enumerate()) == threads, (n, faults.failed[:1])
        if summary is not None:
            assert memory.meter.total_bytes > 0 or summary.exit_code == 1
            check_every_photograph_is_right_or_named(summary, photos, output, expected)
        again = repair(photos, output, optimize=optimize)
        assert again.exit_code == 0, (n, faults.failed, again.failures)
        assert read_tree(output) == expected, (n, faults.failed)
        assert leftovers(output) == []
    assert refused_at_start < total / 2


@BOTH
def test_death_at_each_file_operation_in_turn(photos, tmp_path, expected, optimize):
    total, _ = count_operations(photos, tmp_path, optimize=optimize)
    for n in range(1, total + 1):
        output = tmp_path / f"out-{n}"
        faults = Faults(tmp_path, lambda i, n=n: i >= n, lambda _: Killed())
        # The operations of an overlapped run vary a little in number: the last ones may not come.
        with faults.armed(), contextlib.suppress(Killed):
            repair(photos, output, optimize=optimize)
        written = read_tree(output) if output.exists() else {}
        assert all(expected.get(name) == content for name, content in written.items()), n
        summary = repair(photos, output, optimize=optimize)
        assert summary.exit_code == 0, (n, faults.failed[:1], summary.failures)
        assert read_tree(output) == expected
        assert leftovers(output) == []
