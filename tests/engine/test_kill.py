"""Killed at many random moments and started again, a run ends as if nothing had happened."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings

from .child import KILL
from .simple import MagentaPipeline, draw_folder, leftovers, read_tree

ROOT = Path(__file__).resolve().parents[2]
KILLS = 6


def start_child(photos, output, mode, *operation):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [
        sys.executable,
        "-m",
        "tests.engine.child",
        str(photos),
        str(output),
        mode,
        *map(str, operation),
    ]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE)


def kill_at_an_operation(photos, output, mode, chance):
    """Deep inside one file operation or another."""
    with start_child(photos, output, mode, chance.randrange(1, 200)) as child:
        child.communicate(timeout=60)
        return child.returncode


def kill_at_a_moment(photos, output, mode, chance):
    """Wherever it happens to be."""
    with start_child(photos, output, mode) as child:
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.15))
        child.kill()
        return child.wait(timeout=60)


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("mode", ["overlapped", "plain"])
def test_killed_at_random_moments_and_resumed(tmp_path, mode):
    photos = draw_folder(tmp_path / "in", 12)
    settings = RepairSettings(batch_size=3, save_masks=True)
    repair_folder(photos, tmp_path / "undisturbed", settings, pipeline=MagentaPipeline())
    expected = read_tree(tmp_path / "undisturbed")
    output = tmp_path / "out"
    chance = random.Random(20)
    codes = []
    for kill in [kill_at_an_operation, kill_at_a_moment] * (KILLS // 2):
        codes.append(kill(photos, output, mode, chance))
        written = read_tree(output) if output.exists() else {}
        assert all(expected.get(name) == content for name, content in written.items()), "half-written"
    assert codes[0] in (-KILL, KILL)
    summary = repair_folder(photos, output, settings, pipeline=MagentaPipeline())
    assert summary.exit_code == 0, summary.failures
    assert read_tree(output) == expected
    assert leftovers(output) == []
    masks = [read_tree(folder / ".cleanplate" / "masks") for folder in (output, tmp_path / "undisturbed")]
    assert masks[0] == masks[1]
