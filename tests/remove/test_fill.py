"""Fillers at work: on every mark, or only where another remover had nothing but a guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from cleanplate.metrics import masked_rmse
from cleanplate.models.filler import Inpainter
from cleanplate.models.nets.lama import Lama
from cleanplate.models.request import Attempt, Request, plainly
from cleanplate.models.spec import SPECS
from cleanplate.remove.base import Crop, Hole, Removal
from cleanplate.remove.fill import CONTEXT_PX, GROW_PX, FillingRemover, PatchFiller, refill
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.networks import NetworkFiller
from cleanplate.remove.restore import NetworkRemover
from cleanplate.structures import BoolArray, Box, FloatArray, Method, Region

from .scenes import photograph, scene
from .test_patchmatch import draw_bricks, draw_hole, hide
from .test_restore import Oracle

BOX = Box(0, 0, 10, 10)


@dataclass
class Painter:
    """Paints the whole picture in one tone and remembers what it got."""

    tone: float = 0.25
    longest_px: int = 1536
    fingerprint: str = "painter"
    holes: list[Hole] = field(default_factory=list)
    failing: frozenset[int] = frozenset()

    def fill(self, holes: Sequence[Hole], attempt: Attempt) -> list[FloatArray | Exception]:  # noqa: ARG002  # the protocol's
        self.holes += holes
        return [
            ValueError("no") if at in self.failing else np.full_like(hole.rgb, self.tone)
            for at, hole in enumerate(holes)
        ]


def crop_of(rgb: FloatArray, mask: BoolArray, *, given: bool = False) -> Crop:
    height, width = mask.shape
    return Crop(rgb, mask.astype(np.float32), mask, Box(7, 9, 7 + width, 9 + height), given)


def guess(rgb: FloatArray, where: BoolArray) -> Removal:
    return Removal(rgb, where, (Region(BOX, Method.FILLED, None, 1.0),), where)


def somewhere(height: int = 120, width: int = 200) -> BoolArray:
    where = np.zeros((height, width), bool)
    where[50:60, 80:110] = True
    return where


def finished(answers: list[Removal | Exception]) -> list[Removal]:
    assert all(isinstance(answer, Removal) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, Removal)]


@pytest.fixture
def as_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills stay in the tone in which they were painted, which tells them from all else."""
    monkeypatch.setattr("cleanplate.remove.fill.match_tone", lambda _photograph, fill, _hole: fill)


def test_patches_fill_every_mark() -> None:
    picture, hole = draw_bricks(), draw_hole()
    subject = FillingRemover(PatchFiller())
    (removal,) = finished(subject.remove([crop_of(hide(picture, hole), hole, given=True)], plainly))
    assert subject.fingerprint.startswith("fill-3:patchmatch")
    assert np.array_equal(removal.changed, hole)
    assert masked_rmse(removal.rgb, picture, hole) < 0.05
    (region,) = removal.regions
    assert (region.method, region.box) == (Method.FILLED, Box(47, 41, 103, 71))


def test_patches_are_admitted_by_size_without_a_network() -> None:
    asked: list[Request[Any, Any]] = []

    def attempt(request: Request[Any, Any]) -> list[Any]:
        asked.append(request)
        return plainly(request)

    holes = [Hole(photograph(*size), somewhere(*size)) for size in ((120, 200), (64, 120), (120, 200))]
    answers = PatchFiller().fill(holes, attempt)
    assert [len(request.items) for request in asked] == [2, 1]
    assert asked[0].network is None
    assert asked[0].shape(2, None) == (2, 4, 120, 200)
    assert asked[0].item_bytes >= 100 * 120 * 200
    for hole, answer in zip(holes, answers, strict=True):
        assert isinstance(answer, np.ndarray)
        assert answer.shape == hole.rgb.shape


@pytest.mark.usefixtures("as_painted")
def test_a_guess_is_painted_anew_and_fades_into_what_the_removal_left() -> None:
    rgb, where = photograph(), somewhere()
    painter = Painter()
    (removal,) = finished(refill([crop_of(rgb, where)], [guess(rgb, where)], painter, plainly))
    assert np.allclose(removal.rgb[where], 0.25)
    assert np.array_equal(removal.changed, dilate(where, GROW_PX))
    assert np.array_equal(removal.rgb[~removal.changed], rgb[~removal.changed])
    (hole,) = painter.holes
    assert hole.mask.sum() == removal.changed.sum()
    assert min(hole.mask.shape) == 120  # the crop is lower than its hole and twice CONTEXT_PX


def test_a_given_mask_is_kept_to() -> None:
    rgb, where = photograph(), somewhere()
    (removal,) = finished(refill([crop_of(rgb, where, given=True)], [guess(rgb, where)], Painter(), plainly))
    assert np.array_equal(removal.changed, where)
    assert np.array_equal(removal.rgb[~where], rgb[~where])


def test_only_the_surroundings_of_the_guess_are_shown() -> None:
    rgb = np.full((700, 900, 3), 0.5, np.float32)
    where = np.zeros((700, 900), bool)
    where[300:310, 400:420] = True
    painter = Painter()
    refill([crop_of(rgb, where)], [guess(rgb, where)], painter, plainly)
    height, width = painter.holes[0].mask.shape
    assert 10 + 2 * CONTEXT_PX < height < 350
    assert height % 32 == width % 32 == 0


@pytest.mark.usefixtures("as_painted")
def test_long_guesses_are_painted_in_windows_without_gaps() -> None:
    rgb = np.full((200, 900, 3), 0.5, np.float32)
    where = np.zeros((200, 900), bool)
    where[90:110, 20:880] = True
    painter = Painter(longest_px=300)
    (removal,) = finished(refill([crop_of(rgb, where)], [guess(rgb, where)], painter, plainly))
    assert len(painter.holes) > 3
    assert max(max(hole.mask.shape) for hole in painter.holes) == 288  # of 300 at most, in steps of 32
    assert np.allclose(removal.rgb[where], 0.25, atol=1e-6)


@pytest.mark.usefixtures("as_painted")
def test_windows_without_a_hole_are_not_painted() -> None:
    rgb = np.full((900, 900, 3), 0.5, np.float32)
    where = np.zeros((900, 900), bool)
    where[20:40, 20:40] = where[860:880, 860:880] = True
    painter = Painter(longest_px=300)
    (removal,) = finished(refill([crop_of(rgb, where)], [guess(rgb, where)], painter, plainly))
    assert len(painter.holes) == 2
    assert np.allclose(removal.rgb[where], 0.25)
    assert np.allclose(removal.rgb[~removal.changed], 0.5)


def test_what_was_no_guess_asks_for_nothing() -> None:
    rgb, where = photograph(), somewhere()
    inverted = Removal(rgb, where, (Region(BOX, Method.UNBLENDED, 0.5, 1.0),), ~where & where)
    failure = ValueError("before")
    painter = Painter()
    answers = refill(
        [crop_of(rgb, where)] * 3, [inverted, failure, Removal(rgb, where, ())], painter, plainly
    )
    assert answers[:2] == [inverted, failure]
    assert painter.holes == []


def test_a_filler_that_fails_ends_its_crop_alone() -> None:
    rgb, where = photograph(), somewhere()
    painter = Painter(failing=frozenset({0}))
    answers = refill([crop_of(rgb, where)] * 2, [guess(rgb, where)] * 2, painter, plainly)
    assert isinstance(answers[0], ValueError)
    assert isinstance(answers[1], Removal)


class Opaque(Oracle):
    """Believes that nothing shines through."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        planes = super().forward(x)
        return {**planes, "opacity": 2 * planes["opacity"]}


def restore(opacity: float, filler: Any, *, given: bool = False) -> tuple[Removal, NetworkRemover]:
    drawn = scene(opacity)
    subject = NetworkRemover(Opaque().eval(), torch.device("cpu"), "oracle", filler=filler)
    crop = Crop(drawn.marked, drawn.matte, drawn.matte > 0.3, Box(0, 0, 200, 120), given)
    (removal,) = finished(subject.remove([crop], plainly))
    return removal, subject


@pytest.mark.usefixtures("as_painted")
def test_the_restorer_hands_on_opaque_marks_only() -> None:
    painter = Painter()
    removal, subject = restore(1.0, painter)
    assert subject.fingerprint == "oracle+painter"
    assert removal.regions
    assert {region.method for region in removal.regions} == {Method.FILLED}
    inside = scene(1.0).matte > 0.99
    assert np.allclose(removal.rgb[inside], 0.25)
    through = Painter()
    restore(0.5, through)
    assert through.holes == []
    assert restore(1.0, None)[1].fingerprint == "oracle"


@pytest.mark.parametrize("given", [False, True])
def test_lama_paints_for_the_restorer_and_is_admitted_by_the_guard(given: bool) -> None:
    torch.manual_seed(0)
    lama = Lama(width=4, blocks=1).eval()
    filler = NetworkFiller(Inpainter(SPECS["lama"], "lama", lama, lama), torch.device("cpu"))
    asked: list[Request[Any, Any]] = []

    def attempt(request: Request[Any, Any]) -> list[Any]:
        asked.append(request)
        return plainly(request)

    drawn = scene(1.0)
    subject = NetworkRemover(Opaque().eval(), torch.device("cpu"), "oracle", filler=filler)
    crop = Crop(drawn.marked, drawn.matte, drawn.matte > 0.3, Box(0, 0, 200, 120), given)
    (removal,) = finished(subject.remove([crop], attempt))
    assert [request.stage for request in asked] == ["restore", "separate", "separate", "fill"]
    assert asked[3].network is lama
    bare, _ = restore(1.0, None, given=given)
    assert not np.array_equal(bare.rgb, removal.rgb)
    assert np.array_equal(removal.rgb[~removal.changed], drawn.marked[~removal.changed])


@pytest.mark.parametrize("given", [False, True])
def test_a_paint_whose_tone_is_off_is_moved_towards_the_photograph(given: bool) -> None:
    rgb, where = np.full((120, 200, 3), 0.5, np.float32), somewhere()
    crop = crop_of(rgb, where, given=given)
    (filled,) = finished(FillingRemover(Painter(tone=0.45)).remove([crop], plainly))
    (refilled,) = finished(refill([crop], [guess(rgb, where)], Painter(tone=0.45), plainly))
    for removal in (filled, refilled):
        assert np.abs(removal.rgb[where] - 0.5).max() < 0.01
