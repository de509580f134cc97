"""What a restorer says of crops, shown as a run shows them (`remove/restore`): enlarged, as each says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cleanplate.images.tensor import pad_to_stride, resize, resize_for_network, unpad
from cleanplate.models.nets.restorer import Restorer
from cleanplate.remove.base import Crop
from cleanplate.remove.candidates import Prediction
from cleanplate.structures import FloatArray


@torch.no_grad()
def predict_crops(restorer: nn.Module, crops: Sequence[Crop]) -> list[Prediction]:
    """One prediction a crop, at the crop's own size; crops that are seen in one size are asked together.

    restorer: see `models/nets/restorer`, on any device.
    """
    seen = [_show(crop) for crop in crops]
    sizes: dict[torch.Size, list[int]] = defaultdict(list)
    for place, image in enumerate(seen):
        sizes[image.shape].append(place)
    device = next((parameter.device for parameter in restorer.parameters()), torch.device("cpu"))
    predictions: dict[int, Prediction] = {}
    for size, places in sizes.items():
        batch = pad_to_stride(torch.stack([seen[place] for place in places]), Restorer.stride).to(device)
        planes = {name: unpad(plane.float().cpu(), *size[1:]) for name, plane in restorer(batch).items()}
        for number, place in enumerate(places):
            shape = crops[place].mask.shape
            predictions[place] = Prediction(
                matte=_read(planes["matte"][number].sigmoid(), shape)[..., 0],
                opacity=_read(planes["opacity"][number], shape)[..., 0],
                background=_read(planes["background"][number], shape).clip(0, 1),
            )
    return [predictions[place] for place in range(len(crops))]


def _show(crop: Crop) -> Tensor:
    """(4, h, w): picture and finder's probability, at the size at which the restorer sees them."""
    height, width = (round(edge * crop.enlarged) for edge in crop.mask.shape)
    planes = [resize_for_network(plane, height, width) for plane in (crop.rgb, crop.probability)]
    return torch.from_numpy(np.ascontiguousarray(np.dstack(planes).transpose(2, 0, 1), np.float32))


def _read(planes: Tensor, shape: tuple[int, ...]) -> FloatArray:
    """(h, w, C) at a crop's own size."""
    return np.stack([resize(plane.numpy(), *shape) for plane in planes], axis=2).astype(np.float32)
