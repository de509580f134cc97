"""Every command in the documents runs.

A block that opens with ```` ```sh runnable ```` is run line by line, each line in a fresh folder that holds
`photos/` (two small photographs, one with a mark) and the repository's doors. In other ```` ```sh ```` blocks,
`make` must name a target that exists.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md") if (ROOT / name).exists()]
BLOCK = re.compile(r"^```sh(?P<runnable> runnable)?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {"cleanplate": [sys.executable, "-m", "cleanplate"], "python": [sys.executable]}
DOORS = ("main.py", "repair_optimized.py", "src/utils", "src/scripts")


def read_commands(text: str, *, runnable: bool) -> list[list[str]]:
    """The commands of the blocks that are, or are not, marked runnable, without comments."""
    bodies = [found["body"] for found in BLOCK.finditer(text) if bool(found["runnable"]) == runnable]
    lines = [line for body in bodies for line in body.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def collect(*, runnable: bool) -> list:
    commands = []
    for name in DOCUMENTS:
        for words in read_commands((ROOT / name).read_text(encoding="utf-8"), runnable=runnable):
            commands.append(pytest.param(words, id=f"{name}: {' '.join(words)}"))
    return commands


@pytest.fixture
def workspace(tmp_path) -> Path:
    for door in DOORS:
        source, target = ROOT / door, tmp_path / door
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    photos = tmp_path / "photos"
    photos.mkdir()
    clean = Image.fromarray(data.coffee()[:240, :320])
    clean.save(photos / "clean.png")
    pen = ImageDraw.Draw(clean)
    pen.text((60, 180), "SAMPLE 2024", fill="white", font=ImageFont.load_default(32))
    clean.save(photos / "marked.jpg", quality=92)
    return tmp_path


def test_blocks_are_read_as_they_are_written():
    text = "```sh runnable\n# why\ncleanplate repair a \\\n  -o b  # note\n```\n\n```sh\nmake demo\n```\n"
    assert read_commands(text, runnable=True) == [["cleanplate", "repair", "a", "-o", "b"]]
    assert read_commands(text, runnable=False) == [["make", "demo"]]


def test_documents_have_commands_to_run():
    assert collect(runnable=True)


@pytest.mark.parametrize("words", collect(runnable=True))
def test_command_runs(words, workspace):
    assert words[0] in PROGRAMS, f"a runnable block may call {', '.join(PROGRAMS)} only"
    finished = subprocess.run(
        [*PROGRAMS[words[0]], *words[1:]],
        cwd=workspace,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = [parameter.values[0] for parameter in collect(runnable=False)]
    called = {word for words in commands if words[0] == "make" for word in words[1:] if "=" not in word}
    assert {"demo", "test"} <= called <= targets
