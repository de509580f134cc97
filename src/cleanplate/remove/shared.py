"""A mark that many photographs share: opacity and colour from aligned crops. Pure: arrays in, `Mark` out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cleanplate.marks.files import ESTIMATED
from cleanplate.remove.gradients import accumulate, measure_scale, solve
from cleanplate.remove.regression import LEAST_KEPT, regress_on_fills
from cleanplate.structures import BoolArray, FloatArray, Mark

#: Times that the weights are found anew, and rounds of the solver for each.
OUTER_ROUNDS = 6
INNER_ROUNDS = 30
#: An estimate under this is no mark but what the regression was wrong by.
LEAST_OPACITY = 0.02


def estimate_shared_mark(
    crops_u8: Sequence[NDArray[np.uint8]],
    mask: BoolArray,
    *,
    device: torch.device | str = "cpu",
    refine: bool = True,
) -> Mark:
    """The mark that all crops carry in the same place.

    crops_u8: two or more (h, w, 3) uint8 crops of different photographs, aligned at the mark. mask: (h, w),
    where the mark may lie: rather too large than too small, and with known pixels round it. refine: by
    likelihood of the photographs' gradients; without it, the regression alone.
    The memory besides the crops does not grow with their number, but for one scale plane each.

    Source: the model is that of Dekel et al., "On the Effectiveness of Visible Watermarks" (CVPR 2017); the
    way of solving it is this package's own (see `gradients`).
    """
    if len(crops_u8) < 2:
        raise ValueError(f"a shared mark needs two or more crops; got {len(crops_u8)}")
    if any(crop.shape != (*mask.shape, 3) for crop in crops_u8):
        raise ValueError(f"all crops must have the mask's shape, {mask.shape}")
    added, kept = regress_on_fills(crops_u8, mask)
    if refine and mask.any():
        added, kept = refine_by_gradients(crops_u8, mask, added, kept, torch.device(device))
    return to_mark(added, kept)


def refine_by_gradients(
    crops_u8: Sequence[NDArray[np.uint8]],
    mask: BoolArray,
    added: FloatArray,
    kept: FloatArray,
    device: torch.device,
) -> tuple[FloatArray, FloatArray]:
    """(a, b) again, refined by likelihood; `added`, `kept`: where it starts."""
    scales = [measure_scale(np.asarray(crop, np.float32) / np.float32(255), mask) for crop in crops_u8]
    free = torch.from_numpy(mask.astype(np.float32)).to(device)
    start = np.concatenate([1 / kept[None], (added / kept[..., None]).transpose(2, 0, 1)])
    unknown = torch.from_numpy(start.astype(np.float32)).to(device)
    for _ in range(OUTER_ROUNDS):
        sums = accumulate(crops_u8, scales, unknown)
        unknown = solve(unknown, sums, free, len(crops_u8), INNER_ROUNDS)
        unknown[0].clamp_(1.0, 1 / LEAST_KEPT)
    kept = np.asarray(1 / unknown[0].cpu().numpy(), np.float32)
    added = unknown[1:].cpu().numpy().transpose(1, 2, 0) * kept[..., None]
    return added.astype(np.float32), kept.astype(np.float32)


def to_mark(added: FloatArray, kept: FloatArray) -> Mark:
    """`a` (h, w, 3) and `b` (h, w) as a layer, with straight alpha; colours cut to [0, 1].

    >>> mark = to_mark(np.full((1, 1, 3), 0.2, np.float32), np.full((1, 1), 0.6, np.float32))
    >>> round(float(mark.alpha[0, 0]), 3), round(float(mark.rgb[0, 0, 0]), 3)
    (0.4, 0.5)
    """
    alpha = np.clip(1 - kept, 0, 1)
    # A pixel that was made lighter or darker cannot have been covered by less than this.
    least = np.clip(added.max(axis=2), 0, 1)
    alpha = np.where(np.maximum(alpha, least) < LEAST_OPACITY, 0, np.maximum(alpha, least))
    rgb = np.where(alpha[..., None] > 0, np.clip(added / np.maximum(alpha, 1e-3)[..., None], 0, 1), 0)
    return Mark(alpha=alpha.astype(np.float32), rgb=rgb.astype(np.float32), kind=ESTIMATED)
