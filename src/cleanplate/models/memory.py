"""How many bytes a network takes at most for an input's shape, told without allocating any.

The network runs on torch's `meta` device, which computes shapes only, under the meter that also counts real
runs on the CPU: the same operations make and drop the same storages. What no meter sees are the workspaces of
single kernels; the guard corrects for them on a real card.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import sys
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cleanplate.device.meter import StorageMeter
from cleanplate.device.notebook import Notebook


def trace_peak_bytes(network: nn.Module, shape: Sequence[int], dtype: torch.dtype | None = None) -> int:
    """Most bytes alive at once while `network` runs on one input, the input counted and the weights not.

    network: takes one tensor of `shape` (N, C, H, W); it is copied to the `meta` device without its data,
    and is itself not touched. dtype: of the input; None: float32, as `images.tensor` lays pictures.
    Raises NotImplementedError or RuntimeError where the network cannot run without data.

    >>> trace_peak_bytes(nn.Conv2d(1, 1, 1), (1, 1, 16, 16))
    2048
    """
    return _run_on_meta(_copy_to_meta(network), shape, dtype)


#: Edges that are predicted in place of smaller ones; the restorer's windows are that large at most.
ROUND_EDGE_PX = 512
#: Edge of the square that is predicted first: crops and photographs as networks see them are smaller.
GENEROUS_EDGE_PX = 2048


class PeakPredictor:
    """Peaks by (network, shape, dtype), each traced once.

    A network that cannot be traced may say what was measured, as `bytes_per_pixel` of its input; otherwise
    its peak is unknown. notes: where peaks are found that another process has traced: the first trace of a
    process makes torch import its compiler, which takes a second and 80 MB.
    """

    def __init__(self, notes: Notebook | None = None) -> None:
        self._notes = notes or Notebook(None)
        self._names: weakref.WeakKeyDictionary[nn.Module, str | None] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._copies: weakref.WeakKeyDictionary[nn.Module, nn.Module | None] = weakref.WeakKeyDictionary()
        self._peaks: weakref.WeakKeyDictionary[nn.Module, dict[Any, int | None]] = weakref.WeakKeyDictionary()

    def predict(self, network: Any, shape: Sequence[int], dtype: torch.dtype | None = None) -> int | None:
        """Most bytes alive at once, or None where that is unknown.

        network: an `nn.Module`, or anything with `bytes_per_pixel`. shape: (N, C, H, W).

        >>> PeakPredictor().predict(nn.ReLU(), (1, 1, 32, 32))
        8192
        """
        if not isinstance(network, nn.Module) or isinstance(network, torch.jit.ScriptModule):
            return _apply_bytes_per_pixel(network, shape)
        key = (tuple(shape), dtype)
        with self._lock:
            peaks = self._peaks.setdefault(network, {})
            if key not in peaks:
                peaks[key] = self._trace(network, shape, dtype)
            return peaks[key]

    def predict_roomy(
        self, network: Any, shape: Sequence[int], dtype: torch.dtype | None = None
    ) -> int | None:
        """The peak of an input as large or larger, of a round shape: it bounds many shapes to come.

        Edges go up to multiples of `ROUND_EDGE_PX`, the batch to a power of two. None where it is unknown, or
        the network takes no such input.

        >>> PeakPredictor().predict_roomy(nn.ReLU(), (3, 1, 16, 600)) == 2 * 4 * 4 * 512 * 1024
        True
        """
        return self._try(network, _round_shape(shape), dtype)

    def predict_generous(
        self, network: Any, shape: Sequence[int], dtype: torch.dtype | None = None
    ) -> int | None:
        """The peak of one input of `GENEROUS_EDGE_PX` both ways: where that much is free, the only trace.

        None where the shape is larger, or of several inputs, and as `predict_roomy`.

        >>> PeakPredictor().predict_generous(nn.ReLU(), (1, 1, 16, 600)) == 2 * 4 * 2048 * 2048
        True
        """
        batch, channels, height, width = shape
        if batch > 1 or max(height, width) > GENEROUS_EDGE_PX:
            return None
        return self._try(network, (1, channels, GENEROUS_EDGE_PX, GENEROUS_EDGE_PX), dtype)

    def _try(self, network: Any, shape: tuple[int, ...], dtype: torch.dtype | None) -> int | None:
        """The peak of a shape that the network may not take: then None."""
        if not isinstance(network, nn.Module) or isinstance(network, torch.jit.ScriptModule):
            return None
        with self._lock:
            peaks = self._peaks.setdefault(network, {})
            key = (shape, dtype)
            if key not in peaks and self._copies.get(network, network) is not None:
                try:
                    peaks[key] = self._trace_strictly(network, shape, dtype)
                except (NotImplementedError, RuntimeError):
                    peaks[key] = None  # it may still take the shape itself
            return peaks.get(key)

    def estimate(self, network: Any, shape: Sequence[int], dtype: torch.dtype | None = None) -> int | None:
        """About how many bytes, where it need not be exact: by pixels, from one item of a round shape.

        So the many shapes of a run need one trace. None where it is unknown.

        >>> PeakPredictor().estimate(nn.ReLU(), (3, 1, 16, 600)) == 2 * 4 * 3 * 16 * 600
        True
        """
        batch, channels, height, width = shape
        item = (1, channels, height, width)
        roomy = self.predict_roomy(network, item, dtype)
        if roomy is None:
            single = self.predict(network, item, dtype)
            return None if single is None else batch * single
        _, _, most_height, most_width = _round_shape(item)
        return roomy * batch * height * width // (most_height * most_width)

    def find_bound(self, network: Any, shape: Sequence[int], dtype: torch.dtype | None = None) -> int | None:
        """The least peak known of an input that is nowhere smaller; None where there is none.

        Less input takes no more memory, and a trace of a deep network takes a tenth of a second.

        >>> predictor, network = PeakPredictor(), nn.ReLU()
        >>> predictor.find_bound(network, (1, 1, 16, 32)), predictor.predict(network, (1, 1, 32, 32))
        (None, 8192)
        >>> predictor.find_bound(network, (1, 1, 16, 32))
        8192
        """
        if not isinstance(network, nn.Module):
            return None
        with self._lock:
            known = self._peaks.get(network, {}).items()
            return min(
                (
                    peak
                    for (other, of_type), peak in known
                    if peak is not None
                    and (of_type, other[1]) == (dtype, shape[1])
                    and all(theirs >= ours for theirs, ours in zip(other, shape, strict=True))
                ),
                default=None,
            )

    def _trace(self, network: nn.Module, shape: Sequence[int], dtype: torch.dtype | None) -> int | None:
        try:
            if self._copies.get(network, network) is not None:
                return self._trace_strictly(network, shape, dtype)
        except (NotImplementedError, RuntimeError):
            # No shape-only kernel, or a decision that depends on values: it will never work.
            self._copies[network] = None
        return _apply_bytes_per_pixel(network, shape)

    def _trace_strictly(self, network: nn.Module, shape: Sequence[int], dtype: torch.dtype | None) -> int:
        """Raises NotImplementedError or RuntimeError where the network cannot run on `meta`."""
        name = self._name(network, shape, dtype)
        known = None if name is None else self._notes.get(name)
        if known is not None:
            return int(known)
        meta = self._copies.get(network)
        if meta is None:
            meta = self._copies[network] = _copy_to_meta(network)
        peak = _run_on_meta(meta, shape, dtype)
        if name is not None:
            self._notes.put(name, peak)
        return peak

    def _name(self, network: nn.Module, shape: Sequence[int], dtype: torch.dtype | None) -> str | None:
        if network not in self._names:
            self._names[network] = identify_network(network)
        identity = self._names[network]
        size = "x".join(map(str, shape))
        return None if identity is None else f"peak of {identity} at {size} {dtype or 'own type'}"


def _round_shape(shape: Sequence[int]) -> tuple[int, int, int, int]:
    batch, channels, height, width = shape
    return (
        1 << (batch - 1).bit_length(),
        channels,
        height + -height % ROUND_EDGE_PX,
        width + -width % ROUND_EDGE_PX,
    )


def identify_network(network: nn.Module) -> str | None:
    """A checksum of what a network's memory depends on: its parts, their code, torch; no weights' values.

    None where the code of a part is in no file.

    >>> identify_network(nn.Conv2d(3, 3, 1)) == identify_network(nn.Conv2d(3, 3, 1))
    True
    """
    digest = hashlib.sha256(f"{torch.__version__}\n{network!r}\n".encode())
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {tensor.stride()}\n".encode())
    for code in sorted(_list_code(network)):
        try:
            file = inspect.getsourcefile(sys.modules[code])
            digest.update(Path(file or "").read_bytes())
        except (KeyError, TypeError, OSError):
            return None
    return digest.hexdigest()[:16]


def _list_code(network: nn.Module) -> set[str]:
    """Names of the modules with the code of a network's parts, and of those beside them that they use."""
    found: set[str] = set()
    waiting = [type(part).__module__ for part in network.modules()]
    while waiting:
        name = waiting.pop()
        if name in found or name.split(".")[0] == "torch":
            continue
        found.add(name)
        beside = name.rpartition(".")[0] + "."
        used = (getattr(value, "__module__", None) for value in vars(sys.modules.get(name, torch)).values())
        waiting += [other for other in used if isinstance(other, str) and other.startswith(beside)]
    return found


def _copy_to_meta(network: nn.Module) -> nn.Module:
    """A copy whose weights have shapes, strides and no data."""
    tensors = [*network.parameters(), *network.buffers()]
    # deepcopy takes what its memo has for an object's id instead of copying it: no data is copied.
    memo: dict[int, Any] = {}
    for tensor in tensors:
        bare = torch.empty_like(tensor, device="meta", requires_grad=False)
        memo[id(tensor)] = (
            nn.Parameter(bare, requires_grad=False) if isinstance(tensor, nn.Parameter) else bare
        )
    return copy.deepcopy(network, memo)


def _run_on_meta(network: nn.Module, shape: Sequence[int], dtype: torch.dtype | None) -> int:
    weights = [w for w in network.parameters() if w.is_floating_point()]
    meter = StorageMeter("meta")
    with torch.no_grad(), meter.metering():
        x = torch.empty(
            tuple(shape), dtype=dtype or torch.float32, device="meta", memory_format=_find_layout(weights)
        )
        y = network(x)
        del x, y
    return meter.peak_bytes


def _find_layout(weights: Sequence[Tensor]) -> torch.memory_format:
    """Channels last where the network's weights are: its inputs then are too."""
    for weight in weights:
        if weight.dim() == 4 and not weight.is_contiguous():
            return torch.channels_last
    return torch.contiguous_format


def _apply_bytes_per_pixel(network: Any, shape: Sequence[int]) -> int | None:
    measured = getattr(network, "bytes_per_pixel", None)
    batch, _, height, width = shape
    return None if measured is None else int(measured * batch * height * width)
