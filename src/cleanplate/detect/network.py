"""Finding marks with the finder network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cleanplate.detect.mask import STRONG, WEAK, detect_from_probability
from cleanplate.images.tensor import Layers, fetch_batch, resize, resize_to_long_side, stage_batch
from cleanplate.models.request import Attempt, Request
from cleanplate.models.tiled import cut_shape, list_tiles, predict_in_tiles
from cleanplate.structures import Detection, FloatArray, Photo

#: The longer edge at which photographs are looked at. Source: the size that the finder is trained for.
WORKING_SIZE_PX = 1024
BYTES_BY_PIXEL = 3 + 4 * 4


@dataclass(frozen=True, eq=False)
class NetworkDetector:
    """Finds marks with a finder network (its contract is in `models/nets/finder`).

    network: on `device`, in evaluation mode. fingerprint: of its weights. working_size_px: photographs with a
    longer edge are looked at in this size, smaller ones as they are. strong, weak: see `threshold_mask`.
    """

    network: Any
    device: torch.device
    fingerprint: str
    working_size_px: int = WORKING_SIZE_PX
    strong: float = STRONG
    weak: float = WEAK

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:
        """One Detection a photograph, in order, or what ended that photograph alone."""
        stride = int(self.network.stride)
        places: dict[tuple[int, int], list[int]] = defaultdict(list)
        looked_at: list[NDArray[np.uint8]] = []
        for place, photo in enumerate(photos):
            small = resize_to_long_side(photo.rgb_u8, self.working_size_px)
            looked_at.append(small)
            height, width = small.shape[:2]
            places[(height + -height % stride, width + -width % stride)].append(place)
        found: dict[int, Detection | Exception] = {}
        for shape, group in places.items():
            request = self._ask([looked_at[place] for place in group], shape)
            answers = attempt(request)
            for place, probability in zip(group, answers, strict=True):
                found[place] = self._finish(photos[place], probability)
        return [found[place] for place in range(len(photos))]

    def _ask(
        self, pictures: Sequence[NDArray[np.uint8]], shape: tuple[int, int]
    ) -> Request[NDArray[np.uint8], FloatArray]:
        return Request(
            stage="detect",
            network=self.network,
            items=pictures,
            shape=lambda batch, tile: (batch, 3, *cut_shape(shape, tile)),
            run=lambda items, tile: self._run(items, shape, tile),
            tiles=list_tiles(shape),
            item_bytes=shape[0] * shape[1] * BYTES_BY_PIXEL,
        )

    def _run(
        self, pictures: Sequence[NDArray[np.uint8]], shape: tuple[int, int], tile: int | None
    ) -> list[FloatArray]:
        """(h, w) float32 probabilities, at the size that was looked at.

        In tiles the network does not see the whole photograph, on which its answer depends.
        """
        layers = [[picture] for picture in pictures]
        if tile is None:
            found = self._predict(layers, shape)
        else:
            found = predict_in_tiles(self._predict, layers, shape, tile)
        return [planes[..., 0] for planes in found]

    def _predict(self, layers: Sequence[Layers], shape: tuple[int, int]) -> list[FloatArray]:
        """(h, w, 1) float32 probabilities."""
        with torch.no_grad(), stage_batch(layers, *shape, device=self.device) as batch:
            probability = torch.sigmoid(self.network(batch))
            return fetch_batch(probability, [picture.shape[:2] for (picture,) in layers])

    def _finish(self, photo: Photo, probability: FloatArray | Exception) -> Detection | Exception:
        if isinstance(probability, Exception):
            return probability
        at_native_size = resize(np.ascontiguousarray(probability), photo.height, photo.width)
        return detect_from_probability(
            np.asarray(at_native_size, np.float32), strong=self.strong, weak=self.weak
        )
