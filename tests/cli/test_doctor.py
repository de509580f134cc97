"""`cleanplate doctor`."""

import json
import os
import subprocess
import sys

import pytest

from cleanplate.cli import main
from cleanplate.engine import diagnosis
from cleanplate.engine.diagnosis import Finding


@pytest.fixture
def findings(monkeypatch):
    found = [
        Finding(topic="disk", fact="5 GB free"),
        Finding(topic="CUDA", fact="none", verdict="note", remedy="nothing"),
    ]
    monkeypatch.setattr(diagnosis, "diagnose", lambda: found)
    return found


@pytest.mark.usefixtures("findings")
def test_a_table(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for expected in ("good", "disk", "5 GB free", "note", "-> nothing"):
        assert expected in printed


def test_something_to_mend_is_exit_code_one(findings, capsys):
    findings.append(Finding(topic="torch", fact="not there", verdict="bad", remedy="pip install torch"))
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert not report["healthy"]
    assert report["findings"][-1] == {
        "topic": "torch",
        "fact": "not there",
        "verdict": "bad",
        "remedy": "pip install torch",
    }


def test_threads_are_found_as_a_run_has_them():
    unset = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "THP_"))}
    done = subprocess.run(
        [sys.executable, "-m", "cleanplate", "doctor", "--json"],
        env=unset,
        capture_output=True,
        text=True,
        check=False,
    )
    (threads,) = [f for f in json.loads(done.stdout)["findings"] if f["topic"] == "threads"]
    assert threads["verdict"] == "good", threads
