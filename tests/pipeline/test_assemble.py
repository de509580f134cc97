from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cleanplate.detect.given import GivenDetector
from cleanplate.detect.network import NetworkDetector
from cleanplate.errors import UsageError
from cleanplate.models.catalog import CATALOG
from cleanplate.models.nets.chooser import Chooser
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.nets.segmenter import Segmenter
from cleanplate.models.registry import Registry
from cleanplate.models.request import plainly
from cleanplate.models.store import compute_checksums
from cleanplate.models.weights import Networks
from cleanplate.pipeline.assemble import assemble_pipeline
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.fill import CONTEXT_PX, FillingRemover, PatchFiller
from cleanplate.remove.iopaint import IOPaintRemover
from cleanplate.remove.networks import NetworkFiller
from cleanplate.remove.restore import NetworkRemover
from cleanplate.settings import RepairSettings
from cleanplate.structures import Photo, Repair
from tests.models.weightsfiles import Wrapped, small_lama, write_script, write_tensors


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Untrained networks instead of the shipped ones; what was asked for."""
    calls: list[tuple[str, str]] = []

    def load(model: str, device: torch.device, *, quickest: bool) -> Networks:
        assert quickest
        calls.append((model, str(device)))
        torch.manual_seed(0)
        return Networks(Finder().eval(), Restorer().eval(), Chooser().eval(), "untrained")

    monkeypatch.setattr("cleanplate.models.weights.load_networks", load)
    return calls


def test_the_networks_are_loaded_once_for_both_parts(asked: list[tuple[str, str]]) -> None:
    pipeline = assemble_pipeline(RepairSettings(device="cpu", model="mine.safetensors", inpaint="opencv"))
    assert asked == [("mine.safetensors", "cpu")]
    assert pipeline.fingerprint == "untrained/untrained"
    assert isinstance(pipeline, MarkRepair)
    assert pipeline.remover.inpaint == "opencv"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("asked")
def test_iopaint_is_the_remover_where_it_is_asked_for() -> None:
    settings = RepairSettings(
        device="cpu", inpaint="iopaint:lama", iopaint_command=f'"{sys.executable}" -m iopaint', timeout=7
    )
    pipeline = assemble_pipeline(settings)
    assert isinstance(pipeline, MarkRepair)
    assert isinstance(pipeline.remover, IOPaintRemover)
    assert (pipeline.remover.model, pipeline.remover.timeout_seconds) == ("lama", 7)
    assert pipeline.remover.command[1:] == ("-m", "iopaint")


@pytest.mark.usefixtures("asked")
def test_the_assembled_pipeline_runs_and_does_not_mind_its_batch() -> None:
    rng = np.random.default_rng(0)
    photos = [
        Photo(Path(f"{n}.png"), rng.integers(0, 256, (64, 96, 3)).astype(np.uint8), None) for n in range(3)
    ]
    settings = RepairSettings(device="cpu", max_iterations=1)
    pipeline = assemble_pipeline(settings)
    together = pipeline.repair(photos, settings, plainly)
    alone = [pipeline.repair([photo], settings, plainly)[0] for photo in photos]
    for first, second in zip(together, alone, strict=True):
        assert isinstance(first, Repair)
        assert isinstance(second, Repair)
        assert np.abs(first.first.probability - second.first.probability).max() < 1e-4
        assert np.abs(first.rgb.astype(int) - second.rgb.astype(int)).max() <= 1


def test_given_marks_need_no_finder(asked: list[tuple[str, str]], tmp_path: Path) -> None:
    (tmp_path / "iopaint").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "iopaint").chmod(0o755)
    settings = RepairSettings(
        device="cpu",
        masks=str(tmp_path),
        box=("1,2,3,4",),
        anchor=("top:3x3",),
        inpaint="iopaint:cv2",
        iopaint_command=str(tmp_path / "iopaint"),
    )
    pipeline = assemble_pipeline(settings)
    assert isinstance(pipeline, MarkRepair)
    assert isinstance(pipeline.detector, GivenDetector)
    assert pipeline.detector.fingerprint == "masks+places"
    assert asked == []  # no network was loaded


def test_masks_that_are_not_there_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        assemble_pipeline(RepairSettings(device="cpu", masks=str(tmp_path / "none")))


def test_a_file_of_weights_fills_every_mark(asked: list[tuple[str, str]], tmp_path: Path) -> None:
    path = write_tensors(tmp_path / "l.safetensors", dict(small_lama().state_dict()))
    settings = RepairSettings(device="cpu", box=("1,2,3,4",), inpaint=str(path))
    pipeline = assemble_pipeline(settings)
    assert isinstance(pipeline, MarkRepair)
    assert isinstance(pipeline.remover, FillingRemover)
    assert pipeline.rule.context_px == 128
    assert asked == []
    photo = Photo(Path("a.png"), np.full((64, 96, 3), 100, np.uint8), None)
    (result,) = pipeline.repair([photo], settings, plainly)
    assert isinstance(result, Repair)
    assert result.changed[2:6, 1:4].sum() == result.changed.sum()


def test_another_programs_checkpoint_finds_and_the_embedded_restorer_stays(
    asked: list[tuple[str, str]], tmp_path: Path
) -> None:
    torch.save({"model_state_dict": Segmenter((1, 1, 1, 1)).state_dict()}, tmp_path / "c.pth")
    pipeline = assemble_pipeline(RepairSettings(device="cpu", model=str(tmp_path / "c.pth")))
    assert isinstance(pipeline, MarkRepair)
    assert isinstance(pipeline.detector, NetworkDetector)
    assert pipeline.detector.working_size_px == 512
    assert asked == [("embedded", "cpu")]
    assert pipeline.fingerprint.endswith("/untrained")


def test_patches_fill_every_mark_without_a_network(asked: list[tuple[str, str]]) -> None:
    pipeline = assemble_pipeline(RepairSettings(device="cpu", box=("1,2,3,4",), inpaint="patchmatch"))
    assert isinstance(pipeline, MarkRepair)
    assert isinstance(pipeline.remover, FillingRemover)
    assert isinstance(pipeline.remover.filler, PatchFiller)
    assert (pipeline.rule.context_px, pipeline.rule.saves_area) == (CONTEXT_PX, True)
    assert asked == []


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small LaMa in a folder of weights, under the published file's name, and known to the catalogue."""
    path = write_script(tmp_path / "big-lama.pt", Wrapped(small_lama()))
    known = replace(CATALOG.get("lama"), sha256=compute_checksums(path).sha256, md5=None)
    others = (model for model in CATALOG if model.name != "lama")
    monkeypatch.setattr("cleanplate.models.catalog.CATALOG", Registry((known, *others)))
    return path


@pytest.mark.usefixtures("asked")
def test_auto_paints_opaque_marks_with_a_network_that_is_at_hand(cached: Path) -> None:
    settings = RepairSettings(device="cpu", model_dir=str(cached.parent))
    pipeline = assemble_pipeline(settings)
    assert isinstance(pipeline, MarkRepair)
    assert isinstance(pipeline.remover, NetworkRemover)
    assert isinstance(pipeline.remover.filler, NetworkFiller)
    assert pipeline.rule.context_px == CONTEXT_PX
    assert pipeline.fingerprint == f"untrained/untrained+{compute_checksums(cached).sha256[:16]}"
    chosen = assemble_pipeline(replace(settings, inpaint="opencv"))
    assert isinstance(chosen, MarkRepair)
    assert chosen.fingerprint == "untrained/untrained"


@pytest.mark.usefixtures("asked")
def test_auto_passes_over_files_that_are_not_the_catalogues(cached: Path) -> None:
    cached.write_bytes(cached.read_bytes()[:-100])
    pipeline = assemble_pipeline(RepairSettings(device="cpu", model_dir=str(cached.parent)))
    assert pipeline.fingerprint == "untrained/untrained"


@pytest.mark.usefixtures("asked")
def test_what_is_not_free_for_any_use_is_never_taken_unasked(cached: Path) -> None:
    cached.rename(cached.with_name("Places_512_FullData_G.pth"))
    pipeline = assemble_pipeline(RepairSettings(device="cpu", model_dir=str(cached.parent)))
    assert pipeline.fingerprint == "untrained/untrained"


def test_given_opaque_marks_are_painted_by_the_network_at_hand(
    asked: list[tuple[str, str]], cached: Path
) -> None:
    settings = RepairSettings(device="cpu", model_dir=str(cached.parent), box=("30,20,20,12",))
    photo = Photo(Path("a.png"), np.full((64, 96, 3), 100, np.uint8), None)
    photo.rgb[20:32, 30:50] = 250
    results = []
    for chosen in (settings, replace(settings, model_dir=None)):
        (result,) = assemble_pipeline(chosen).repair([photo], chosen, plainly)
        assert isinstance(result, Repair)
        results.append(result.rgb)
    assert len(asked) == 2
    assert not np.array_equal(*results)
