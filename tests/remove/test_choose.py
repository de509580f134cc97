from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cleanplate.metrics import masked_psnr
from cleanplate.models.nets.chooser import INPUT_PLANES
from cleanplate.remove.base import Crop
from cleanplate.remove.candidates import (
    LEAST_PROBABILITY,
    PROBABLE_PX,
    Prediction,
    clean_matte,
    find_boxes,
    find_candidates,
)
from cleanplate.remove.choose import (
    LEAST_SURE,
    LEAST_SURE_OF_LARGE,
    METHODS,
    MOST_LEFT_OF_SURE,
    MOST_LEFT_UNSHOWN,
    SURE_UNSHOWN,
    choose_by_shares,
    fill_crop,
    restore_crop,
)
from cleanplate.remove.compression import Compression
from cleanplate.remove.shrinkage import spread_rounding
from cleanplate.remove.unblend import merge_compressed
from cleanplate.structures import Box, FloatArray, Method, Quantisation

from .scenes import Scene, letters, photograph, scene


def crop_of(rgb: FloatArray, matte: FloatArray) -> Crop:
    height, width = matte.shape
    return Crop(rgb, matte, matte > 0.3, Box(1000, 500, 1000 + width, 500 + height))


def predict(drawn: Scene, opacity: float, background: FloatArray | None = None) -> Prediction:
    return Prediction(
        drawn.matte, drawn.matte * np.float32(opacity), drawn.marked if background is None else background
    )


@pytest.mark.parametrize("left", [0, 1])
def test_a_crop_of_a_jpeg_is_inverted_by_its_files_tables(left: int) -> None:
    """And by the photograph's own pairs of columns, wherever the crop begins."""
    drawn, steps = scene(0.5, (0.1, 0.3, 0.9)), np.full((8, 8), 12, np.float32)
    tables = Quantisation(steps, steps, (True, True))
    crop = replace(crop_of(drawn.marked, drawn.matte), box=Box(left, 0, left + 200, 120), quantisation=tables)
    found, plain = (find_candidates(c, predict(drawn, 0.5)) for c in (crop, replace(crop, quantisation=None)))
    assert found is not None
    assert plain is not None
    expected = merge_compressed(
        crop.rgb,
        found.apart.fill,
        found.apart.fill_variance,
        found.apart.layer,
        Compression(spread_rounding(steps, steps, (True, True)), (True, True)),
        (left, 0),
    )
    mask = found.apart.mask
    assert np.array_equal(found.pictures.unblended[mask], expected[mask])
    assert not np.allclose(found.pictures.unblended, plain.pictures.unblended, atol=1e-3)


def test_an_even_mark_is_unblended() -> None:
    drawn = scene(0.5)
    removal = restore_crop(crop_of(drawn.marked, drawn.matte), predict(drawn, 0.5))
    (region,) = removal.regions
    assert region.method is Method.UNBLENDED
    assert region.opacity == pytest.approx(0.5, abs=0.08)
    assert region.confidence > 0.7
    assert region.box.left >= 1000
    assert region.box.top >= 500
    inside = drawn.matte > 0.05
    assert masked_psnr(removal.rgb, drawn.clean, inside) > 28
    assert not removal.changed[drawn.matte == 0].all()


def test_an_opaque_mark_is_filled() -> None:
    drawn = scene(1.0, (1.0, 0.0, 0.0))
    removal = restore_crop(crop_of(drawn.marked, drawn.matte), predict(drawn, 1.0))
    assert removal.regions[0].method is Method.FILLED
    inside = drawn.matte > 0.05
    assert masked_psnr(removal.rgb, drawn.clean, inside) > masked_psnr(drawn.marked, drawn.clean, inside) + 5


def test_an_uneven_mark_takes_the_networks_photograph() -> None:
    """Stripes of many colours fit no layer; what the network shows has no ghost."""
    clean = photograph()
    matte = letters(*clean.shape[:2])
    rng = np.random.default_rng(0)
    colours = rng.random((1, 40, 3)).astype(np.float32).repeat(5, axis=1)
    alpha = (0.9 * matte)[..., None].astype(np.float32)
    marked = (clean * (1 - alpha) + alpha * colours).astype(np.float32)
    drawn = Scene(clean, marked, matte)
    removal = restore_crop(crop_of(marked, matte), predict(drawn, 0.2, background=clean))
    inside = matte > 0.05
    assert masked_psnr(removal.rgb, clean, inside) > masked_psnr(marked, clean, inside) + 5


def test_a_clean_crop_keeps_its_pixels() -> None:
    clean = photograph()
    matte = letters(*clean.shape[:2])
    removal = restore_crop(crop_of(clean, matte), predict(Scene(clean, clean, matte), 0.5))
    assert {region.method for region in removal.regions} == {Method.LEFT}
    assert not removal.changed.any()


def test_without_a_matte_nothing_happens() -> None:
    drawn = scene()
    nothing = np.zeros_like(drawn.matte)
    prediction = Prediction(nothing, nothing, drawn.clean)
    crop = crop_of(drawn.marked, drawn.matte)
    for removal in (restore_crop(crop, prediction), fill_crop(crop, prediction, with_network=True)):
        assert not removal.changed.any()
        assert removal.regions == ()


@pytest.mark.parametrize("with_network", [True, False])
def test_filling_takes_every_mark(with_network: bool) -> None:
    drawn = scene(0.3)
    removal = fill_crop(
        crop_of(drawn.marked, drawn.matte), predict(drawn, 0.3, drawn.clean), with_network=with_network
    )
    assert removal.changed[drawn.matte > 0.02].all()
    assert removal.regions[0].method is Method.FILLED
    assert np.array_equal(removal.rgb[removal.changed], drawn.clean[removal.changed]) is with_network


def test_a_network_that_gives_the_mark_back_does_not_fill() -> None:
    drawn = scene(1.0)
    crop = crop_of(drawn.marked, drawn.matte)
    given_back = fill_crop(crop, predict(drawn, 1.0, drawn.marked), with_network=True)
    around = fill_crop(crop, predict(drawn, 1.0, drawn.marked), with_network=False)
    assert np.array_equal(given_back.rgb, around.rgb)


def test_a_matte_far_from_the_finders_mask_is_dropped() -> None:
    matte = np.zeros((100, 400), np.float32)
    matte[40:60, 20:60] = matte[40:60, 300:340] = 1
    mask = np.zeros((100, 400), bool)
    mask[45:50, 30:40] = True
    sure = np.ones(matte.shape, np.float32)
    kept = clean_matte(matte, mask, sure)
    assert kept[50, 58] == 1
    assert not kept[:, 200:].any()
    assert not clean_matte(matte * 0.05, mask, sure).any()
    sure[:, 45:] = LEAST_PROBABILITY / 2  # the same piece, of which the finder sees a part alone
    kept = clean_matte(matte, mask, sure)
    assert kept[50, 44 + PROBABLE_PX] == 1
    assert not kept[:, 45 + PROBABLE_PX :].any()


def test_boxes_of_no_labels() -> None:
    assert find_boxes(np.zeros((3, 3), np.int32)) == {}


def shares_of(shape: tuple[int, int], *parts: float) -> FloatArray:
    return np.broadcast_to(np.array(parts, np.float32), (*shape, len(METHODS))).copy()


@pytest.mark.parametrize("place", range(1, len(METHODS)))
def test_shares_decide_what_a_group_becomes(place: int) -> None:
    drawn = scene(0.5)
    found = find_candidates(crop_of(drawn.marked, drawn.matte), predict(drawn, 0.5, background=drawn.clean))
    assert found is not None
    parts = [0.0] * len(METHODS)
    parts[place] = 1.0
    removal = choose_by_shares(found, shares_of(drawn.matte.shape, *parts))
    picture = (found.pictures.unblended, found.pictures.restored, found.pictures.filled)[place - 1]
    assert {region.method for region in removal.regions} == {METHODS[place]}
    assert np.allclose(removal.rgb[removal.changed], np.clip(picture, 0, 1)[removal.changed], atol=1e-6)
    assert np.array_equal(removal.rgb[~removal.changed], drawn.marked[~removal.changed])
    assert removal.filled is not None
    assert removal.filled.any() == (METHODS[place] is Method.FILLED)


def test_a_group_that_is_mostly_to_stay_stays_wholly_and_others_take_nothing_of_what_was() -> None:
    drawn = scene(0.5)
    sure = replace(crop_of(drawn.marked, drawn.matte), probability=np.ones_like(drawn.matte))
    found = find_candidates(sure, predict(drawn, 0.5))
    assert found is not None
    most = MOST_LEFT_OF_SURE  # of a finder that is wholly sure
    rest = (1 - most - 0.05) / 3
    left = choose_by_shares(found, shares_of(drawn.matte.shape, most + 0.05, rest, rest, rest))
    assert not left.changed.any()
    assert {region.method for region in left.regions} == {Method.LEFT}
    changed = choose_by_shares(found, shares_of(drawn.matte.shape, most - 0.05, 0.2, 0, 0.2))
    mean = (found.pictures.unblended + found.pictures.filled) / 2
    assert np.allclose(changed.rgb[changed.changed], np.clip(mean, 0, 1)[changed.changed], atol=1e-5)


@pytest.mark.parametrize(
    ("share", "probability", "stays"),
    [
        (0.4, 0.3, True),
        (0.45, LEAST_SURE + 0.02, True),  # the chooser doubts it more than the finder is sure of it
        (0.42, LEAST_SURE + 0.02, False),
        (0.45, 0.9, False),
        (0.0, LEAST_SURE - 0.02, True),  # the finder is hardly sure, whatever the chooser says
        (0.0, LEAST_SURE + 0.02, False),
    ],
)
def test_a_group_stays_where_both_doubt_it_or_the_finder_is_hardly_sure(
    share: float, probability: float, stays: bool
) -> None:
    drawn = scene(0.5)
    crop = replace(
        crop_of(drawn.marked, drawn.matte), probability=np.full_like(drawn.matte, np.float32(probability))
    )
    found = find_candidates(crop, predict(drawn, 0.5))
    assert found is not None
    removal = choose_by_shares(found, shares_of(drawn.matte.shape, share, 1 - share, 0, 0))
    assert removal.changed.any() != stays


def test_of_a_large_group_the_finder_must_be_surer(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = scene(0.5)
    between = np.float32((LEAST_SURE + LEAST_SURE_OF_LARGE) / 2)
    crop = replace(crop_of(drawn.marked, drawn.matte), probability=np.full_like(drawn.matte, between))
    found = find_candidates(crop, predict(drawn, 0.5))
    assert found is not None
    shares = shares_of(drawn.matte.shape, 0, 1, 0, 0)
    assert choose_by_shares(found, shares).changed.any()
    monkeypatch.setattr("cleanplate.remove.choose.LARGE_PX", 10)
    assert not choose_by_shares(found, shares).changed.any()


@pytest.mark.parametrize(
    ("share", "probability", "stays"),
    [
        (MOST_LEFT_UNSHOWN - 0.02, SURE_UNSHOWN + 0.02, False),
        (MOST_LEFT_UNSHOWN + 0.02, SURE_UNSHOWN + 0.02, True),
        (MOST_LEFT_UNSHOWN - 0.02, SURE_UNSHOWN - 0.02, True),
    ],
)
def test_of_what_both_are_very_sure_nothing_need_speak(
    share: float, probability: float, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = scene(0.5)
    crop = replace(
        crop_of(drawn.marked, drawn.matte), probability=np.full_like(drawn.matte, np.float32(probability))
    )
    monkeypatch.setattr("cleanplate.remove.choose.LEAST_EVIDENCE", 1e6)
    found = find_candidates(crop, predict(drawn, 0.5))
    assert found is not None
    removal = choose_by_shares(found, shares_of(drawn.matte.shape, share, 1 - share, 0, 0))
    assert removal.changed.any() != stays


def test_what_nothing_speaks_for_stays_unless_its_mask_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = scene(0.5)
    probability = np.full_like(drawn.matte, np.float32(SURE_UNSHOWN - 0.02))
    sure = replace(crop_of(drawn.marked, drawn.matte), probability=probability)
    shares = shares_of(drawn.matte.shape, 0, 1, 0, 0)
    monkeypatch.setattr("cleanplate.remove.choose.LEAST_EVIDENCE", 1e6)
    for given in (False, True):
        found = find_candidates(replace(sure, given=given), predict(drawn, 0.5))
        assert found is not None
        assert choose_by_shares(found, shares).changed.any() == given


def test_doubts_about_the_margin_of_a_mark_weigh_little() -> None:
    """The pixels round the letters, which are rewritten with them, are often more than the letters."""
    drawn = scene(0.5)
    inside = drawn.matte > 0.5
    crop = replace(
        crop_of(drawn.marked, drawn.matte), probability=np.where(inside, 0.9, 0.3).astype(np.float32)
    )
    found = find_candidates(crop, predict(drawn, 0.5))
    assert found is not None
    leave = np.where(inside, 0.45, 1.0).astype(np.float32)
    owned = found.owner > 0
    assert leave[owned].mean() > MOST_LEFT_OF_SURE * crop.probability[owned].mean()
    shares = np.dstack([leave, 1 - leave, np.zeros_like(leave), np.zeros_like(leave)])
    assert choose_by_shares(found, shares).changed.any()


def test_what_the_chooser_sees_is_laid_out_in_its_order() -> None:
    drawn = scene(0.5)
    found = find_candidates(crop_of(drawn.marked, drawn.matte), predict(drawn, 0.5))
    assert found is not None
    planes = np.dstack(found.lay_out())
    assert planes.shape == (*drawn.matte.shape, INPUT_PLANES)
    assert np.isfinite(planes).all()
    assert np.array_equal(planes[..., :3], drawn.marked)
    assert np.array_equal(planes[..., -1] > 0, found.apart.mask)
    assert set(np.unique(np.sign(planes[..., -2][found.owner > 0]))) == {1.0}  # evidence speaks for the mark
    assert -1 <= planes.min() <= planes.max() <= 2
