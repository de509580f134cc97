"""How policy reaches network work: as a callable.

Detectors and removers say what they want done as a `Request`; an `Attempt` decides in what pieces. The plain
one below does everything at once. The engine's guard hands in one that predicts, admits, shrinks and retries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from cleanplate.device.failures import ErrorKind, classify_error

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Request(Generic[Item, Result]):
    """Equal-shaped network work that may be cut into smaller pieces without changing its results.

    stage: "detect", "restore", "fill", "separate": for the journal.
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


def run_alone(attempt: Attempt, stage: str, nbytes: int, work: Callable[[], Result]) -> Result | Exception:
    """What one piece of work without a network gives, or what ended it.

    nbytes: of the host's memory, what it takes at most: work that runs on arrays cannot be predicted on the
    meta device, so that is measured once and kept beside it.

    >>> run_alone(plainly, "separate", 100, lambda: 7)
    7
    """

    def run(items: Sequence[None], _tile: int | None) -> list[Result | Exception]:
        try:
            return [work() for _ in items]
        except Exception as exc:  # one photograph that cannot be worked on must not end the others
            if classify_error(exc) is not ErrorKind.BUG:
                raise  # whoever keeps the memory has a word on that
            return [exc]

    (answer,) = attempt(
        Request(
            stage=stage,
            network=None,
            items=[None],
            shape=lambda batch, _tile: (batch, 3, 8, 8),
            run=run,
            item_bytes=nbytes,
        )
    )
    return answer


def plainly(request: Request[Item, Result]) -> list[Result | Exception]:
    """The attempt without policy: everything at once, errors go through to the caller."""
    return list(request.run(request.items, None))
