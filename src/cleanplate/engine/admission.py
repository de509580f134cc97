"""How large a piece of network work may be: predicted bytes against a budget.

The budget is a share of what is free now, or the user's limit. Below it there may be a ceiling for a stage:
it comes down when memory ran out all the same, and goes up again after a calm while.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from cleanplate.device.memory import DeviceMemory, MemorySnapshot
from cleanplate.device.notebook import Notebook
from cleanplate.models.memory import PeakPredictor, identify_network
from cleanplate.models.request import Request

#: Share of the free memory that work may take; the rest is for what no prediction sees.
BUDGET_SHARE = 0.8
#: On a card, reserved over predicted bytes until the first run of a network has been measured.
UNMEASURED_FACTOR = 1.3
#: Limits of the measured factor: below, the cache held the work already; above, something else took memory.
LEAST_FACTOR, MOST_FACTOR = 1.0, 4.0
#: For a network about which nothing is known. Source: LaMa, the largest in use here, takes 900 a pixel.
UNKNOWN_BYTES_PER_PIXEL = 1000
#: Of a limit, a piece that is known to take at most this much need not be predicted more closely: the rest
#: is as much as queues may take.
PLANNED_SHARE = 0.75
#: Pieces in a row without trouble before a lowered ceiling doubles.
CALM_PIECES = 8


@dataclass(frozen=True, slots=True)
class Size:
    """A piece of work. batch: items at once. tile: edge in pixels, None: whole."""

    batch: int
    tile: int | None


class Admission:
    """Knows budget, ceilings and factors; decides sizes. One thread's.

    limit_bytes: of live tensors and queued pictures, None: `BUDGET_SHARE` of what is free. queued_bytes:
    tells what pictures in queues take now. notes: what is remembered between processes.
    """

    def __init__(
        self,
        memory: DeviceMemory,
        limit_bytes: int | None,
        queued_bytes: Callable[[], int] = lambda: 0,
        notes: Notebook | None = None,
    ) -> None:
        self.memory = memory
        self.limit_bytes = limit_bytes
        self.queued_bytes = queued_bytes
        self.notes = notes or Notebook(None)
        self.predictor = PeakPredictor(self.notes)
        self._factors: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        self._ceilings: dict[str, int] = {}
        self._calm: dict[str, int] = {}
        self._starts_smallest = False

    @property
    def on_host(self) -> bool:
        """Whether networks work in the host's own memory."""
        return self.memory.device.type == "cpu"

    def read_budget(self) -> int:
        """Bytes that the next piece of work may take above what is taken now; may be negative under a
        limit."""
        snapshot = self.memory.read()
        budget = int(BUDGET_SHARE * _usable_bytes(snapshot))
        if self.limit_bytes is None:
            return budget
        queued = self.queued_bytes() if self.on_host else 0
        return min(budget, self.limit_bytes - (snapshot.allocated_bytes or 0) - queued)

    def predict_cost(self, request: Request[Any, Any], size: Size) -> int:
        """Peak bytes of a piece, with what a measured run has shown the prediction to miss."""
        staging = self._count_staging(request, size)
        if request.network is None:
            return staging
        shape = request.shape(size.batch, size.tile)
        predicted = self.predictor.predict(request.network, shape)
        if predicted is None:
            number, _, height, width = shape
            return staging + UNKNOWN_BYTES_PER_PIXEL * number * height * width
        return staging + int(predicted * self._factor(request.network))

    def fits(self, request: Request[Any, Any], size: Size, budget_bytes: int) -> bool:
        """Whether a piece fits into a budget.

        What a larger shape's prediction shows already is not predicted again; and much larger and then round
        shapes are tried first, so that there is something to show. A run sees many shapes and predicts a few.
        """
        if request.network is not None:
            shape = request.shape(size.batch, size.tile)
            left = (budget_bytes - self._count_staging(request, size)) / self._factor(request.network)
            predictor = self.predictor
            for find in (predictor.find_bound, predictor.predict_generous, predictor.predict_roomy):
                bound = find(request.network, shape)
                if bound is not None and bound <= left:
                    return True
        return self.predict_cost(request, size) <= budget_bytes

    def plan_cost(self, request: Request[Any, Any], size: Size, limit_bytes: int) -> int:
        """Bytes that a piece takes at most, by what larger ones take where that is far from the limit."""
        if request.network is not None:
            bound = self.predictor.find_bound(request.network, request.shape(size.batch, size.tile))
            if bound is not None:
                cost = self._count_staging(request, size) + int(bound * self._factor(request.network))
                if cost <= PLANNED_SHARE * limit_bytes:
                    return cost
        return self.predict_cost(request, size)

    def choose(self, request: Request[Any, Any], sizes: Sequence[Size]) -> int:
        """Index of the first size within budget and ceiling, else of the last, which is for the caller to
        try. Batches that are no quicker than smaller ones are passed over."""
        budget = self.read_budget()
        if self._starts_smallest:
            self._ceilings.setdefault(request.stage, 0)
        allowed = min(budget, self._ceilings.get(request.stage, budget))
        for index, size in enumerate(sizes[:-1]):
            if self._is_quick(request, size) and self.fits(request, size, allowed):
                return index
        return len(sizes) - 1

    def is_hopeless(self, cost_bytes: int) -> bool:
        """Whether work would not even fit into all that is left of the host's memory.

        There the system ends the whole process instead of raising an error; on a card trying costs nothing.
        """
        if not self.on_host or cost_bytes <= _usable_bytes(self.memory.read()):
            return False
        self.memory.release()
        return cost_bytes > _usable_bytes(self.memory.read())

    def lower(self, request: Request[Any, Any], size: Size) -> None:
        """Memory ran out: do not begin this stage's work above `size` for a while."""
        self._ceilings[request.stage] = self.predict_cost(request, size)
        self._calm[request.stage] = 0
        if not self.on_host and request.network is not None:
            self._forget_factor(request.network)  # it said that the work would fit: it is measured again

    def lower_all(self) -> None:
        """Begin every stage at its smallest size for a while."""
        self._starts_smallest = True
        self._ceilings = dict.fromkeys(self._ceilings, 0)
        self._calm.clear()

    def note_success(self, request: Request[Any, Any], size: Size) -> bool:
        """Count a piece that went well; True when the stage's ceiling has gone up."""
        stage = request.stage
        if stage not in self._ceilings:
            return False
        self._calm[stage] = self._calm.get(stage, 0) + 1
        if self._calm[stage] < CALM_PIECES:
            return False
        self._starts_smallest = False
        self._calm[stage] = 0
        self._ceilings[stage] = 2 * max(self._ceilings[stage], self.predict_cost(request, size), 1)
        if self._ceilings[stage] >= self.read_budget():
            del self._ceilings[stage]
        return True

    def wants_measuring(self, network: Any) -> bool:
        """Whether a network has never run on such a card, as far as is known here."""
        return not self.on_host and network is not None and self._find_factor(network) is None

    def note_measured(self, request: Request[Any, Any], size: Size, held_bytes: int) -> None:
        """Remember, for this card, how many bytes a run held against the uncorrected prediction."""
        predicted = self.predictor.predict(request.network, request.shape(size.batch, size.tile))
        factor = held_bytes / predicted if predicted else LEAST_FACTOR
        self._factors[request.network] = factor = min(MOST_FACTOR, max(LEAST_FACTOR, factor))
        name = self._name_factor(request.network)
        if name is not None:
            self.notes.put(name, factor)

    def _is_quick(self, request: Request[Any, Any], size: Size) -> bool:
        """Whether a batch takes no more than what is quickest on this memory, by a rough estimate."""
        most = self.memory.quickest_bytes
        if most is None or size.batch == 1:
            return True
        estimate = self.predictor.estimate(request.network, request.shape(size.batch, size.tile))
        return estimate is None or estimate <= most

    def _count_staging(self, request: Request[Any, Any], size: Size) -> int:
        return request.item_bytes * size.batch if self.on_host else 0

    def _name_factor(self, network: Any) -> str | None:
        card = self.memory.identity
        identity = identify_network(network) if isinstance(network, nn.Module) else None
        return None if card is None or identity is None else f"factor of {identity} on {card}"

    def _find_factor(self, network: Any) -> float | None:
        """What was measured on this card, in this process or an earlier one."""
        if network not in self._factors:
            name = self._name_factor(network)
            remembered = None if name is None else self.notes.get(name)
            if remembered is None:
                return None
            self._factors[network] = min(MOST_FACTOR, max(LEAST_FACTOR, remembered))
        return self._factors[network]

    def _forget_factor(self, network: Any) -> None:
        self._factors.pop(network, None)
        name = self._name_factor(network)
        if name is not None:
            self.notes.forget(name)

    def _factor(self, network: Any) -> float:
        return 1.0 if self.on_host else self._find_factor(network) or UNMEASURED_FACTOR


def list_sizes(count: int, tiles: Sequence[int]) -> list[Size]:
    """Every size that `count` items may be cut into, largest first: batches halved, then one item in tiles.

    >>> [(size.batch, size.tile) for size in list_sizes(5, (512, 256))]
    [(5, None), (3, None), (2, None), (1, None), (1, 512), (1, 256)]
    """
    batches = [count]
    while batches[-1] > 1:
        batches.append((batches[-1] + 1) // 2)
    return [*(Size(batch, None) for batch in batches), *(Size(1, tile) for tile in tiles)]


def _usable_bytes(snapshot: MemorySnapshot) -> int:
    """What work could get: the free memory, and what the allocator holds idle."""
    return (snapshot.free_bytes or 0) + snapshot.idle_bytes
