from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from cleanplate.metrics import masked_psnr, masked_rmse, psnr, rmse, watermark_rmse


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_psnr_of_integers_equals_scikit_image(dtype: type) -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, np.iinfo(dtype).max, (20, 30, 3)).astype(dtype) for _ in range(2))
    assert psnr(first, second) == pytest.approx(peak_signal_noise_ratio(first, second), abs=1e-9)


def test_psnr_of_floats_equals_scikit_image() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.random((20, 30, 3)).astype(np.float32) for _ in range(2))
    expected = peak_signal_noise_ratio(first, second, data_range=1)
    assert psnr(first, second) == pytest.approx(expected, abs=1e-5)


def test_equal_pictures_have_infinite_psnr() -> None:
    picture = np.full((4, 4, 3), 7, np.uint8)
    assert psnr(picture, picture) == math.inf


def test_masked_psnr_counts_only_the_mask() -> None:
    rng = np.random.default_rng(2)
    first, second = (rng.random((20, 30, 3)) for _ in range(2))
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:20] = True
    expected = peak_signal_noise_ratio(first[3:9, 4:20], second[3:9, 4:20], data_range=1)
    assert masked_psnr(first, second, mask) == pytest.approx(expected, abs=1e-9)
    assert masked_psnr(first, second, mask, peak=2.0) == pytest.approx(expected + 20 * math.log10(2))


def test_an_empty_mask_has_no_error_to_speak_of() -> None:
    picture = np.zeros((4, 4, 3))
    empty = np.zeros((4, 4), bool)
    assert math.isnan(masked_rmse(picture, picture, empty))
    assert math.isnan(masked_psnr(picture, picture, empty))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        rmse(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="mask"):
        masked_rmse(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((3, 2), bool))
    with pytest.raises(ValueError, match="empty"):
        rmse(np.zeros((0, 2)), np.zeros((0, 2)))


def test_watermark_rmse_is_what_the_published_definition_gives() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.random((20, 30, 3)), rng.random((20, 30, 3))
    mask = rng.random((20, 30)) < 0.3
    gathered = np.mean((first * mask[..., None] - second * mask[..., None]) ** 2) * mask.size / mask.sum()
    assert watermark_rmse(first, second, mask) == pytest.approx(256 * np.sqrt(gathered))
    one = 256 * np.sqrt(((first - second) ** 2).sum(axis=2)[mask].mean())
    assert watermark_rmse(first, second, mask, channels=1) == pytest.approx(one)
    assert np.isnan(watermark_rmse(first, second, np.zeros_like(mask)))
    with pytest.raises(ValueError, match="channels is 2"):
        watermark_rmse(first, second, mask, channels=2)
