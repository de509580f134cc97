"""Layers whose norms are folded in a copy for one use: their own weights stay as they were stored."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from cleanplate.models.nets.fourier import NormedConvolution

#: From a layer to what is run in its place, once.
Lend = Callable[[NormedConvolution], NormedConvolution]


def keep(layer: NormedConvolution) -> NormedConvolution:
    """The layer itself: for weights that are in memory anyway."""
    return layer


def fold_copy(layer: NormedConvolution) -> NormedConvolution:
    """A copy with its norms folded, whose weights are all new: the same numbers as folded in place."""
    # deepcopy takes what its memo has for an object's id instead of copying it: no data is copied.
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*layer.parameters(), *layer.buffers())}
    folded = copy.deepcopy(layer, shared)
    folded.fold_norms()
    return folded
