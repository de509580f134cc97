"""What a finder says about a crop that a restorer learns from: asked, or imitated."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cleanplate.detect.looks import FIRST_LOOK, LOOKS, Look
from cleanplate.images.tensor import pad_to_stride

#: In what sizes the finder sees a crop: large photographs are made smaller, small ones enlarged.
SCALES = (0.43, 0.53, 0.66, 0.81, 1.0, 1.25, 1.55, 2.0)
#: How often the answer is the mean of several looks, as a run's is (`detect/looks`).
MORE_LOOKS_SHARE = 0.7
#: The way a finder is asked about a crop: 0 is not at all, 1 to len(SCALES) is once at that scale, more is
#: a run's looks, the first of them at that scale.
WAYS = 1 + 2 * len(SCALES)


def choose_way(rng: np.random.Generator) -> int:
    """A way of asking, from 1; see WAYS.

    >>> 1 <= choose_way(np.random.default_rng(0)) < WAYS
    True
    """
    once = 1 + int(rng.integers(len(SCALES)))
    return once + len(SCALES) if rng.random() < MORE_LOOKS_SHARE else once


def ask_finder(finder: nn.Module, image: Tensor, ways: Tensor) -> Tensor:
    """`image` (N, 4, h, w), in the fourth plane the finder's probability where it is asked about a crop.

    finder: see `models/nets/finder`, on the images' device; its dtype decides. ways: (N,) int64, see WAYS.
    Crops that are asked about in the same way are looked at together.
    """
    image = image.clone()
    for way in sorted(set(ways.tolist())):
        if way == 0:
            continue
        which = torch.nonzero(ways == way)[:, 0]
        scale = SCALES[(way - 1) % len(SCALES)]
        looks = (FIRST_LOOK, *LOOKS) if way > len(SCALES) else (FIRST_LOOK,)
        answers = [_look(finder, image[which, :3], scale, look) for look in looks]
        image[which, 3:] = torch.stack(answers).mean(0)
    return image


@torch.no_grad()
def _look(finder: nn.Module, rgb: Tensor, working: float, look: Look) -> Tensor:
    """(N, 1, h, w) probability of crops (N, 3, h, w) in [0, 1]; working: their scale at the working size."""
    height, width = rgb.shape[2:]
    scale = working * look.scale
    size = (max(16, round(height * scale)), max(16, round(width * scale)))
    seen = F.interpolate(rgb, size, mode="bicubic", antialias=scale < 1).clamp(0, 1)
    seen = seen.flip(3) if look.mirrored else seen
    padded = pad_to_stride(seen, 32).to(next(finder.parameters(), rgb).dtype)
    logits = finder(padded.contiguous(memory_format=torch.channels_last)).float()
    answer = logits[:, :1, : size[0], : size[1]].sigmoid()
    answer = answer.flip(3) if look.mirrored else answer
    return F.interpolate(answer, (height, width), mode="bilinear", align_corners=False)


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
