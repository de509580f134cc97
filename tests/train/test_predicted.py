"""What a restorer says of crops, at the sizes at which a run shows them."""

import cv2
import numpy as np
import torch
from torch import nn

from cleanplate.remove.base import Crop
from cleanplate.structures import Box
from cleanplate.train.predicted import predict_crops


class Repeats(nn.Module):
    """Says that the mark is where the finder says, half opaque, before the picture itself."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image):
        assert image.shape[2] % 32 == image.shape[3] % 32 == 0
        self.seen.append(tuple(image.shape))
        found = image[:, 3:]
        return {"matte": 40 * found - 20, "opacity": 0.5 * found, "background": image[:, :3]}


def make_crop(height: int, width: int, enlarged: float, seed: int = 0) -> Crop:
    rgb = cv2.GaussianBlur(np.random.default_rng(seed).random((height, width, 3), np.float32), (0, 0), 2)
    mask = np.zeros((height, width), bool)
    mask[10:30, 12:40] = True
    box = Box(0, 0, width, height)
    return Crop(rgb, mask.astype(np.float32), mask, box, enlarged=enlarged)


def test_answers_come_back_at_the_crops_own_size():
    restorer = Repeats()
    crops = [make_crop(50, 66, enlarged) for enlarged in (1.0, 1.28, 2.0)]
    for crop, said in zip(crops, predict_crops(restorer, crops), strict=True):
        assert said.matte.shape == said.opacity.shape == (50, 66)
        assert said.background.shape == (50, 66, 3)
        assert said.matte[15:25, 17:35].min() > 0.99
        assert said.matte[~crop.mask].mean() < 0.05
        np.testing.assert_allclose(said.opacity[15:25, 17:35], 0.5, atol=0.01)
        assert np.abs(said.background - crop.rgb).mean() < 0.01
    exact = predict_crops(restorer, crops[:1])[0]
    np.testing.assert_array_equal(exact.background, crops[0].rgb)


def test_crops_seen_in_one_size_are_asked_together_and_keep_their_order():
    restorer = Repeats()
    crops = [make_crop(64, 64, 1.0, 1), make_crop(32, 64, 2.0, 2), make_crop(64, 64, 1.0, 3)]
    said = predict_crops(restorer, crops)
    assert sorted(restorer.seen) == [(1, 4, 64, 128), (2, 4, 64, 64)]
    for crop, prediction in zip(crops, said, strict=True):
        assert np.abs(prediction.background - crop.rgb).mean() < 0.01
    assert not any(torch.is_tensor(value) for value in vars(said[0]).values())
