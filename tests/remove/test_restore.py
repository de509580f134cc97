from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cleanplate.device.virtual import VirtualAccelerator
from cleanplate.engine.guard import Guard
from cleanplate.errors import TooLittleMemoryError
from cleanplate.images.tiles import TileBlend
from cleanplate.metrics import masked_psnr
from cleanplate.models.request import Attempt, Item, Request, Result, plainly
from cleanplate.remove import restore
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.restore import FILL_BYTES_BY_PIXEL, SEPARATE_BYTES_BY_PIXEL, NetworkRemover
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Method, Quantisation
from tests.measuring import Measuring

from .scenes import Scene, letters, photograph, scene


class Oracle(nn.Module):
    """A restorer that believes the finder: the matte is the fourth channel, the opacity one half."""

    stride = 32

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.seen.append(tuple(x.shape))
        matte = x[:, 3:].clamp(1e-6, 1 - 1e-6)
        return {
            "matte": torch.logit(matte),
            "opacity": 0.5 * matte,
            "colour": torch.ones_like(x[:, :3]),
            "background": x[:, :3],
        }


def crop_of(drawn: Scene) -> Crop:
    height, width = drawn.matte.shape
    return Crop(drawn.marked, drawn.matte, drawn.matte > 0.3, Box(0, 0, width, height))


def remover(inpaint: str = "auto") -> NetworkRemover:
    return NetworkRemover(Oracle().eval(), torch.device("cpu"), "oracle", inpaint)


def removed(results: list[Removal | Exception]) -> list[Removal]:
    assert all(isinstance(result, Removal) for result in results), results
    return [result for result in results if isinstance(result, Removal)]


def test_crops_of_one_size_go_through_the_network_together() -> None:
    drawn = scene(0.5)
    subject = remover()
    first, second = removed(subject.remove([crop_of(drawn), crop_of(drawn)], plainly))
    assert subject.network.seen == [(2, 4, 128, 224)]
    assert np.array_equal(first.rgb, second.rgb)
    inside = drawn.matte > 0.05
    assert masked_psnr(first.rgb, drawn.clean, inside) > 28


def test_a_result_does_not_depend_on_the_batch() -> None:
    drawn, other = scene(0.5), scene(0.3, (0.0, 0.0, 0.0))
    alone = removed(remover().remove([crop_of(drawn)], plainly))[0]
    among = removed(remover().remove([crop_of(other), crop_of(drawn)], plainly))[1]
    assert np.abs(alone.rgb - among.rgb).max() < 1e-4


class Unsure(Oracle):
    """Sees less of the mark the further to the left and to the top it is, and is nowhere sure."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        planes = super().forward(x)
        height, width = x.shape[2:]
        slope = 0.25 + 0.5 * torch.linspace(0, 1, width) * torch.linspace(0, 1, height)[:, None]
        return {**planes, "matte": torch.logit((slope * x[:, 3:]).clamp(1e-6, 1 - 1e-6))}


def ask(network: nn.Module, crops: list[Crop], attempt=plainly) -> list[np.ndarray | Exception]:
    """What a remover takes its crops apart by."""
    subject = NetworkRemover(network.eval(), torch.device("cpu"), "oracle")
    ((shape, group),) = subject._sort_by_shape(crops).items()
    return subject._answer(group, shape, attempt)


def test_where_the_network_is_unsure_it_is_asked_again_mirrored() -> None:
    sure, unsure = Oracle(), Unsure()
    crop = crop_of(scene(0.5))
    crop = replace(crop, probability=crop.mask.astype(np.float32))
    ask(sure, [crop])
    assert sure.seen == [(1, 4, 128, 224)]
    (planes,) = ask(unsure, [crop])
    assert unsure.seen == [(1, 4, 128, 224), (2, 4, 128, 224)]
    assert not isinstance(planes, Exception)
    assert planes.shape == (*crop.mask.shape, 5)
    alone = NetworkRemover(unsure, torch.device("cpu"), "oracle")
    seen = []
    for axis in (None, 1, 0):
        turned = crop.rgb, crop.probability
        if axis is not None:
            turned = np.flip(crop.rgb, axis).copy(), np.flip(crop.probability, axis).copy()
        (answer,) = alone._predict([turned], (128, 224))
        seen.append(answer if axis is None else np.flip(answer, axis))
    assert np.allclose(planes, np.mean(seen, axis=0), atol=1e-5)


def test_the_network_sees_a_small_photographs_crop_enlarged_and_the_answer_is_of_its_own_size() -> None:
    crop = replace(crop_of(scene(0.5)), enlarged=2.0)
    network = Oracle()
    (planes,) = ask(network, [crop])
    height, width = (edge + -edge % 32 for edge in (2 * crop.mask.shape[0], 2 * crop.mask.shape[1]))
    assert network.seen == [(1, 4, height, width)]
    assert not isinstance(planes, Exception)
    assert planes.shape == (*crop.mask.shape, 5)
    assert np.abs(planes[..., 0] - crop.probability).mean() < 0.01
    assert np.abs(planes[..., 2:] - crop.rgb).mean() < 0.01


def test_what_windows_of_an_enlarged_crop_say_covers_it_without_seams() -> None:
    height, width = 300, 700
    ramp = np.linspace(0.2, 0.8, width, dtype=np.float32)[None].repeat(height, 0)
    rgb = np.dstack([ramp] * 3)
    crop = Crop(rgb, ramp, ramp > 0.3, Box(0, 0, width, height), enlarged=1.5)
    network, said = Oracle(), []

    class Kept(NetworkRemover):
        """What the windows say together is kept."""

        def _finish(self, crop: Crop, blend: TileBlend, _attempt: Attempt) -> Removal:
            said.append(blend.result())
            return Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ())

    Kept(network.eval(), torch.device("cpu"), "oracle").remove([crop], plainly)
    assert network.seen[0][0] == 3
    assert max(max(shape[2:]) for shape in network.seen) <= restore.WINDOW_PX
    assert np.abs(said[0][..., 0] - ramp).max() < 0.01


def test_where_it_cannot_be_asked_again_the_first_answer_stays() -> None:
    crop = crop_of(scene(0.5))
    calls = []

    def once(request: Request[Item, Result]) -> list[Result | Exception]:
        calls.append(request)
        return (
            plainly(request)
            if len(calls) == 1
            else [TooLittleMemoryError("no room", "wait")] * len(request.items)
        )

    (planes,) = ask(Unsure(), [crop], once)
    assert len(calls) == 2
    (first,) = NetworkRemover(Unsure(), torch.device("cpu"), "o")._predict(
        [(crop.rgb, crop.probability)], (128, 224)
    )
    assert np.array_equal(planes, first)


def test_a_large_crop_is_seen_in_windows() -> None:
    clean = np.tile(photograph(120, 200), (1, 4, 1))
    matte = letters(120, 800)
    alpha = 0.5 * matte[..., None]
    drawn = Scene(clean, (clean * (1 - alpha) + alpha).astype(np.float32), matte)
    subject = remover()
    removal = removed(subject.remove([crop_of(drawn)], plainly))[0]
    assert set(subject.network.seen) == {(2, 4, 128, 512)}
    assert masked_psnr(removal.rgb, clean, matte > 0.05) > 28


@pytest.mark.parametrize("inpaint", ["embedded", "opencv"])
def test_a_chosen_inpainter_gets_every_mark(inpaint: str) -> None:
    drawn = scene(0.5)
    removal = removed(remover(inpaint).remove([crop_of(drawn)], plainly))[0]
    assert removal.regions[0].method is Method.FILLED


def test_one_crops_failure_is_its_own() -> None:
    drawn = scene(0.5)
    failure = RuntimeError("out of memory at the smallest size")

    def fail_first(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "restore":
            return plainly(request)
        return [failure, *request.run(request.items[1:], None)]

    results = remover().remove([crop_of(drawn), crop_of(drawn)], fail_first)
    assert results[0] is failure
    assert isinstance(results[1], Removal)


def test_numbers_that_are_none_do_not_end_the_others() -> None:
    drawn = scene(0.5)
    whole = crop_of(drawn)
    broken = Crop(whole.rgb, whole.probability, whole.mask[:, :100], whole.box)
    results = remover().remove([whole], plainly)
    assert isinstance(results[0], Removal)
    subject = remover()
    outcome = subject._finish(broken, _complete_blend(whole), plainly)
    assert isinstance(outcome, Exception)


def test_too_little_memory_for_taking_a_crop_apart_is_that_crops_alone() -> None:
    """And it is the guard that hears of it, not the crop that swallows it."""
    drawn, heard = scene(0.5), []
    refusal = TooLittleMemoryError("none left", "close other programs")

    def refuse_once(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "separate":
            return plainly(request)
        heard.append(request.item_bytes)
        return [refusal] if len(heard) == 1 else plainly(request)

    results = remover().remove([crop_of(drawn), crop_of(drawn)], refuse_once)
    assert results[0] is refusal
    assert isinstance(results[1], Removal)
    by_pixel = [SEPARATE_BYTES_BY_PIXEL, SEPARATE_BYTES_BY_PIXEL, FILL_BYTES_BY_PIXEL]
    assert heard == [each * drawn.matte.size for each in by_pixel]


def test_memory_that_runs_out_on_the_way_goes_to_whoever_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(restore, "find_candidates", fail)
    guard = Guard(RepairSettings(), VirtualAccelerator(1 << 30))
    (result,) = remover().remove([crop_of(scene(0.5))], guard.attempt)
    assert isinstance(result, TooLittleMemoryError)
    assert guard.out_of_memory_count == 1


def striped(height: int, width: int, marked: str) -> Scene:
    """A mark of two colours in stripes, which takes more than one: all over, or as letters."""
    clean = np.tile(photograph(128, 128), (height // 128, width // 128, 1))
    across = np.arange(width) // 16 % 2 == 0
    matte = np.ones((height, width), np.float32) if marked == "all over" else letters(height, width)
    tint = np.broadcast_to(across[None, :, None], clean.shape)
    return Scene(clean, (0.5 * clean + 0.5 * tint * matte[..., None]).astype(np.float32), matte)


@pytest.mark.parametrize("size", [(128, 256), (384, 512)])
@pytest.mark.parametrize("marked", ["all over", "letters"])
@pytest.mark.parametrize("given", [False, True])
def test_taking_a_crop_apart_takes_what_it_says(size: tuple[int, int], marked: str, given: bool) -> None:
    crop = replace(crop_of(striped(*size, marked)), given=given)
    remover().remove([crop], attempt := Measuring("separate"))
    attempt.check(closely=marked == "all over" and not given)


@pytest.mark.parametrize("size", [(128, 256), (384, 512)])
def test_taking_a_crop_of_a_jpeg_apart_takes_what_it_says(size: tuple[int, int]) -> None:
    steps = np.full((8, 8), 10, np.float32)
    crop = replace(crop_of(striped(*size, "all over")), quantisation=Quantisation(steps, steps, (True, True)))
    remover().remove([crop], attempt := Measuring("separate"))
    attempt.check(closely=True)


@pytest.mark.parametrize("inpaint", ["opencv", "embedded"])
def test_filling_a_crop_takes_what_it_says(inpaint: str) -> None:
    """Most of a JPEG file under a coloured mark."""
    drawn, steps = striped(384, 512, "all over"), np.full((8, 8), 10, np.float32)
    red = drawn.marked * np.array([1, 0.3, 0.3], np.float32)
    crop = replace(crop_of(drawn), rgb=red, quantisation=Quantisation(steps, steps, (True, True)))
    remover(inpaint).remove([crop], attempt := Measuring("separate"))
    attempt.check(closely=inpaint == "opencv")


def _complete_blend(crop: Crop):  # type: ignore[no-untyped-def]
    from cleanplate.images.tiles import TileBlend

    blend = TileBlend((*crop.mask.shape, 5), overlap=0)
    height, width = crop.mask.shape
    blend.add(Box(0, 0, width, height), np.full((height, width, 5), 0.5, np.float32))
    return blend


def test_in_tiles_it_removes_the_same() -> None:
    clean = np.tile(photograph(120, 200), (1, 2, 1))
    matte = letters(120, 400)
    alpha = 0.5 * matte[..., None]
    drawn = Scene(clean, (clean * (1 - alpha) + alpha).astype(np.float32), matte)
    seen = []

    def in_tiles(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "restore":
            return plainly(request)
        seen.append((request.tiles, request.shape(1, 256)))
        return list(request.run(request.items, 256))

    (whole,) = removed(remover().remove([crop_of(drawn)], plainly))
    (pieces,) = removed(remover().remove([crop_of(drawn)], in_tiles))
    assert seen == [((256,), (1, 4, 128, 256))]
    assert np.abs(whole.rgb - pieces.rgb).max() < 1e-4


class Prefers(nn.Module):
    """A chooser that gives one candidate all."""

    stride = 8

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        shares = torch.zeros(len(x), 4, *x.shape[2:])
        shares[:, self.place] = 1
        return shares


@pytest.mark.parametrize(("place", "method"), [(0, Method.LEFT), (1, Method.UNBLENDED), (3, Method.FILLED)])
def test_a_chooser_decides_where_there_is_one(place: int, method: Method) -> None:
    chooser = Prefers(place)
    (removal,) = removed(replace(remover(), chooser=chooser).remove([crop_of(scene(0.5))], plainly))
    assert {region.method for region in removal.regions} == {method}
    assert removal.changed.any() == (method is not Method.LEFT)
    assert all(shape[1] == 20 and shape[2] % 8 == shape[3] % 8 == 0 for shape in chooser.seen)


def test_a_chooser_sees_large_crops_in_windows_and_its_failure_ends_the_crop_alone() -> None:
    drawn = striped(384, 640, "letters")
    chooser = Prefers(1)
    (removal,) = removed(replace(remover(), chooser=chooser).remove([crop_of(drawn)], plainly))
    assert [shape[2:] for shape in chooser.seen] == [(384, 512)]
    assert chooser.seen[0][0] == 2

    def refuse(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "choose":
            return plainly(request)
        return [TooLittleMemoryError("none left", "close other programs") for _ in request.items]

    (failed,) = replace(remover(), chooser=chooser).remove([crop_of(drawn)], refuse)
    assert isinstance(failed, TooLittleMemoryError)
    assert isinstance(removal, Removal)
