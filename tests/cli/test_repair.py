"""`cleanplate repair` from its arguments to its exit code, with a pipeline that needs no network."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleanplate.cli import main, page
from cleanplate.engine import run
from cleanplate.errors import UsageError
from tests.cli.stand_in import WhitePixels

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """Three photographs: one with a large mark, one with a small one, one without."""
    monkeypatch.setattr(run, "build_pipeline", lambda _settings: WhitePixels())
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, marked_rows in (("large.png", 10), ("small.png", 1), ("none.png", 0)):
        write_photo(folder / name, marked_rows)
    return folder


def write_photo(path: Path, marked_rows: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 200, (300, 20, 3), dtype=np.uint8)
    rgb[:marked_rows] = 255
    Image.fromarray(rgb).save(path)


def test_a_folder_is_repaired_and_the_table_says_so(photos, tmp_path, capsys):
    assert main(["repair", str(photos), "-o", str(tmp_path / "out"), "--threshold", "0.01"]) == 0
    captured = capsys.readouterr()
    told = dict(" ".join(line.split()).rsplit(" ", 1) for line in captured.out.splitlines()[:4])
    assert told == {"repaired": "1", "clean": "1", "under threshold": "1", "failed": "0"}
    assert (
        "1 photograph has marks smaller than --threshold; --threshold 0.003 would repair it" in captured.out
    )
    assert "3 photographs to look at" in captured.err
    with Image.open(tmp_path / "out" / "large.png") as result:
        assert np.asarray(result).max() < 200
    assert (tmp_path / "out" / "none.png").read_bytes() == (photos / "none.png").read_bytes()


def test_json_is_all_there_is_on_standard_output(photos, tmp_path, capsys):
    words = ["repair", str(photos), "-o", str(tmp_path / "out"), "--json", "--verbose", "--batch-size", "12"]
    assert main(words) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert told["counts"]["repaired"] == 1
    assert "large.png: repaired" in captured.err
    assert "--batch-size 12 is over 10" in captured.err


def test_a_second_run_passes_over_what_is_finished(photos, tmp_path, capsys):
    words = ["repair", str(photos), "-o", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    assert main(words) == 0
    told = capsys.readouterr().out.partition("}\n{")[2]
    assert json.loads("{" + told)["counts"]["skipped"] == 3


def test_one_bad_file_is_one_line_and_exit_code_1(photos, tmp_path, capsys):
    (photos / "broken.jpg").write_bytes(b"")
    log = tmp_path / "run.log"
    assert main(["repair", str(photos), "-o", str(tmp_path / "out"), "--quiet", "--log-file", str(log)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"failed: {photos / 'broken.jpg'}: ")
    assert line in log.read_text(encoding="utf-8")
    assert (tmp_path / "out" / "large.png").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--batch-size", "0"], "batch_size is 0; wanted: a whole number from 1"),
        (["--config", "none.toml"], "none.toml: the settings file cannot be read"),
        (["--device", "gpu"], "device is 'gpu'; wanted: auto, cpu, cuda or cuda:N"),
    ],
)
def test_wrong_usage_exits_with_2_before_any_work(photos, tmp_path, capsys, words, complaint):
    output = tmp_path / "out"
    assert main(["repair", str(photos), "-o", str(output), *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not output.exists()


def test_a_report_that_cannot_be_written_is_no_wrong_usage(photos, tmp_path, capsys, monkeypatch):
    def fail(output, **_options):
        raise UsageError(f"{output}: the report cannot be written (No space left on device)")

    monkeypatch.setattr(page, "write_page", fail)
    assert main(["repair", str(photos), "-o", str(tmp_path / "out"), "--report"]) == 1
    captured = capsys.readouterr()
    assert "repaired" in captured.out
    assert "the report cannot be written" in captured.err


def test_whoever_reads_the_output_may_leave():
    code = "from cleanplate.cli.exits import call; raise SystemExit(call(lambda: print('a' * 200_000)))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_summary_that_cannot_be_printed_is_one_line_and_the_report_is_written(photos, tmp_path, words):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.cli.stand_in", "0", "repair", str(photos), "-o", str(out)]
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [*command, "--report", *words],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert finished.returncode == 1
    assert "the summary cannot be printed (No space left on device)" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert (out / "report.html").exists()


def test_a_run_without_standard_output_does_its_work(photos, tmp_path):
    command = f'"$0" -m tests.cli.stand_in 0 repair "{photos}" -o "{tmp_path / "out"}" >&-'
    finished = subprocess.run(
        ["sh", "-c", command, sys.executable], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "out" / "large.png").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_a_log_file_that_cannot_be_written_is_told_once(photos, tmp_path, capsys):
    words = ["repair", str(photos), "-o", str(tmp_path / "out"), "--log-file", "/dev/full"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.err.count("/dev/full: the log file is incomplete (No space left on device)") == 1
    assert "Traceback" not in captured.err
    assert "repaired" in captured.out


def test_a_missing_input_exits_with_2(tmp_path, capsys):
    assert main(["repair", str(tmp_path / "none"), "-o", str(tmp_path / "out")]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_an_empty_folder_exits_with_0_and_says_so(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["repair", str(tmp_path / "empty"), "-o", str(tmp_path / "out")]) == 0
    assert "no photographs" in capsys.readouterr().out.lower()


def test_the_output_may_not_be_an_input(photos, capsys):
    assert main(["repair", str(photos), "-o", str(photos)]) == 2
    assert str(photos) in capsys.readouterr().err


def test_a_dry_run_writes_nothing(photos, tmp_path, capsys):
    assert main(["repair", str(photos), "-o", str(tmp_path / "out"), "--dry-run"]) == 0
    assert "would be repaired" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def start_slow_run(photos: Path, output: Path, seconds: float) -> subprocess.Popen[str]:
    """A repair in a process of its own, a photograph at a time; returns when it has begun."""
    words = ["repair", str(photos), "-o", str(output), "--no-optimize", "--verbose", "--json"]
    words += ["--shared-mark", "off"]  # else the slow finder is asked about many of them first
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.stand_in", str(seconds), *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )
    assert process.stderr is not None
    assert "photographs to look at" in process.stderr.readline()
    return process


def interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))


@pytest.fixture
def many(tmp_path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        write_photo(folder / f"{number:02}.png", 10)
    return folder


def test_the_first_interrupt_finishes_what_is_in_hand(many, tmp_path):
    process = start_slow_run(many, tmp_path / "out", seconds=0.3)
    process.stderr.readline()  # one photograph is done
    interrupt(process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Ctrl-C again leaves at once" in err
    told = json.loads(out)
    written = sorted((tmp_path / "out").glob("*.png"))
    assert 1 <= len(written) < 40
    assert told["interrupted"]
    assert told["counts"]["repaired"] == len(written)
    assert told["remaining"] == 40 - len(written)
    for path in written:
        with Image.open(path) as result:
            result.load()


def test_the_second_interrupt_leaves_at_once_with_nothing_half_written(many, tmp_path):
    process = start_slow_run(many, tmp_path / "out", seconds=1.0)
    interrupt(process)
    while "leaves at once" not in process.stderr.readline():
        assert process.poll() is None
    interrupt(process)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as result:
            result.load()


def test_standard_output_takes_names_that_its_encoding_lacks(photos, tmp_path):
    (photos / "café 咖啡.jpg").write_bytes(b"")
    finished = subprocess.run(
        [sys.executable, "-m", "tests.cli.stand_in", "0", "repair", str(photos), "-o", str(tmp_path / "out")],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1, finished.stderr
    assert "caf\\xe9" in finished.stdout


@pytest.mark.parametrize(
    "words", [["", "-o", "out"], ["photos", "-o", ""], ["photos", "-o", "out", "--log-file", ""]]
)
def test_an_empty_path_is_wrong_usage(words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["repair", *words])
    assert "an empty path names no folder or file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
