"""The mark that several photographs share, from aligned crops."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.remove import shared
from cleanplate.remove.inpaint import dilate
from cleanplate.remove.regression import regress_on_fills
from cleanplate.remove.shared import estimate_shared_mark, to_mark
from tests.remove.scenes import letters

HEIGHT, WIDTH = 96, 180
OPACITY = 0.5


def _pictures(count: int, height: int = HEIGHT, width: int = WIDTH) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(3)
    sources = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    crops = []
    for place in range(count):
        picture = sources[place % len(sources)]
        top = int(rng.integers(picture.shape[0] - height))
        left = int(rng.integers(picture.shape[1] - width))
        crops.append(np.ascontiguousarray(picture[top : top + height, left : left + width]))
    return crops


def _mark(crops: list[NDArray[np.uint8]]) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
    alpha = OPACITY * letters(HEIGHT, WIDTH, scale=1.6, top=65)
    marked = [
        np.rint(crop * (1 - alpha[..., None]) + alpha[..., None] * np.array([255.0, 230.0, 60.0]))
        for crop in crops
    ]
    return [crop.astype(np.uint8) for crop in marked], alpha.astype(np.float32)


def _error(result: NDArray[np.float32], clean: NDArray[np.uint8], inside: NDArray[np.bool_]) -> float:
    return float(((np.clip(result, 0, 1) - clean / 255)[inside] ** 2).mean())


def test_the_likelihood_beats_the_regression_and_both_beat_the_input() -> None:
    clean = _pictures(12)
    marked, alpha = _mark(clean)
    mask = dilate(alpha > 0.02, 2)
    inside = alpha > 0.02
    errors = []
    for refine in (False, True):
        mark = estimate_shared_mark(marked, mask, refine=refine)
        kept = np.maximum(1 - mark.alpha, 0.02)[..., None]
        results = [(crop / np.float32(255) - mark.alpha[..., None] * mark.rgb) / kept for crop in marked]
        errors.append(np.mean([_error(r, c, inside) for r, c in zip(results, clean, strict=True)]))
    before = np.mean([_error(m / np.float32(255), c, inside) for m, c in zip(marked, clean, strict=True)])
    assert errors[1] < errors[0] < before / 4
    assert errors[1] < 10 ** (-30 / 10)


@pytest.mark.parametrize("thickness", [14, 2])
def test_a_large_mark_is_worked_out_at_half_the_size_first(
    monkeypatch: pytest.MonkeyPatch, thickness: int
) -> None:
    """On smooth photographs, with edges that are odd, and odd again when halved: marks thick and thin are as
    well known as without."""
    smaller = _pictures(8, height=101, width=157)
    clean = [cv2.resize(crop, (391, 251), interpolation=cv2.INTER_CUBIC) for crop in smaller]
    drawn = np.zeros((251, 391), np.uint8)
    zigzag = np.array([[30, 200], [90, 60], [150, 200], [210, 60], [270, 200], [330, 60]], np.int32)
    cv2.polylines(drawn, [zigzag], isClosed=False, color=255, thickness=thickness, lineType=cv2.LINE_AA)
    cv2.circle(drawn, (340, 170), 35, 255, thickness, cv2.LINE_AA)
    alpha = np.asarray(OPACITY * drawn / np.float32(255), np.float32)
    marked = [np.rint(crop * (1 - alpha[..., None]) + 255 * alpha[..., None]) for crop in clean]
    stored = [decode_jpeg(encode_jpeg(crop.astype(np.uint8), 92)) for crop in marked]
    mask = dilate(alpha > 0.02, 4)
    errors = []
    for large_px in (1_000_000, 60_000, 20_000):
        monkeypatch.setattr(shared, "LARGE_PX", large_px)
        found = estimate_shared_mark(stored, mask, halved=(True, True))
        assert found.alpha.shape == alpha.shape
        assert not found.alpha[~mask].any()
        errors.append(float(np.sqrt(((found.alpha - alpha)[alpha > 0.02] ** 2).mean())))
    assert max(errors) < 0.03
    assert max(errors[1:]) < 1.15 * errors[0]
    assert len({*errors}) == len(errors), "each is worked out in a way of its own"


def test_scales_follow_what_a_t_fits_to_the_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    marked, alpha = _mark(_pictures(4))
    seen = []
    take_steps = shared.take_steps

    def note(unknown, photographs, *others, **options):
        seen.append(photographs[0])
        return take_steps(unknown, photographs, *others, **options)

    monkeypatch.setattr(shared, "take_steps", note)
    for fit in (0.8, 0.4):
        monkeypatch.setattr(shared, "_measure_fit", lambda *_, fit=fit: fit)
        estimate_shared_mark(marked, dilate(alpha > 0.02, 2))
    usual, smooth = seen
    assert torch.allclose(smooth.light_scales.near, usual.light_scales.near / 2)
    assert torch.allclose(smooth.colour_scales.near, usual.colour_scales.near / 2)
    assert smooth.light_scales.growth == usual.light_scales.growth


def test_opacity_and_colour_are_what_was_drawn() -> None:
    marked, alpha = _mark(_pictures(16))
    mark = estimate_shared_mark(marked, dilate(alpha > 0.02, 2))
    core = alpha > 0.98 * OPACITY
    assert abs(float(mark.alpha[core].mean()) - OPACITY) < 0.04
    assert np.abs(mark.rgb[core].mean(axis=0) - np.array([255, 230, 60]) / 255).max() < 0.05
    assert not mark.alpha[~dilate(alpha > 0.02, 2)].any()
    assert mark.kind == "estimated"


def test_photographs_without_a_mark_give_none() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[40:60, 60:120] = True
    mark = estimate_shared_mark(_pictures(16), mask)
    assert float(mark.alpha.mean()) < 0.02


def test_an_empty_mask_gives_an_empty_mark() -> None:
    mark = estimate_shared_mark(_pictures(2), np.zeros((HEIGHT, WIDTH), bool))
    assert not mark.alpha.any()


def test_one_crop_or_crops_of_other_sizes_are_refused() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    with pytest.raises(ValueError, match="two or more"):
        estimate_shared_mark(_pictures(1), mask)
    with pytest.raises(ValueError, match="mask's shape"):
        estimate_shared_mark([*_pictures(1), np.zeros((5, 5, 3), np.uint8)], mask)


@pytest.mark.parametrize(
    ("large_px", "last"), [(100_000, 0), (100_000, 3), (100_000, 9), (100_000, 30), (5_000, 20), (5_000, 50)]
)
def test_what_is_asked_now_and_then_may_end_it(
    monkeypatch: pytest.MonkeyPatch, large_px: int, last: int
) -> None:
    """While fills are made, while the likelihood begins, between photographs and in a solver; and at half the
    size."""
    monkeypatch.setattr(shared, "LARGE_PX", large_px)
    marked, alpha = _mark(_pictures(6))
    asked = []

    def check_stop() -> None:
        if len(asked) == last:
            raise KeyError(last)
        asked.append(last)

    with pytest.raises(KeyError):
        estimate_shared_mark(marked, dilate(alpha > 0.02, 2), check_stop=check_stop)
    assert len(asked) == last


def test_the_order_of_the_photographs_does_not_matter() -> None:
    marked, alpha = _mark(_pictures(6))
    mask = dilate(alpha > 0.02, 2)
    one, other = (regress_on_fills(crops, mask) for crops in (marked, marked[::-1]))
    assert np.allclose(one[0], other[0], atol=1e-3)
    assert np.allclose(one[1], other[1], atol=1e-3)


def test_saturated_pixels_do_not_pull_the_regression() -> None:
    clean = [np.minimum(crop.astype(np.uint16) * 2, 255).astype(np.uint8) for crop in _pictures(24)]
    marked, alpha = _mark(clean)
    _, kept = regress_on_fills(marked, dilate(alpha > 0.02, 2))
    assert abs(float(kept[alpha > 0.98 * OPACITY].mean()) - (1 - OPACITY)) < 0.12


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT - 1, WIDTH - 1)])
def test_pixels_off_the_mask_stay_and_the_opacity_is_valid(shape: tuple[int, int]) -> None:
    marked, alpha = _mark(_pictures(4))
    mask = dilate(alpha > 0.02, 2)[: shape[0], : shape[1]]
    mark = estimate_shared_mark([crop[: shape[0], : shape[1]] for crop in marked], mask)
    assert mark.alpha.shape == shape
    assert not mark.alpha[~mask].any()
    assert mark.alpha[mask].max() <= 1


def test_a_coloured_mark_is_sharp_though_its_files_hold_colours_at_half_the_resolution() -> None:
    clean = _pictures(16)
    alpha = (0.6 * letters(HEIGHT, WIDTH, scale=1.6, top=65)).astype(np.float32)
    colour = np.array([0.9, 0.2, 0.3], np.float32)
    marked = [crop * (1 - alpha[..., None]) + 255 * alpha[..., None] * colour for crop in clean]
    stored = [decode_jpeg(encode_jpeg(np.rint(crop).astype(np.uint8), 92)) for crop in marked]
    mask = dilate(alpha > 0.02, 2)
    errors = []
    for halved in ((True, True), (False, False)):
        mark = estimate_shared_mark(stored, mask, halved=halved)
        both = np.dstack([mark.alpha - alpha, mark.alpha[..., None] * mark.rgb - alpha[..., None] * colour])
        errors.append(float(np.sqrt((both[mask] ** 2).mean())))
    assert errors[0] < 0.05
    assert errors[0] < 0.8 * errors[1]


def test_a_layer_is_valid_whatever_the_planes_say() -> None:
    mark = to_mark(np.full((2, 2, 3), 0.7, np.float32), np.full((2, 2), 0.9, np.float32))
    assert float(mark.alpha.max()) <= 1
    assert float(mark.rgb.max()) <= 1
