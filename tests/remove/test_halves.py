"""A crop for which there is too little memory is done in halves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cleanplate.errors import TooLittleMemoryError
from cleanplate.metrics import masked_psnr
from cleanplate.models.request import Item, Request, Result, plainly
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.halves import LEAST_PX, SHARED_PX, can_halve, halve, join
from cleanplate.remove.restore import FILL_BYTES_BY_PIXEL, SEPARATE_BYTES_BY_PIXEL
from cleanplate.structures import Box, Method, Region

from .scenes import Scene, letters, photograph
from .test_restore import crop_of, remover

REFUSAL = TooLittleMemoryError("none left", "close other programs")


def wide_scene(height: int = 128, width: int = 896) -> Scene:
    clean = np.tile(photograph(128, 128), (height // 128, width // 128, 1))
    matte = np.tile(letters(128, 224), (height // 128, width // 224))
    return Scene(
        clean, (clean * (1 - 0.5 * matte[..., None]) + 0.5 * matte[..., None]).astype(np.float32), matte
    )


def admit(most_bytes: int):
    def attempt(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage == "separate" and request.item_bytes > most_bytes:
            return [REFUSAL] * len(request.items)
        return plainly(request)

    return attempt


@pytest.mark.parametrize(
    ("inpaint", "by_pixel"), [("auto", SEPARATE_BYTES_BY_PIXEL), ("opencv", FILL_BYTES_BY_PIXEL)]
)
@pytest.mark.parametrize("tall", [False, True])
def test_a_crop_that_is_not_admitted_is_done_in_halves(inpaint: str, by_pixel: int, tall: bool) -> None:
    drawn = wide_scene()
    if tall:
        drawn = Scene(
            *(
                np.ascontiguousarray(np.swapaxes(plane, 0, 1))
                for plane in (drawn.clean, drawn.marked, drawn.matte)
            )
        )
    crop = crop_of(drawn)
    (whole,) = remover(inpaint).remove([crop], plainly)
    (parts,) = remover(inpaint).remove([crop], admit(by_pixel * crop.mask.size * 3 // 4))
    assert isinstance(whole, Removal)
    assert isinstance(parts, Removal)
    assert np.array_equal(parts.changed, whole.changed)
    inside = drawn.matte > 0.05
    least = masked_psnr(whole.rgb, drawn.clean, inside) - 2
    assert masked_psnr(parts.rgb, drawn.clean, inside) > least
    assert all(region.method is not Method.LEFT for region in parts.regions)


def test_one_that_is_too_small_for_halves_fails_as_it_did() -> None:
    crop = crop_of(wide_scene())
    (result,) = remover().remove([crop], admit(SEPARATE_BYTES_BY_PIXEL * 128 * (LEAST_PX - 1)))
    assert result is REFUSAL
    assert not can_halve(
        Crop(crop.rgb[:, :300], crop.probability[:, :300], crop.mask[:, :300], Box(0, 0, 300, 128))
    )


def test_halves_fade_where_both_see_and_regions_are_told_once() -> None:
    plane = np.arange(400 * 500, dtype=np.float32).reshape(400, 500)
    crop = Crop(np.dstack([plane] * 3), plane, plane > 0, Box(7, 9, 507, 409), own=plane > 3)
    halves = halve(crop, plane[..., None])
    assert [half.core.width + SHARED_PX for half in halves] == [half.seen.width for half in halves]
    region = Region(Box(240, 20, 270, 40), Method.FILLED, None, 1.0)
    removals = []
    for number, half in enumerate(halves):
        assert np.array_equal(half.crop.rgb, crop.rgb[half.seen.slices])
        assert half.crop.own is None
        removals.append(
            Removal(
                np.full_like(half.crop.rgb, number),
                np.full(half.crop.mask.shape, number == 1),
                (region,),
                np.full(half.crop.mask.shape, True) if number else None,
            )
        )
    joined = join(crop, halves, removals)
    told = np.zeros((400, 500), bool)
    told[:, 250 - SHARED_PX :] = True
    assert np.array_equal(joined.changed, told)
    own = np.zeros((400, 500), bool)
    own[:, 250 + SHARED_PX :] = True
    assert np.array_equal(joined.filled, own)
    share = np.clip((np.arange(500) + 0.5 - 250 + SHARED_PX) / (2 * SHARED_PX), 0, 1)[None]
    np.testing.assert_allclose(joined.rgb[..., 0], share + (1 - share) * plane, rtol=1e-5)
    assert joined.regions == (region,)
    assert join(crop, halves, [replace(removal, regions=()) for removal in removals]).regions == ()
