"""Counts the bytes of live tensors, exactly: every storage once, from the operation that made it to its end.

A dispatch mode sees what each operation returns; a weak reference to its storage tells when that has gone.
Modes belong to one thread, so each thread that works enters `StorageMeter.metering()`; the meter is shared.
Under `inference_mode` compound operations are opaque to dispatch modes: use `no_grad`.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

#: torch's CUDA allocator hands out multiples of this; counting alike makes the figures comparable.
ROUNDING_BYTES = 512


class Fault(Protocol):
    """Decides about failures: called before each allocation with its number, from 1, and its bytes; may
    raise."""

    def __call__(self, number: int, size_bytes: int) -> None: ...


class StorageMeter:
    """Live, peak and total bytes of tensors on one kind of device, over all threads.

    device_type: which tensors count ("cpu", "meta"). budget_bytes: past it, and exactly there, an allocation
    raises `torch.OutOfMemoryError`. fault: see `Fault`. allow: asked before each allocation whether so many
    bytes may be alive; where not, it fails as past the budget. Storages that came from outside are not
    counted.

    >>> meter = StorageMeter()
    >>> with meter.metering():
    ...     x = torch.zeros(128)
    ...     y = x[2:]
    >>> meter.live_bytes
    512
    """

    def __init__(
        self,
        device_type: str = "cpu",
        *,
        budget_bytes: int | None = None,
        fault: Fault | None = None,
        allow: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self.device_type = device_type
        self.budget_bytes = budget_bytes
        self.fault = fault
        self.allow = allow
        self._lock = threading.Lock()
        self._live: dict[int, _Reference] = {}
        # The end of a storage can come at any moment, in any thread, even while the lock is held here: it is
        # only noted then (a deque's append is atomic), and counted at the next look.
        self._ended: deque[_Reference] = deque()
        self._live_bytes = self._peak_bytes = self._total_bytes = self._allocations = 0
        self._threads = threading.local()

    @property
    def live_bytes(self) -> int:
        """Bytes of the storages that are alive now."""
        with self._lock:
            self._settle()
            return self._live_bytes

    @property
    def peak_bytes(self) -> int:
        """The most that were alive at once since the last `reset_peak`."""
        with self._lock:
            return self._peak_bytes

    @property
    def total_bytes(self) -> int:
        """Bytes allocated since the beginning, freed or not."""
        with self._lock:
            return self._total_bytes

    @property
    def allocations(self) -> int:
        """How many allocations there have been, failed ones included."""
        with self._lock:
            return self._allocations

    def reset_peak(self) -> None:
        """Measure the peak from what is alive now."""
        with self._lock:
            self._settle()
            self._peak_bytes = self._live_bytes

    @contextmanager
    def metering(self) -> Iterator[None]:
        """Count what this thread allocates inside the block. Blocks may be nested: nothing counts twice."""
        if getattr(self._threads, "inside", False):
            yield
            return
        self._threads.inside = True
        try:
            with _MeteringMode(self):
                yield
        finally:
            self._threads.inside = False

    def note(self, tensor: Tensor, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        """Count an operation's output, unless its storage is known or one of the inputs'.

        Raises torch.OutOfMemoryError past the budget, and what `fault` raises; the tensor is then not
        counted.
        """
        if tensor.device.type != self.device_type or tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, _rounded(storage.nbytes())
        with self._lock:
            self._settle()
            known = self._live.get(key)
            if known is not None and known.size >= size:
                return
            grown = size - (known.size if known is not None else 0)
            if known is None and _is_among(key, inputs, named):
                return
            self._allocate(grown)
            reference = _Reference(storage, self._ended.append)
            reference.key, reference.size = key, size
            self._live[key] = reference

    def _allocate(self, size: int) -> None:
        """Count `size` new bytes, or raise."""
        if size == 0:
            return
        self._allocations += 1
        if self.fault is not None:
            self.fault(self._allocations, size)
        if self.budget_bytes is not None and self._live_bytes + size > self.budget_bytes:
            raise torch.OutOfMemoryError(
                f"The meter is out of memory. Tried to allocate {size} bytes. {self._live_bytes} of "
                f"{self.budget_bytes} bytes are in use."
            )
        if not self.allow(self._live_bytes + size):
            raise torch.OutOfMemoryError(
                f"The limit is reached. Tried to allocate {size} bytes beside {self._live_bytes} that are in "
                "use and the pictures that wait."
            )
        self._live_bytes += size
        self._total_bytes += size
        self._peak_bytes = max(self._peak_bytes, self._live_bytes)

    def _settle(self) -> None:
        """Take off what has ended since the last look."""
        while self._ended:
            reference = self._ended.popleft()
            # A storage that grew has a newer reference under its key; the old one's end says nothing then.
            if self._live.get(reference.key) is reference:
                del self._live[reference.key]
                self._live_bytes -= reference.size


class _Reference(weakref.ref[torch.UntypedStorage]):
    """A weak reference that still knows, at the end, what it was to."""

    __slots__ = ("key", "size")

    key: int
    size: int


class _MeteringMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    """Shows a meter the outputs of every operation of this thread."""

    def __init__(self, meter: StorageMeter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.meter = meter

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; else torch would import its compiler for this: 3 seconds and 80 MB."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        result = func(*args, **named)
        if isinstance(result, Tensor):
            self.meter.note(result, args, named)
        elif isinstance(result, (tuple, list)):
            for part in result:
                if isinstance(part, Tensor):
                    self.meter.note(part, args, named)
        return result


def _rounded(size: int) -> int:
    return -(-size // ROUNDING_BYTES) * ROUNDING_BYTES


def _is_among(key: int, inputs: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    """Whether a storage belongs to one of an operation's inputs (lists of tensors looked into)."""
    for value in (*inputs, *named.values()):
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if (
                isinstance(part, Tensor)
                and part.layout == torch.strided
                and part.untyped_storage()._cdata == key
            ):
                return True
    return False
