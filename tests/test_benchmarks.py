"""The benchmark of one photograph reaches into the pipeline's parts by name: they must be there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_one_photograph_is_measured() -> None:
    command = [sys.executable, str(BENCHMARKS / "speed.py"), "--count", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "one look" in done.stdout
