"""Filling with an inpainting network: only the masked pixels, in batches, at sizes that the network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cleanplate.detect.given import ArrayMask, GivenDetector
from cleanplate.detect.mask import detect_from_probability
from cleanplate.models.filler import Inpainter, Metered
from cleanplate.models.nets.lama import Lama
from cleanplate.models.request import Request, plainly
from cleanplate.models.spec import SPECS, InpaintSpec
from cleanplate.pipeline.crops import CropRule, cut_crops
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.fill import FillingRemover
from cleanplate.remove.networks import NetworkFiller, plan_size, prepare
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Method, Photo, Repair
from tests.remove.scenes import photograph

CPU = torch.device("cpu")


def make_crop(height: int = 61, width: int = 83, *, given: bool = True) -> Crop:
    rgb = photograph(height, width)
    mask = np.zeros((height, width), bool)
    mask[20:30, 30:55] = True
    return Crop(rgb, mask.astype(np.float32), mask, Box(7, 9, 7 + width, 9 + height), given)


def paint(spec: InpaintSpec, shapes: list[tuple[int, ...]] | None = None) -> Inpainter:
    """Paints the whole batch grey and remembers what it was given."""

    def run(batch: Tensor) -> Tensor:
        if shapes is not None:
            shapes.append(tuple(batch.shape))
        return torch.full_like(batch[:, :3], 0.25)

    return Inpainter(spec, "grey", Metered(100), run)


class Card(NetworkFiller):
    """On the processor, and batched as on a card."""

    @property
    def goes_together(self) -> bool:
        return self.inpainter.spec.batches


def use_lama(width: int = 4) -> Inpainter:
    torch.manual_seed(0)
    lama = Lama(width=width, blocks=1).eval()
    return Inpainter(SPECS["lama"], "lama", lama, lama)


def remove(
    inpainter: Inpainter, crops: Sequence[Crop], how: type[NetworkFiller] = NetworkFiller
) -> list[Removal]:
    answers = FillingRemover(how(inpainter, CPU)).remove(crops, plainly)
    assert all(isinstance(answer, Removal) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Removal)]


@pytest.fixture
def as_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills stay in the tone in which they were painted, which tells them from all else."""
    monkeypatch.setattr("cleanplate.remove.fill.match_tone", lambda _photograph, fill, _hole: fill)


@pytest.mark.usefixtures("as_painted")
def test_a_given_mask_is_filled_and_nothing_else() -> None:
    crop = make_crop()
    (removal,) = remove(paint(SPECS["lama"]), [crop])
    assert np.array_equal(removal.changed, crop.mask)
    assert np.allclose(removal.rgb[crop.mask], 0.25)
    assert np.array_equal(removal.rgb[~crop.mask], crop.rgb[~crop.mask])
    (region,) = removal.regions
    assert (region.method, region.box) == (Method.FILLED, Box(37, 29, 62, 39))


@pytest.mark.usefixtures("as_painted")
def test_a_found_mask_is_grown_and_fades_into_the_photograph() -> None:
    crop = make_crop(given=False)
    (removal,) = remove(paint(SPECS["lama"]), [crop])
    assert removal.changed.sum() > crop.mask.sum()
    assert np.allclose(removal.rgb[crop.mask], 0.25)
    assert np.array_equal(removal.rgb[~removal.changed], crop.rgb[~removal.changed])


def test_crops_of_one_padded_size_go_together_and_come_back_in_order() -> None:
    shapes: list[tuple[int, ...]] = []
    crops = [make_crop(61, 83), make_crop(100, 90), make_crop(64, 81)]
    removals = remove(paint(SPECS["lama"], shapes), crops, Card)
    assert sorted(shapes) == [(1, 4, 104, 96), (2, 4, 64, 88)]
    assert [removal.rgb.shape for removal in removals] == [crop.rgb.shape for crop in crops]


@pytest.mark.parametrize(("batches", "how"), [(False, Card), (True, NetworkFiller)])
def test_one_at_a_time_where_batches_are_not_taken_or_gain_nothing(
    batches: bool, how: type[NetworkFiller]
) -> None:
    """A processor is no faster with a batch, which takes more memory."""
    shapes: list[tuple[int, ...]] = []
    remove(paint(InpaintSpec(batches=batches), shapes), [make_crop(), make_crop()], how)
    assert [shape[0] for shape in shapes] == [1, 1]


def test_crops_are_shorter_on_a_processor_than_on_a_card() -> None:
    assert NetworkFiller(paint(SPECS["lama"]), CPU).longest_px == 1024
    assert NetworkFiller(paint(SPECS["lama"]), torch.device("cuda")).longest_px == SPECS["lama"].most_px
    assert NetworkFiller(paint(InpaintSpec(most_px=512)), CPU).longest_px == 512


def test_a_network_of_one_size_gets_that_size() -> None:
    shapes: list[tuple[int, ...]] = []
    large = make_crop(120, 200)
    wide = replace(large, rgb=np.tile(large.rgb, (4, 4, 1)), mask=np.tile(large.mask, (4, 4)))
    (removal,) = remove(paint(SPECS["migan"], shapes), [wide])
    assert shapes == [(1, 4, 512, 512)]
    assert removal.rgb.shape == (480, 800, 3)
    assert np.array_equal(removal.changed, wide.mask)


def test_batching_changes_no_result() -> None:
    inpainter = use_lama()
    crops = [make_crop(61, 83), make_crop(63, 85)]
    together = remove(inpainter, crops, Card)
    for crop, batched in zip(crops, together, strict=True):
        (alone,) = remove(inpainter, [crop])
        assert np.abs(alone.rgb - batched.rgb).max() < 1e-4


def test_an_empty_mask_asks_nothing() -> None:
    crop = replace(make_crop(), mask=np.zeros((61, 83), bool))
    (removal,) = remove(paint(SPECS["lama"], []), [crop])
    assert not removal.changed.any()


def test_a_failed_crop_fails_alone() -> None:
    def attempt(request: Request[Any, Any]) -> list[Any]:
        return [ValueError("no") if at else result for at, result in enumerate(plainly(request))]

    answers = FillingRemover(NetworkFiller(paint(SPECS["lama"]), CPU)).remove(
        [make_crop(), make_crop()], attempt
    )
    assert isinstance(answers[0], Removal)
    assert isinstance(answers[1], ValueError)


def test_the_guard_is_told_what_the_network_gets() -> None:
    asked: list[Request[Any, Any]] = []

    def attempt(request: Request[Any, Any]) -> list[Any]:
        asked.append(request)
        return plainly(request)

    inpainter = use_lama()
    FillingRemover(Card(inpainter, CPU)).remove([make_crop(), make_crop()], attempt)
    (request,) = asked
    assert request.network is inpainter.network
    assert request.stage == "fill"
    assert request.shape(2, None) == (2, 4, 64, 88)
    assert request.item_bytes > 64 * 88 * 4 * 7


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (64, 64), (65, 17)])
def test_padding_mirrors_the_crop(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.random((height, width, 3), np.float32)
    hole = np.zeros((height, width), bool)
    piece = prepare(rgb, hole, SPECS["lama"])
    inner, padded = plan_size(height, width, SPECS["lama"])
    assert piece.rgbh.shape == (*padded, 4)
    assert padded[0] % 8 == padded[1] % 8 == 0
    assert min(padded) >= 16
    assert inner == (height, width)
    assert np.array_equal(piece.rgbh[:height, :width, :3], rgb)


@pytest.mark.usefixtures("as_painted")
def test_marks_cut_into_windows_are_filled_without_gaps() -> None:
    mask = np.zeros((200, 300), bool)
    mask[90:110, 10:290] = True
    rgb = np.rint(np.tile(photograph(100, 150), (2, 2, 1)) * 255).astype(np.uint8)
    rule = CropRule(
        context_px=16, context_share=0, longest_px=128, overlap_px=32, align_px=8, saves_area=True
    )
    pipeline = MarkRepair(
        GivenDetector((ArrayMask(mask),)), FillingRemover(NetworkFiller(paint(SPECS["lama"]), CPU)), rule
    )
    (result,) = pipeline.repair([Photo(Path("a.png"), rgb, None)], RepairSettings(), plainly)
    assert isinstance(result, Repair)
    assert (result.rgb[mask] == 64).all()
    assert np.array_equal(result.rgb[~mask], rgb[~mask])
    crops = cut_crops(Photo(Path("a.png"), rgb, None), detect_from_probability(mask.astype(np.float32)), rule)
    assert len(crops) > 1
