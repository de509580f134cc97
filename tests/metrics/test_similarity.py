from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity

from cleanplate.metrics import map_ssim, ssim


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


def test_ssim_with_a_border_of_zeros_is_the_convolution_with_padding() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random((30, 40, 3)), rng.random((30, 40, 3))
    line = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2)).double()
    window = torch.outer(line / line.sum(), line / line.sum()).expand(3, 1, 11, 11)

    def blur(planes: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(planes, window, padding=5, groups=3)

    x, y = (torch.from_numpy(p.transpose(2, 0, 1)[None].copy()) for p in (first, second))
    mean_x, mean_y = blur(x), blur(y)
    vx, vy, both = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + 0.01**2) * (2 * both + 0.03**2)
    expected = top / ((mean_x**2 + mean_y**2 + 0.01**2) * (vx + vy + 0.03**2))
    assert ssim(first, second, zero_border=True) == pytest.approx(float(expected.mean()), abs=1e-9)


def test_the_map_is_high_where_the_pictures_are_alike() -> None:
    first = np.random.default_rng(3).random((40, 40))
    second = first.copy()
    second[:, 20:] = second[:, 20:][:, ::-1]
    similarity = map_ssim(first, second)
    assert similarity[:, :14] == pytest.approx(1.0)
    assert similarity[:, 26:].mean() < 0.3
