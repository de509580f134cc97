"""How policy reaches network work: as a callable.

Detectors and removers say what they want done as a `Request`; an `Attempt` decides in what pieces. The plain
one below does everything at once. The engine's guard hands in one that predicts, admits, shrinks and retries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Request(Generic[Item, Result]):
    """Equal-shaped network work that may be cut into smaller pieces without changing its results.

    stage: "detect", "restore", "fill": for the journal.
    network: the `torch.nn.Module` that will run, or None where none does (prediction is then `item_bytes`).
    items: inputs that all give the network the same shape.
    shape: (batch, tile) -> shape of the network's input (N, C, H, W); tile None: the items' whole size.
    tiles: tile edges in pixels that `run` accepts, largest first; empty where it cannot tile.
    run: (items, tile) -> one result an item. Called again with fewer items or a smaller tile after it failed.
    item_bytes: host bytes that one item takes besides the network's (staging, results).
    """

    stage: str
    network: Any
    items: Sequence[Item]
    shape: Callable[[int, int | None], tuple[int, int, int, int]]
    run: Callable[[Sequence[Item], int | None], list[Result]]
    tiles: tuple[int, ...] = ()
    item_bytes: int = 0


class Attempt(Protocol):
    """Runs a request; returns for every item its result, or the exception that ended it alone."""

    def __call__(self, request: Request[Item, Result]) -> list[Result | Exception]: ...


def plainly(request: Request[Item, Result]) -> list[Result | Exception]:
    """The attempt without policy: everything at once, errors go through to the caller."""
    return list(request.run(request.items, None))
