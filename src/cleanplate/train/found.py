"""What a finder says about a crop that a restorer learns from: asked, or imitated."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cleanplate.images.tensor import pad_to_stride

#: In what sizes the finder sees a crop: large photographs are made smaller, small ones enlarged.
SCALES = (0.43, 2.0)
#: How often the answer is the mean of three looks, as a run's is (`detect/looks`), and what they are.
MORE_LOOKS_SHARE = 0.7
SMALLER = (0.75, 0.5)


def ask_finder(
    finder: nn.Module, crop_u8: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(h, w) float32 probability of a crop (h, w, 3), seen at a scale as photographs are.

    finder: see `models/nets/finder`, on the CPU.
    """
    scale = float(np.exp(rng.uniform(*np.log(SCALES))))
    looks = [_look(finder, crop_u8, scale)]
    if rng.random() < MORE_LOOKS_SHARE:
        looks += [_look(finder, crop_u8, smaller * scale) for smaller in SMALLER]
    return np.asarray(np.mean(looks, axis=0), np.float32)


def _look(finder: nn.Module, crop_u8: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    height, width = crop_u8.shape[:2]
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    seen = cv2.resize(np.ascontiguousarray(crop_u8), size, interpolation=interpolation)
    batch = torch.from_numpy(seen).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        logits = finder(pad_to_stride(batch, 32).contiguous(memory_format=torch.channels_last))
    answer = logits[0, 0, : size[1], : size[0]].sigmoid().numpy()
    return np.asarray(cv2.resize(answer, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def imitate_finder(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """(h, w) float32: what a finder at a coarser scale might say where the truth is `mask`."""
    height, width = mask.shape
    coarse = float(rng.uniform(1.0, 4.0))
    small = (max(8, round(width / coarse)), max(8, round(height / coarse)))
    soft = cv2.resize(mask.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    grow = int(rng.integers(-1, 3))
    if grow:
        kernel = np.ones((2 * abs(grow) + 1,) * 2, np.uint8)
        soft = cv2.dilate(soft, kernel) if grow > 0 else cv2.erode(soft, kernel)
    blobs = cv2.resize(rng.normal(0, 1, (6, 6)).astype(np.float32), small, interpolation=cv2.INTER_CUBIC)
    doubt = 1 / (1 + np.exp(-3 * (blobs + float(rng.uniform(-0.5, 2.5)))))
    soft = soft * doubt
    if rng.random() < 0.15:  # taken for a mark, though it is none
        soft = np.maximum(soft, np.clip(blobs - 1.0, 0, 1))
    soft = cv2.GaussianBlur(soft, (0, 0), float(rng.uniform(0.3, 1.2)))
    full = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(full, 0, 1), np.float32)
