from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from cleanplate.metrics import ssim


def test_ssim_equals_scikit_image() -> None:
    rng = np.random.default_rng(0)
    photograph = data.astronaut()[100:200, 150:280]
    noisy = np.clip(photograph + rng.normal(0, 20, photograph.shape), 0, 255).astype(np.uint8)
    expected = structural_similarity(
        photograph,
        noisy,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(photograph, noisy) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_one_plane_in_floats_equals_scikit_image() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((40, 30)), rng.random((40, 30))
    expected = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(first, second) == pytest.approx(expected, abs=1e-6)


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ssim(np.zeros((20, 20)), np.zeros((20, 21)))
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(np.zeros((10, 20)), np.zeros((10, 20)))
