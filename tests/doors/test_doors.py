"""The doors of the original plan, as they are written there, each run as a program of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from cleanplate.cli import doors, options
from cleanplate.cli.options import SETTING_OPTIONS
from cleanplate.settings import RepairSettings

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "main.py": ["main.py", "repair"],
    "repair_optimized.py": ["repair_optimized.py"],
    "batch_repair_optimizer.py": ["src/scripts/batch_repair_optimizer.py"],
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    picture = Image.fromarray(data.coffee()[:200, :280])
    picture.save(folder / "clean.png")
    pen = ImageDraw.Draw(picture)
    pen.text((50, 150), "SAMPLE 2024", fill="white", font=ImageFont.load_default(28))
    picture.save(folder / "marked.jpg", quality=92)
    return folder


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a program of the checkout from the repository's root."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def assert_repaired(finished: subprocess.CompletedProcess[str], output: Path) -> None:
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert sorted(path.name for path in output.iterdir()) == [".cleanplate", "clean.png", "marked.jpg"]
    for name in ("clean.png", "marked.jpg"):
        with Image.open(output / name) as result:
            result.load()
            assert result.size == (280, 200)


def test_main_as_the_plan_calls_it(photos, tmp_path):
    settings = ["--optimize", "--batch-size", 5, "--pause-interval", 25]
    finished = run(
        "main.py", "repair", "--input", photos, "--output", tmp_path, "--model", "embedded", *settings
    )
    assert_repaired(finished, tmp_path)


def test_repair_optimized_as_the_plan_calls_it(photos, tmp_path):
    settings = ["--model", "embedded", "--fast", "--batch-size", 3, "--limit", 50, "--json"]
    finished = run("repair_optimized.py", "--input", photos, "--output", tmp_path, *settings)
    assert_repaired(finished, tmp_path)
    assert sum(json.loads(finished.stdout)["counts"].values()) == 2


def test_the_batch_repair_optimizer_runs_as_a_script(photos, tmp_path):
    finished = run(
        "src/scripts/batch_repair_optimizer.py", "--input", photos, "--output", tmp_path, "--quiet"
    )
    assert_repaired(finished, tmp_path)
    assert finished.stdout == ""


def test_the_batch_repair_optimizer_gives_back_the_journal(photos, tmp_path):
    script = f"""
from src.scripts.batch_repair_optimizer import BatchRepairOptimizer
if __name__ == "__main__":
    journal = BatchRepairOptimizer({{"batch_size": 2}}).run({str(photos)!r}, {str(tmp_path)!r})
    assert [outcome.relative for outcome in journal.outcomes] == ["clean.png", "marked.jpg"]
    assert journal.exit_code == 0
"""
    assert_repaired(run("-c", script), tmp_path)


def test_the_monitor_as_the_plan_calls_it():
    finished = run(
        "-c",
        "from src.utils.cuda_monitor import CUDAMonitor, log_memory_usage\n"
        "log_memory_usage('before - ')\n"
        "monitor = CUDAMonitor(); monitor.start_monitoring(); monitor.stop_monitoring()\n",
    )
    assert finished.returncode == 0, finished.stderr
    assert "before - " in finished.stdout + finished.stderr


@pytest.mark.parametrize("door", PROGRAMS)
def test_every_door_takes_every_option(door):
    finished = run(*PROGRAMS[door], "--help")
    assert finished.returncode == 0
    flags = {option.flag for rows in SETTING_OPTIONS.values() for option in rows}
    wanted = flags | {"--input", "--output", "--fast", "--conservative", "--config", "--json", "--log-file"}
    assert wanted <= set(finished.stdout.replace(",", " ").split())


@pytest.mark.parametrize("door", PROGRAMS)
def test_every_door_refuses_a_missing_input_before_any_work(door, tmp_path):
    output = tmp_path / "out"
    finished = run(*PROGRAMS[door], "--input", tmp_path / "none", "--output", output)
    assert finished.returncode == 2
    assert str(tmp_path / "none") in finished.stderr
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "optimize", "command", "expected"),
    [
        (["repair"], False, "repair", RepairSettings(optimize=False)),
        (["repair", "--optimize"], False, "repair", RepairSettings()),
        ([], True, None, RepairSettings()),
        (["--no-optimize"], True, None, RepairSettings(optimize=False)),
    ],
)
def test_optimize_is_what_the_door_says_unless_it_is_given(monkeypatch, words, optimize, command, expected):
    called = []
    monkeypatch.setattr(doors, "repair", lambda *given: called.append(given) or 0)
    files = ["--input", "a", "b", "--output", "c"]
    assert doors.run_door("door", [*words, *files], optimize=optimize, command=command) == 0
    assert called == [([Path("a"), Path("b")], Path("c"), expected, options.Watching())]


def test_a_door_without_its_command_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as left:
        doors.run_door("main.py", [], optimize=False, command="repair")
    assert left.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_doors_hold_nothing_but_calls():
    for name in ("main.py", "repair_optimized.py", "src/utils/cuda_monitor.py"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) < 20
