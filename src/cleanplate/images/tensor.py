"""The one crossing between pictures, (H, W, 3) arrays, and batches, (N, 3, H, W) tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor
from torch.nn import functional


def to_tensor(pictures: Sequence[NDArray[Any]], *, device: torch.device | str = "cpu") -> Tensor:
    """(N, C, H, W) float32 in [0, 1] on `device`, from equal-shaped (H, W, C) or (H, W) pictures.

    uint8 and uint16 are divided by their largest value; floats are taken as they are, bool as 0 and 1.

    Raises ValueError for no pictures or different shapes.

    >>> to_tensor([np.full((2, 2, 3), 255, np.uint8)]).shape
    torch.Size([1, 3, 2, 2])
    """
    shapes = {picture.shape for picture in pictures}
    if len(shapes) != 1:
        raise ValueError(f"the pictures of a batch must have one shape, not {sorted(shapes) or 'none'}")
    batch = np.stack([picture if picture.ndim == 3 else picture[:, :, None] for picture in pictures])
    most = np.iinfo(batch.dtype).max if batch.dtype in (np.uint8, np.uint16) else 1
    if batch.dtype == np.uint16:
        batch = batch.astype(np.float32)  # torch cannot compute with its own uint16
    moved = torch.from_numpy(np.ascontiguousarray(batch)).to(device)
    return moved.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / most


def from_tensor(batch: Tensor, *, dtype: DTypeLike = np.float32) -> list[NDArray[Any]]:
    """(H, W, C) pictures from (N, C, H, W) values in [0, 1] of any float type and device.

    dtype: float32 gives the values as they are; uint8 and uint16 are clipped and rounded to the nearest.

    >>> from_tensor(torch.full((1, 3, 1, 1), 2.0), dtype=np.uint8)[0].tolist()
    [[[255, 255, 255]]]
    """
    values = batch.detach().to(device="cpu", dtype=torch.float32).permute(0, 2, 3, 1).numpy()
    wanted = np.dtype(dtype)
    if wanted.kind == "f":
        # Copied: a view would keep the whole batch's memory alive as long as any of its pictures.
        return [np.array(value, wanted, order="C") for value in values]
    most = np.iinfo(wanted).max
    return [np.rint(np.clip(value, 0, 1) * most).astype(wanted) for value in values]


def resize_to_long_side(picture: NDArray[Any], long_side: int) -> NDArray[Any]:
    """A picture (H, W[, C]) whose longer edge is at most `long_side` pixels, shape kept; never enlarged.

    >>> resize_to_long_side(np.zeros((100, 400, 3), np.uint8), 200).shape
    (50, 200, 3)
    """
    height, width = picture.shape[:2]
    if max(height, width) <= long_side:
        return picture
    scale = long_side / max(height, width)
    return resize(picture, max(1, round(height * scale)), max(1, round(width * scale)))


def resize(picture: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """A picture (H, W[, C]) of another size: averaged when it shrinks, linear when it grows."""
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def pad_to_stride(batch: Tensor, stride: int) -> Tensor:
    """(N, C, H, W) with its last rows and columns repeated until both edges are multiples of `stride`.

    >>> pad_to_stride(torch.zeros(1, 3, 5, 8), 4).shape
    torch.Size([1, 3, 8, 8])
    """
    height, width = batch.shape[-2:]
    below, right = -height % stride, -width % stride
    if not below and not right:
        return batch
    return functional.pad(batch, (0, right, 0, below), mode="replicate")


def unpad(batch: Tensor, height: int, width: int) -> Tensor:
    """Undo `pad_to_stride`: the first `height` rows and `width` columns.

    >>> unpad(pad_to_stride(torch.zeros(1, 3, 5, 8), 4), 5, 8).shape
    torch.Size([1, 3, 5, 8])
    """
    return batch[..., :height, :width]
