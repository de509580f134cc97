"""What is left of a given mask is filled."""

from __future__ import annotations

import numpy as np

from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.candidates import Prediction
from cleanplate.remove.choose import fill_crop
from cleanplate.remove.rest import fill_what_is_left, keep_to_mask
from cleanplate.structures import Box, Method, Region


def make_crop(*, given: bool = True) -> Crop:
    rgb = np.full((40, 60, 3), 0.25, np.float32)
    mask = np.zeros((40, 60), bool)
    mask[5:10, 5:10] = True
    mask[30:36, 40:50] = True
    rgb[mask] = 1
    return Crop(rgb, mask.astype(np.float32), mask, Box(100, 200, 160, 240), given)


def test_parts_that_were_left_are_filled_and_the_others_kept() -> None:
    crop = make_crop()
    changed = np.zeros_like(crop.mask)
    changed[5:10, 5:10] = True
    rgb = crop.rgb.copy()
    rgb[changed] = 0.5
    regions = (
        Region(Box(105, 205, 110, 210), Method.UNBLENDED, 0.4, 1.0),
        Region(Box(140, 230, 150, 236), Method.LEFT, None, 0.0),
    )
    done = fill_what_is_left(crop, Removal(rgb, changed, regions))
    assert np.array_equal(done.changed, crop.mask)
    assert np.allclose(done.rgb[5:10, 5:10], 0.5)
    assert np.allclose(done.rgb[30:36, 40:50], 0.25, atol=0.01)
    assert [(r.method, r.box) for r in done.regions] == [
        (Method.UNBLENDED, Box(105, 205, 110, 210)),
        (Method.FILLED, Box(140, 230, 150, 236)),
    ]


def test_a_removal_that_did_it_all_is_kept() -> None:
    crop = make_crop()
    removal = Removal(crop.rgb, crop.mask, ())
    assert fill_what_is_left(crop, removal) is removal


def test_an_empty_mask_changes_nothing() -> None:
    crop = make_crop()
    empty = Crop(crop.rgb, crop.probability, np.zeros_like(crop.mask), crop.box, given=True)
    removal = Removal(crop.rgb, empty.mask, ())
    assert fill_what_is_left(empty, removal) is removal


def test_nothing_off_a_given_mask_is_rewritten() -> None:
    crop = make_crop()
    wide = np.zeros_like(crop.mask)
    wide[3:12, 3:12] = True
    rgb = np.where(wide[..., None], np.float32(0.5), crop.rgb)
    kept = keep_to_mask(crop, Removal(rgb, wide, (), wide))
    assert np.array_equal(kept.changed, wide & crop.mask)
    assert kept.filled is not None
    assert np.array_equal(kept.filled, wide & crop.mask)
    assert np.array_equal(kept.rgb[~crop.mask], crop.rgb[~crop.mask])
    assert np.allclose(kept.rgb[5:10, 5:10], 0.5)
    assert keep_to_mask(crop, kept) is kept


def test_a_given_mask_is_filled_as_it_is() -> None:
    crop = make_crop()
    nothing = np.zeros(crop.mask.shape, np.float32)
    removal = fill_crop(crop, Prediction(nothing, nothing, crop.rgb), with_network=False)
    assert np.array_equal(removal.changed, crop.mask)
    assert np.allclose(removal.rgb, 0.25, atol=0.02)
    found = fill_crop(make_crop(given=False), Prediction(nothing, nothing, crop.rgb), with_network=False)
    assert not found.changed.any()
