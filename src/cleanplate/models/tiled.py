"""A network over pictures larger than what it may see at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cleanplate.images.tensor import Layers
from cleanplate.images.tiles import TileBlend, windows

#: Edges that work may be cut down to where memory is short; multiples of every stride in use.
TILES_PX = (512, 256)
#: What neighbours share, by their edge.
OVERLAP_SHARE = 0.25

#: (pictures, (height, width) that the network is to see) -> (h, w, C) a picture.
Predict = Callable[[Sequence[Layers], tuple[int, int]], list[NDArray[np.float32]]]


def list_tiles(shape: tuple[int, int]) -> tuple[int, ...]:
    """The edges that make less of a network's input of this (height, width), largest first.

    >>> list_tiles((768, 512)), list_tiles((512, 512)), list_tiles((256, 128))
    ((512, 256), (256,), ())
    """
    return tuple(tile for tile in TILES_PX if tile < max(shape))


def cut_shape(shape: tuple[int, int], tile: int | None) -> tuple[int, int]:
    """(height, width) of a tile's input.

    >>> cut_shape((768, 384), 512), cut_shape((768, 384), None)
    ((512, 384), (768, 384))
    """
    return shape if tile is None else (min(tile, shape[0]), min(tile, shape[1]))


def predict_in_tiles(
    predict: Predict, pictures: Sequence[Layers], shape: tuple[int, int], tile: int
) -> list[NDArray[np.float32]]:
    """What `predict` gives for each picture, seen one tile after the other; overlaps fade into each other.

    A network whose answer depends on what is further away than the overlap answers a little differently than
    over the whole: these are pictures that would have failed otherwise.
    """
    return [_predict_one(predict, layers, cut_shape(shape, tile), tile) for layers in pictures]


def _predict_one(predict: Predict, layers: Layers, shape: tuple[int, int], tile: int) -> NDArray[Any]:
    height, width = layers[0].shape[:2]
    overlap = int(tile * OVERLAP_SHARE)
    blend: TileBlend | None = None
    for box in windows(height, width, tile=tile, overlap=overlap):
        (values,) = predict([[layer[box.slices] for layer in layers]], shape)
        if blend is None:
            blend = TileBlend((height, width, values.shape[2]), overlap=overlap)
        blend.add(box, values)
    assert blend is not None  # a picture has pixels
    return blend.result()
