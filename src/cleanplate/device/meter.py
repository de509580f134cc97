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
from functools import cache
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

Result = TypeVar("Result")

#: torch's CUDA allocator hands out multiples of this; counting alike makes the figures comparable.
ROUNDING_BYTES = 512

#: Operations in place that may need more storage than there was.
RESIZING = {"aten::resize_", "aten::resize_as_", "aten::set_"}

#: By thread, the mode that has been entered last.
_innermost = threading.local()


class Fault(Protocol):
    """Decides about failures: called before each allocation with its number, from 1, and its bytes; may
    raise."""

    def __call__(self, number: int, size_bytes: int) -> None: ...


class Taken(NamedTuple):
    """peak_bytes: the most at once, of a call. ended_bytes, ended_allocations: all that ended with it."""

    peak_bytes: int
    ended_bytes: int
    ended_allocations: int


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
        self._taken: weakref.WeakKeyDictionary[Any, dict[Any, Taken]] = weakref.WeakKeyDictionary()

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
            with _MeteringMode(self) as mode, _as_innermost(mode):
                yield
        finally:
            self._threads.inside = False

    def recall(self, function: Callable[[Tensor], Any], x: Tensor) -> Taken | None:
        """What `function` took with an input like x; None where it has not been seen. See `call_alike`."""
        return self._taken.get(function, {}).get(_describe(function, x))

    def remember(self, function: Callable[[Tensor], Any], x: Tensor, taken: Taken) -> None:
        """Keep what `function` took, as long as it lives."""
        self._taken.setdefault(function, {})[_describe(function, x)] = taken

    def summarise(self) -> Taken:
        """What has been metered since the beginning, without what is still alive."""
        with self._lock:
            self._settle()
            return Taken(
                self._peak_bytes, self._total_bytes - self._live_bytes, self._allocations - len(self._live)
            )

    @contextmanager
    def taking(self, taken: Taken) -> Iterator[None]:
        """Count what is inside, which must be `repeating`, as having taken so much.

        Raises torch.OutOfMemoryError where that is past the budget.
        """
        with self._lock:
            self._settle()
            total, allocations = self._total_bytes, self._allocations
            self._allocate(taken.peak_bytes)
            self._total_bytes = total + taken.ended_bytes
            self._allocations = allocations + taken.ended_allocations
        try:
            yield
        finally:
            with self._lock:
                self._live_bytes -= taken.peak_bytes

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


@contextmanager
def repeating(again: bool = True) -> Iterator[None]:
    """What this thread does inside repeats what was metered before, and is not looked at again.

    again: False for the first time, which is. For the rounds of solvers, thousands of small operations: to
    look at one takes as long as to do it. A round must allocate what the first one did, and leave nothing
    that is new: what lives on is changed in place. A meter whose failures are arranged looks at all.

    >>> meter = StorageMeter()
    >>> with meter.metering():
    ...     total = torch.zeros(128)
    ...     for number in range(3):
    ...         with repeating(number > 0):
    ...             total += torch.ones(128)
    >>> meter.live_bytes, meter.peak_bytes, meter.allocations
    (512, 1024, 2)
    """
    mode = getattr(_innermost, "mode", None)
    if mode is None or not again or mode.meter.fault is not None:
        yield
        return
    with _as_innermost(None):
        mode.__exit__(None, None, None)
        try:
            yield
        finally:
            mode.__enter__()


def call_alike(function: Callable[[Tensor], Result], x: Tensor) -> Result:
    """`function(x)`, which allocates alike for inputs alike: a network, say.

    The first time that a meter sees it with such an input, operations are metered one by one; from then on
    all together as one: what it took at most then, while it runs, and after it what it returns (a tensor, or
    a dict, list or tuple of some). A meter whose failures are arranged looks at every one, always.

    >>> meter, network = StorageMeter(), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Softplus())
    >>> with torch.no_grad(), meter.metering():
    ...     for _ in range(3):
    ...         y = call_alike(network, torch.ones(128))
    ...     meter.reset_peak()
    ...     y = call_alike(network, torch.ones(128))
    >>> meter.live_bytes, meter.peak_bytes
    (512, 2048)
    """
    mode = getattr(_innermost, "mode", None)
    if mode is None or mode.meter.fault is not None:
        return function(x)
    meter: StorageMeter = mode.meter
    taken = meter.recall(function, x)
    if taken is None:
        own = StorageMeter(meter.device_type)
        with own.metering():
            result = function(x)
        meter.remember(function, x, own.summarise())
        return result
    with meter.taking(taken), repeating():
        result = function(x)
    for part in _list_tensors(result):
        meter.note(part, (x,), {})
    return result


@contextmanager
def _as_innermost(mode: _MeteringMode | None) -> Iterator[None]:
    """What `repeating` leaves for a while."""
    before = getattr(_innermost, "mode", None)
    _innermost.mode = mode
    try:
        yield
    finally:
        _innermost.mode = before


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
        if _makes_nothing(func):
            return result
        if isinstance(result, Tensor):
            self.meter.note(result, args, named)
        elif isinstance(result, (tuple, list)):
            for part in result:
                if isinstance(part, Tensor):
                    self.meter.note(part, args, named)
        return result


def _describe(function: Callable[[Tensor], Any], x: Tensor) -> tuple[Any, ...]:
    """All on which it depends what a function allocates."""
    weights = next(function.parameters(), None) if isinstance(function, nn.Module) else None
    return tuple(x.shape), x.stride(), x.dtype, None if weights is None else weights.dtype


def _list_tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (dict, list, tuple)):
        for part in result.values() if isinstance(result, dict) else result:
            yield from _list_tensors(part)


@cache
def _makes_nothing(operation: Any) -> bool:
    """Whether an operation's outputs are views of its inputs, or inputs changed in place, by its schema.

    >>> aten = torch.ops.aten
    >>> [_makes_nothing(made) for made in (aten.relu_.default, aten.view.default, aten.relu.default)]
    [True, True, False]
    """
    schema = operation._schema
    aliases = [output.alias_info for output in schema.returns]
    if not aliases or None in aliases or schema.name in RESIZING:
        return False
    return schema.name.endswith("_") or not any(alias.is_write for alias in aliases)


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
