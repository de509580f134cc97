"""Masks of results that were made without any: made later, and no photograph is done again for them."""

import numpy as np
import pytest
from PIL import Image

from cleanplate.engine.decisions import DECISIONS_FILE, Decision, Verb, write_decisions
from cleanplate.engine.journal import read_history
from cleanplate.engine.lines import LineFile
from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings

from .simple import MagentaPipeline, draw_photo, leftovers


@pytest.fixture
def photos(tmp_path):
    draw_photo(tmp_path / "in" / "marked.png", seed=1)
    draw_photo(tmp_path / "in" / "marked.jpg", seed=2)
    draw_photo(tmp_path / "in" / "clean.png", mark_px=0)
    draw_photo(tmp_path / "in" / "slight.png", mark_px=3)
    return tmp_path / "in"


def repair(photos, output, **settings):
    """The photographs that were worked on, by name."""
    pipeline = MagentaPipeline()
    summary = repair_folder(photos, output, RepairSettings(**settings), pipeline=pipeline)
    assert not summary.counts["failed"]
    assert leftovers(output) == []
    return sorted(name for batch in pipeline.batches for name in batch)


def read_mask(output, name):
    return np.asarray(Image.open(output / ".cleanplate" / "masks" / f"{name}.png")) > 0


def is_magenta(path, within=0):
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return (np.abs(picture - (255, 0, 255)) <= within).all(axis=2)


def test_results_stay_and_get_their_masks(photos, tmp_path):
    output = tmp_path / "out"
    assert len(repair(photos, output)) == 4
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir() if path.is_file()}
    # What was found and left alone is nowhere to be seen: it is looked for once more.
    assert repair(photos, output, save_masks=True) == ["slight.png"]
    after = {path.name: path.stat().st_mtime_ns for path in output.iterdir() if path.is_file()}
    assert {name for name in before if before[name] != after[name]} <= {"slight.png"}
    for name in ("marked.png", "slight.png"):
        assert np.array_equal(read_mask(output, name), is_magenta(photos / name))
    rewritten, marked = read_mask(output, "marked.jpg"), is_magenta(photos / "marked.jpg", within=60)
    assert (rewritten & marked).sum() > 0.9 * marked.sum()
    assert not (output / ".cleanplate" / "masks" / "clean.png.png").exists()
    assert repair(photos, output, save_masks=True) == []


def test_results_with_masks_are_good_for_a_run_without(photos, tmp_path):
    repair(photos, tmp_path / "out", save_masks=True)
    assert repair(photos, tmp_path / "out") == []
    assert read_mask(tmp_path / "out", "marked.png").any()


def test_what_a_person_has_approved_is_not_looked_at_again(photos, tmp_path):
    output = tmp_path / "out"
    repair(photos, output)
    entry = read_history(output / ".cleanplate" / "journal.jsonl").results["slight.png"]
    with LineFile(output / ".cleanplate" / DECISIONS_FILE) as lines:
        source = str(photos / "slight.png")
        sha256 = entry.receipt.output.sha256
        write_decisions(lines, [Decision(Verb.APPROVED, source, "slight.png", sha256)])
    assert repair(photos, output, save_masks=True) == []


def test_a_dry_run_makes_none(photos, tmp_path):
    repair(photos, tmp_path / "out")
    assert repair(photos, tmp_path / "out", save_masks=True, dry_run=True) == []
    assert not (tmp_path / "out" / ".cleanplate" / "masks").exists()


def test_what_cannot_be_written_ends_nothing(photos, tmp_path):
    output = tmp_path / "out"
    repair(photos, output)
    (output / ".cleanplate" / "masks").write_text("in the way")
    pipeline = MagentaPipeline()
    summary = repair_folder(photos, output, RepairSettings(save_masks=True), pipeline=pipeline)
    assert summary.counts["skipped"] == 3
    assert pipeline.batches == [["slight.png"]]
