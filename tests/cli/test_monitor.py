"""`cleanplate monitor`."""

import json
import time

import pytest

from cleanplate.cli import main, monitor
from cleanplate.monitor.records import RunStatus, append_sample, write_status


def test_one_look_at_this_machine(capsys):
    assert main(["monitor", "--once", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "system available" in printed
    assert "torch sees no CUDA card" in printed


def test_one_look_as_json(capsys):
    assert main(["monitor", "--once", "--json", "--device", "cpu"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["figures"]["process_bytes"] > 0
    assert report["run"] is None


def test_a_run_in_another_process_until_it_ends(tmp_path, capsys, monkeypatch):
    began = time.time()
    write_status(tmp_path, RunStatus(state="running", total=2, updated=began))
    append_sample(tmp_path, {"seconds": 1.0, "process_bytes": 5_000_000})

    def sleep(_seconds):
        write_status(tmp_path, RunStatus(state="finished", total=2, images={"repaired": 2}, updated=began))

    monkeypatch.setattr(monitor.time, "sleep", sleep)
    assert main(["monitor", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "running: 0 of 2" in printed
    assert "finished: 2 of 2 photographs (2 repaired)" in printed
    assert "5 MB" in printed


def test_a_run_that_died_is_over(tmp_path, capsys, monkeypatch):
    write_status(tmp_path, RunStatus(state="running", process=2**22 + 1, updated=1.0))
    monkeypatch.setattr(monitor.time, "sleep", pytest.fail)
    assert main(["monitor", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["state"] == "killed"


def test_live_on_a_terminal(tmp_path, capsys, monkeypatch):
    write_status(tmp_path, RunStatus(state="finished", total=1))
    monkeypatch.setattr(monitor.sys.stdout, "isatty", lambda: True, raising=False)
    assert main(["monitor", str(tmp_path)]) == 0
    assert "finished: 0 of 1" in capsys.readouterr().out


def test_leaving_with_control_c_is_no_failure(capsys, monkeypatch):
    def interrupt(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(monitor.time, "sleep", interrupt)
    assert main(["monitor", "--json", "--device", "cpu"]) == 0
    assert capsys.readouterr().out


def test_metrics_are_served_meanwhile(capsys):
    assert main(["monitor", "--once", "--prometheus", "0", "--device", "cpu"]) == 0
    assert "metrics are at http://127.0.0.1:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--interval", "0"], "wanted: seconds above 0"),
        (["--device", "cuda:99"], "--device cuda:99"),
        (["--prometheus", "99999"], "--prometheus is 99999"),
    ],
)
def test_wrong_usage(arguments, message, capsys):
    assert main(["monitor", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_a_run(tmp_path, capsys):
    assert main(["monitor", str(tmp_path)]) == 2
    assert "no run has written its status here" in capsys.readouterr().err
