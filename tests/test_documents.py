"""Every command and every Python example in the documents runs.

Blocks without a language, and those in `sh`, hold commands, one a line: what starts with `cleanplate` or
`python` is run, each in a fresh folder that holds `PHOTOS` (a clean and a marked photograph), `photo.jpg`,
`TRIPLES` and `RESULTS` (two marked photographs with their originals, and some tool's results) and the
repository's doors; `make` must name targets that exist; `pip` and `git` are what the reader came through.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from cleanplate.evaluate.triples import write_triple
from cleanplate.marks import Assets, sample_marked

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [name for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md") if (ROOT / name).exists()]
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {"cleanplate": [sys.executable, "-m", "cleanplate"], "python": [sys.executable]}
NOT_RUN = {"make", "pip", "git", "cd"}
DOORS = ("main.py", "repair_optimized.py", "src/utils", "src/scripts")


def read_blocks(text: str, *languages: str) -> list[str]:
    """The bodies of the fenced blocks in one of the languages."""
    return [found["body"] for found in BLOCK.finditer(text) if found["language"] in languages]


def read_commands(text: str) -> list[list[str]]:
    """The words of every command, without comments; a backslash at a line's end joins it to the next."""
    lines = [line for body in read_blocks(text, "", "sh") for line in body.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def read_document(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# The translations repeat the commands: each is run once.
ALL_COMMANDS = {" ".join(words): words for name in DOCUMENTS for words in read_commands(read_document(name))}
COMMANDS = {line: words for line, words in ALL_COMMANDS.items() if words[0] in PROGRAMS}
EXAMPLES = list(
    dict.fromkeys(body for name in DOCUMENTS for body in read_blocks(read_document(name), "python"))
)


@pytest.fixture
def workspace(tmp_path) -> Path:
    for door in DOORS:
        source, target = ROOT / door, tmp_path / door
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    photos = tmp_path / "PHOTOS"
    photos.mkdir()
    picture = Image.fromarray(data.coffee()[:240, :320])
    picture.save(photos / "clean.png")
    pen = ImageDraw.Draw(picture)
    pen.text((60, 180), "SAMPLE 2024", fill="white", font=ImageFont.load_default(32))
    picture.save(photos / "marked.jpg", quality=92)
    shutil.copy(photos / "marked.jpg", tmp_path / "photo.jpg")
    write_triples(tmp_path / "TRIPLES", tmp_path / "RESULTS")
    return tmp_path


def write_triples(triples: Path, results: Path) -> None:
    """Two small marked photographs with their originals; as results, the photographs as they came."""
    triples.mkdir()
    results.mkdir()
    photo = np.ascontiguousarray(data.coffee()[:160, :240])
    for seed in range(2):
        sample = sample_marked(photo, np.random.default_rng(seed), Assets(), kind="text", opacity=0.6)
        files = write_triple(triples, f"{seed}", sample)
        Image.fromarray(sample.marked).save(results / f"{files.name}.png")


def run(command: list[str], folder: Path) -> None:
    """Run a command in a folder; its output is the message where it fails."""
    finished = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_blocks_are_read_as_they_are_written():
    text = "```sh\n# why\ncleanplate repair a \\\n  -o b  # note\n```\n\n```\nmake demo\n```\n"
    text += "```toml\nx = 1\n```\n"
    assert read_commands(text) == [["cleanplate", "repair", "a", "-o", "b"], ["make", "demo"]]


def test_documents_name_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {words[0] for words in ALL_COMMANDS.values()} <= {*PROGRAMS, *NOT_RUN}
    called = {
        word for words in ALL_COMMANDS.values() if words[0] == "make" for word in words[1:] if "=" not in word
    }
    assert {"demo", "test"} <= called <= targets


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_command_runs(words, workspace):
    run([*PROGRAMS[words[0]], *words[1:]], workspace)


@pytest.mark.parametrize("body", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_runs(body, workspace):
    run([sys.executable, "-c", body], workspace)
