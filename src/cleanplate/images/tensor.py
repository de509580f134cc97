"""The one crossing between pictures, (H, W, 3) arrays, and batches, (N, 3, H, W) tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor
from torch.nn import functional

from cleanplate.device.staging import find_staging

#: Arrays (H, W) or (H, W, C) that lie side by side along the channels of one picture.
Layers = Sequence[NDArray[Any]]


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
    planes = moved.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return planes if most == 1 else planes / most


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


@contextmanager
def stage_batch(
    pictures: Sequence[Layers], height: int, width: int, *, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """(N, C, height, width) float32 in [0, 1] on `device`, channels last in memory; for the block only.

    pictures: layers of one size, at most height x width; what is missing to it is filled by repeating the
    last rows and columns. uint8 and uint16 are divided by their largest value; floats are taken as they are.
    The memory is used again where policy has said so (`device.staging`).

    >>> with stage_batch([[np.full((2, 2, 3), 255, np.uint8)]], 2, 4) as batch:
    ...     tuple(batch.shape), float(batch.min())
    ((1, 3, 2, 4), 1.0)
    """
    first = pictures[0]
    channels = sum(layer.shape[2] if layer.ndim == 3 else 1 for layer in first)
    staging = find_staging(device)
    # A card divides more quickly than bytes four times as many go over.
    in_bytes = staging.device.type != "cpu" and all(
        layer.dtype == np.uint8 for layers in pictures for layer in layers
    )
    dtype = torch.uint8 if in_bytes else torch.float32
    shape = (len(pictures), height, width, channels)
    with staging.upload(shape, dtype, lambda place, part: _lay(pictures[place], part)) as batch:
        planes = batch.permute(0, 3, 1, 2)
        yield planes.to(torch.float32).div_(255) if in_bytes else planes


def fetch_batch(batch: Tensor, sizes: Sequence[tuple[int, int]]) -> list[NDArray[np.float32]]:
    """(h, w, C) float32 pictures with memory of their own, from (N, C, H, W) on any device.

    sizes: (h, w) of each picture, its first rows and columns.

    >>> [picture.shape for picture in fetch_batch(torch.zeros(2, 3, 8, 8), [(5, 8), (8, 6)])]
    [(5, 8, 3), (8, 6, 3)]
    """
    with find_staging(batch.device).download(batch.detach().float()) as values:
        return [
            np.array(value[:, :height, :width].transpose(1, 2, 0), order="C")
            for value, (height, width) in zip(values, sizes, strict=True)
        ]


def _lay(layers: Layers, part: NDArray[Any]) -> None:
    """Write a picture's layers into (H, W, C), its last row and column repeated to the end."""
    height, width = layers[0].shape[:2]
    channel = 0
    for layer in layers:
        planes = layer if layer.ndim == 3 else layer[:, :, None]
        target = part[:height, :width, channel : channel + planes.shape[2]]
        channel += planes.shape[2]
        if planes.dtype in (np.uint8, np.uint16) and part.dtype == np.float32:
            np.divide(planes, np.float32(np.iinfo(planes.dtype).max), out=target, dtype=np.float32)
        else:
            target[...] = planes
    part[:height, width:] = part[:height, width - 1 : width]
    part[height:] = part[height - 1 : height]


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


def resize_for_network(picture: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """A picture (H, W[, C]), uint8 or float32 in [0, 1], as networks are shown it at another size, in
    training and after: averaged when it shrinks, cubic when it grows, in its range.

    >>> edge = np.array([[0, 0, 1, 1]], np.float32)
    >>> grown = resize_for_network(edge, 2, 8)
    >>> grown.shape, bool(0 <= grown.min() and grown.max() <= 1)
    ((2, 8), True)
    """
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    resized = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=interpolation)
    return resized if picture.dtype == np.uint8 else np.clip(resized, 0, 1)


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
