"""Scoring by repairing, and from a folder of results."""

import cv2
import numpy as np
import pytest

from cleanplate.errors import UsageError
from cleanplate.evaluate.run import collect, score_folder, score_pipeline
from cleanplate.evaluate.summary import summarise
from cleanplate.evaluate.triples import read_triple
from cleanplate.settings import RepairSettings
from cleanplate.structures import Repair, Verdict
from tests.evaluate.conftest import Oracle, detect


def write_rgb(path, rgb_u8, *parameters):
    cv2.imwrite(str(path), np.ascontiguousarray(rgb_u8[..., ::-1]), list(parameters))


def test_a_pipeline_that_knows_the_truth_has_full_marks(triples):
    seen = []
    scores = collect(score_pipeline(triples, Oracle(triples), RepairSettings()), seen.append)
    assert [score.name for score in scores] == ["a-faint", "b-strong", "c-opaque", "d-clean"]
    assert [one.score for one in seen] == scores
    summary = summarise(scores)
    assert (summary.repaired, summary.harmed, summary.clean_touched) == (1, 0, 0)
    assert (summary.f1, summary.pooled_iou, summary.recall) == (1, 1, 1)
    assert all(score.seconds is not None for score in scores)


def test_a_failure_is_scored_as_left_alone_and_told(triples):
    scores = collect(score_pipeline(triples, Oracle(triples, fails="b-strong"), RepairSettings()))
    failed = scores[1]
    assert "it was told to fail" in failed.error
    assert not failed.touched
    assert failed.gain == 0
    assert [score.error for score in scores if score is not failed] == [None] * 3


def test_a_photograph_comes_with_its_files_tables(triples):
    """As in a run, where marks are inverted by them."""
    seen = {}

    class Watching(Oracle):
        def _repair_one(self, photo):
            seen[photo.path] = photo.quantisation
            return super()._repair_one(photo)

    collect(score_pipeline(triples, Watching(triples), RepairSettings()))
    for files in triples:
        assert (seen[files.marked] is not None) == (files.marked.suffix == ".jpg")
    assert any(steps is not None for steps in seen.values())


def test_sixteen_bit_results_are_scored_at_eight(triples):
    class Deep(Oracle):
        def _repair_one(self, photo):
            truth = self.triples[photo.path].truth_u8
            mask = np.ones(truth.shape[:2], bool)
            return Repair(Verdict.REPAIRED, truth.astype(np.uint16) * 257, mask, detect(mask))

    scores = collect(score_pipeline(triples[:1], Deep(triples), RepairSettings()))
    assert scores[0].inside_after == np.inf
    assert scores[0].tally.precision < 1


def test_results_of_any_tool_are_found_by_name(triples, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    pictures = [read_triple(files) for files in triples]
    write_rgb(results / "a-faint.png", pictures[0].truth_u8)
    write_rgb(results / "b-strong.marked.png", pictures[1].marked_u8)
    write_rgb(results / "d-clean.jpg", pictures[3].marked_u8, cv2.IMWRITE_JPEG_QUALITY, 95)
    scores = collect(score_folder(triples, results))
    assert scores[0].repaired
    assert scores[0].tally is None
    assert not scores[1].touched
    assert scores[2].error == f"there is no c-opaque.* in {results}"
    assert not scores[3].touched  # stored as JPEG, within its tolerance
    assert scores[3].whole_after < np.inf


def test_results_stored_with_loss_are_not_touched_everywhere(triples, tmp_path):
    truth = read_triple(triples[3]).truth_u8
    for name, value in (("a.JPG", 95), ("b.webp", 95), ("c.webp", 101)):
        folder = tmp_path / name[0]
        folder.mkdir()
        suffix = name[1:]
        kind = cv2.IMWRITE_JPEG_QUALITY if suffix == ".JPG" else cv2.IMWRITE_WEBP_QUALITY
        write_rgb(folder / f"d-clean{suffix}", truth, kind, value)
        (score,) = collect(score_folder(triples[3:], folder))
        assert score.error is None
        assert not score.touched
    lossless = np.array(truth)
    lossless[0, 0] ^= 4
    write_rgb(tmp_path / "c" / "d-clean.webp", lossless, cv2.IMWRITE_WEBP_QUALITY, 101)
    (score,) = collect(score_folder(triples[3:], tmp_path / "c"))
    assert score.touched


def test_folders_of_results_that_cannot_be_meant_are_refused(triples, tmp_path):
    with pytest.raises(UsageError, match="no such folder of results"):
        list(score_folder(triples, tmp_path / "missing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no result for any of the 4 triples"):
        list(score_folder(triples, tmp_path / "empty"))
    write_rgb(tmp_path / "empty" / "a-faint.png", np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(UsageError, match=r"a-faint\.png: has another size than a-faint\.marked\.jpg"):
        list(score_folder(triples, tmp_path / "empty"))
