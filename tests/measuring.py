"""What arrays a request really takes, against what it says."""

from __future__ import annotations

import tracemalloc

from cleanplate.models.request import Item, Request, Result


class Measuring:
    """An attempt that measures requests of one stage. measured: (said, taken) bytes of each."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.measured: list[tuple[int, int]] = []

    def __call__(self, request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != self.stage:
            return list(request.run(request.items, None))
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            results = request.run(request.items, None)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.measured.append((request.item_bytes * len(request.items), peak - before))
        return list(results)

    def check(self, *, closely: bool) -> None:
        """None takes more than it says; closely: nor much less, over all."""
        assert self.measured
        assert all(taken <= said for said, taken in self.measured), self.measured
        if closely:
            assert max(taken / said for said, taken in self.measured) > 0.75, self.measured
