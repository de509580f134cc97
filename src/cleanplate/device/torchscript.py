"""Running other people's TorchScript without torch's second thoughts.

Its default executor watches a program's first call and compiles it at the second, for that shape; crops have
many shapes, so that it would compile again and again. What it gains is less than that (docs/benchmarks.md).
"""

from __future__ import annotations

from typing import Any

import torch


def call_plainly(script: Any) -> Any:
    """A callable that runs a loaded TorchScript as it is written, compiling nothing.

    The switch is torch's own, for the calling thread, and is set back after each call.

    >>> call_plainly(torch.negative)(torch.ones(2)).tolist()
    [-1.0, -1.0]
    """

    def run(*inputs: Any) -> Any:
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]  # torch's stubs leave it out
            return script(*inputs)

    return run
