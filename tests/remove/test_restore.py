from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cleanplate.metrics import masked_psnr
from cleanplate.models.request import Item, Request, Result, plainly
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.restore import NetworkRemover
from cleanplate.structures import Box, Method

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


def test_a_large_crop_is_seen_in_windows() -> None:
    clean = np.tile(photograph(120, 200), (1, 4, 1))
    matte = letters(120, 800)
    alpha = 0.5 * matte[..., None]
    drawn = Scene(clean, (clean * (1 - alpha) + alpha).astype(np.float32), matte)
    subject = remover()
    removal = removed(subject.remove([crop_of(drawn)], plainly))[0]
    assert subject.network.seen == [(2, 4, 128, 512)]
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
    outcome = subject._finish(broken, _complete_blend(whole))
    assert isinstance(outcome, Exception)


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
        seen.append((request.tiles, request.shape(1, 256)))
        return list(request.run(request.items, 256))

    (whole,) = removed(remover().remove([crop_of(drawn)], plainly))
    (pieces,) = removed(remover().remove([crop_of(drawn)], in_tiles))
    assert seen == [((256,), (1, 4, 128, 256))]
    assert np.abs(whole.rgb - pieces.rgb).max() < 1e-4
