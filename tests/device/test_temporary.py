"""What killed processes leave in the temporary folder goes; what somebody may still use stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from cleanplate.cli.exits import EXIT_INTERRUPTED
from cleanplate.device import temporary
from cleanplate.device.temporary import (
    STALE_SECONDS,
    make_prefix,
    open_folder,
    remove_temporary,
    sweep_temporary,
)
from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings
from tests.engine.simple import MagentaPipeline, draw_folder

#: Larger than Linux gives out.
NOBODY = 4194305

OPENS = """
import os, signal, sys, time
from pathlib import Path
from cleanplate.device.temporary import open_folder
with open_folder("iopaint") as name:
    (Path(name) / "image").mkdir()
    (Path(name) / "image" / "0.png").write_bytes(b"x")
    print(name, flush=True)
    {then}
"""
INTERRUPTED_TWICE = """
    from cleanplate.cli.interrupt import stop_on_interrupt
    class Stop:
        def request(self): pass
    with stop_on_interrupt(Stop(), print):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, of other processes too."""
    found = tmp_path / "temporary"
    found.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(found))
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(found))
    return found


def start(then: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OPENS.format(then=then)], stdout=subprocess.PIPE, text=True
    )


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_folder_goes_at_its_end(folder: Path) -> None:
    with open_folder("iopaint") as name:
        assert Path(name).parent == folder
        sweep_temporary()
        assert Path(name).is_dir()
    assert list(folder.iterdir()) == []


def test_what_is_left_of_processes_that_are_gone_is_swept_at_once(folder: Path) -> None:
    gone = Path(tempfile.mkdtemp(prefix=make_prefix("iopaint", NOBODY)))
    (gone / "filled").mkdir()
    (gone / "filled" / "0.png").touch()
    (folder / f"{make_prefix('stacks', NOBODY)}abc.txt").touch()
    mine = Path(tempfile.mkdtemp(prefix=make_prefix("iopaint")))
    others = [folder / name for name in ("cleanplate-notes", "cleanplate-iopaint-x", "else")]
    for other in others:
        other.mkdir()
    sweep_temporary()
    assert sorted(folder.iterdir()) == sorted([mine, *others])


def test_another_machines_are_swept_when_they_are_old(folder: Path) -> None:
    names = ("cleanplate-iopaint-00000000-1-old", "cleanplate-iopaint-00000000-1-new")
    old, new = (folder / name for name in names)
    for path, seconds in ((old, STALE_SECONDS + 60), (new, STALE_SECONDS - 60)):
        path.mkdir()
        age(path, seconds)
    sweep_temporary()
    assert list(folder.iterdir()) == [new]


def test_a_number_that_was_given_out_again_protects_nothing(folder: Path) -> None:
    path = Path(tempfile.mkdtemp(prefix=make_prefix("iopaint")))
    age(path, time.time() - psutil.Process().create_time() + 2 * temporary.LATER_SECONDS)
    sweep_temporary()
    assert list(folder.iterdir()) == []


def test_of_named_processes_all_is_removed(folder: Path) -> None:
    Path(tempfile.mkdtemp(prefix=make_prefix("iopaint")))
    other = Path(tempfile.mkdtemp(prefix=make_prefix("iopaint", 1)))
    remove_temporary([os.getpid()])
    assert list(folder.iterdir()) == [other]


@pytest.mark.skipif(os.name == "nt", reason="signals are raised otherwise there")
def test_a_second_ctrl_c_leaves_nothing(folder: Path) -> None:
    with start(INTERRUPTED_TWICE) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED
    assert Path(said.split()[0]).parent == folder
    assert list(folder.iterdir()) == []


def test_the_next_run_of_any_kind_sweeps_what_a_killed_one_left(folder: Path, tmp_path: Path) -> None:
    with start("time.sleep(600)") as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        process.kill()
    assert left.is_dir()
    repair_folder(
        draw_folder(tmp_path / "in", 1),
        tmp_path / "out",
        RepairSettings(optimize=False),
        pipeline=MagentaPipeline(),
    )
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_looked_at_stops_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "gone"))
    sweep_temporary()
