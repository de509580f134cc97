"""One run at a time; a dead run's lock is no obstacle."""

import os
import subprocess
import sys

import pytest

from cleanplate.engine.lock import OutputLock
from cleanplate.errors import OutputInUseError

HOLD = """
import sys, time
from pathlib import Path
from cleanplate.engine.lock import OutputLock
with OutputLock(Path(sys.argv[1]), Path("OUT")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_refused_and_told_who_holds_it(tmp_path):
    with (
        OutputLock(tmp_path / "lock", tmp_path),
        pytest.raises(OutputInUseError, match=f"another run is writing here \\(process {os.getpid()}\\)"),
        OutputLock(tmp_path / "lock", tmp_path),
    ):
        pytest.fail("held twice")
    with OutputLock(tmp_path / "lock", tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_another_process_holds_it_until_it_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline().strip() == b"held"
        with (
            pytest.raises(OutputInUseError, match=f"process {child.pid}"),
            OutputLock(tmp_path / "lock", tmp_path),
        ):
            pytest.fail("held twice")
        child.kill()
    with OutputLock(tmp_path / "lock", tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_lock_that_cannot_be_made_leaves_nothing_open(tmp_path):
    with pytest.raises(OSError, match="nowhere"), OutputLock(tmp_path / "nowhere" / "lock", tmp_path):
        pytest.fail("held")
