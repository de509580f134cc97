"""The outline that a removal leaves."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cleanplate.metrics.ring import RING_PX, find_ring, measure_ring


@pytest.fixture
def opacity() -> np.ndarray:
    """A disc with soft edges."""
    plane = np.zeros((120, 160), np.float32)
    cv2.circle(plane, (80, 60), 30, 0.6, -1)
    return cv2.GaussianBlur(plane, (0, 0), 1.0)


@pytest.fixture
def truth() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.clip(128 + rng.normal(0, 20, (120, 160, 3)), 0, 255)


def test_the_ring_is_as_wide_as_it_says(opacity):
    ring = find_ring(opacity)
    border = cv2.Canny((opacity > 0.02).astype(np.uint8) * 255, 50, 100) > 0
    distance = cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, 5)
    assert ring[distance < RING_PX - 1].all()
    assert not ring[distance > RING_PX + 2].any()


def test_an_outline_is_told_from_noise(opacity, truth):
    slope = np.hypot(cv2.Sobel(opacity, cv2.CV_32F, 1, 0), cv2.Sobel(opacity, cv2.CV_32F, 0, 1))
    outlined = truth + 30 * slope[..., None]
    noisy = truth + np.random.default_rng(1).normal(0, 8, truth.shape)
    mark_left = truth * (1 - opacity[..., None]) + 255 * opacity[..., None]
    assert measure_ring(outlined, truth, opacity).correlation == pytest.approx(1.0, abs=1e-6)
    assert measure_ring(truth - (outlined - truth), truth, opacity).correlation == pytest.approx(
        1.0, abs=1e-6
    )
    assert abs(measure_ring(noisy, truth, opacity).correlation) < 0.1
    assert measure_ring(noisy, truth, opacity).rmse == pytest.approx(8, rel=0.1)
    assert measure_ring(mark_left, truth, opacity).correlation < 0.7


def test_a_perfect_result_has_no_outline(opacity, truth):
    figures = measure_ring(truth, truth, opacity)
    assert (figures.correlation, figures.rmse) == (0, 0)
    even = measure_ring(truth + 3, truth, opacity)
    assert even.correlation == 0
    assert even.rmse == pytest.approx(3)


def test_a_clean_photograph_has_no_ring(truth):
    nothing = np.zeros(truth.shape[:2], np.float32)
    assert np.isnan(measure_ring(truth, truth, nothing).correlation)
    everything = np.ones(truth.shape[:2], np.float32)
    assert np.isnan(measure_ring(truth, truth, everything).rmse)


def test_pictures_of_two_sizes_are_refused(opacity, truth):
    with pytest.raises(ValueError, match="of one size"):
        measure_ring(truth[1:], truth, opacity)
    with pytest.raises(ValueError, match="of one size"):
        measure_ring(truth, truth, opacity[1:])
