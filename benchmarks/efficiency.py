"""How much of a run on a CPU is networks and solvers, and how much is everything round them.

    python benchmarks/efficiency.py [--count 100] [--megapixels 1] [--profile DIR]

Photographs with and without marks go through the optimised engine with the shipped networks. Prints the time
inside network calls (what a forward pass takes) and solvers (what takes a crop or a tiled mark apart) by the
wall time from the first admission to the last photograph, the stages, and what the guard takes of the time
round its work.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from torch import nn

from cleanplate.detect import network
from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.events import Event, PhotoFinished, RunStarted
from cleanplate.engine.run import repair_folder
from cleanplate.engine.summary import RunSummary
from cleanplate.pipeline import pattern
from cleanplate.remove import restore
from cleanplate.settings import RepairSettings
from pictures import draw_photographs

LEAST_SHARE = 0.9
MOST_GUARD_SHARE = 0.02
SOLVERS = (
    (restore, "find_candidates"),
    (restore, "choose_by_shares"),
    (restore, "fill_crop"),
    (network, "complete_pattern"),
    (pattern, "take_off_pattern"),
)


@dataclass(eq=False)
class Clock:
    """Seconds by what was called, and when the run's work began and ended; also a subscriber."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    began: float = 0.0
    ended: float = 0.0
    started: dict[int, float] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.began = time.perf_counter()
        if isinstance(event, PhotoFinished):
            self.ended = time.perf_counter()

    def watch(self, watched: nn.Module) -> None:
        """Time its forward passes; those on the meta device, which predict memory, are the guard's."""

        def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs[0].device.type != "meta":
                self.started[id(module)] = time.perf_counter()

        def after(module: nn.Module, inputs: tuple[Any, ...], _: object) -> None:
            if inputs[0].device.type != "meta":
                self.seconds["networks"] += time.perf_counter() - self.started[id(module)]

        watched.register_forward_pre_hook(before)
        watched.register_forward_hook(after)

    def timed(self, solver: Callable[..., Any]) -> Callable[..., Any]:
        """A solver whose time is counted."""

        def run(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return solver(*arguments, **named)
            finally:
                self.seconds["solvers"] += time.perf_counter() - began

        return run


def main() -> None:
    """Draw, run, print."""
    arguments = _parse()
    width = round((arguments.megapixels * 1e6 * 4 / 3) ** 0.5)
    with tempfile.TemporaryDirectory() as folder:
        draw_photographs(Path(folder) / "in", arguments.count, width=width, height=width * 3 // 4)
        clock, summary = run(Path(folder), arguments.profile)
    wall = clock.ended - clock.began
    print(f"{arguments.count} photographs of {arguments.megapixels:g} megapixels, {wall:.1f} s")
    print(f"{'':<34}{'seconds':>9}{'share':>8}{'goal':>8}")
    for name, seconds in clock.seconds.items():
        print(f"{name:<34}{seconds:>9.2f}{seconds / wall:>8.1%}")
    busy = sum(clock.seconds.values())
    print(f"{'networks and solvers':<34}{busy:>9.2f}{busy / wall:>8.1%}{LEAST_SHARE:>8.0%}")
    guard = summary.seconds_by_stage["guard"]
    print(f"{'guard':<34}{guard:>9.2f}{guard / wall:>8.1%}{MOST_GUARD_SHARE:>8.0%}")
    print("by stage, summed over threads:")
    for stage, seconds in sorted(summary.seconds_by_stage.items(), key=lambda item: -item[1]):
        print(f"  {stage:<32}{seconds:>9.2f}")


def run(folder: Path, profile: str | None) -> tuple[Clock, RunSummary]:
    """One run over `folder`/in."""
    clock = Clock()
    settings = RepairSettings(profile=profile)
    pipeline: Any = build_pipeline(settings)
    clock.watch(pipeline.detector.network)
    clock.watch(pipeline.remover.network)
    clock.watch(pipeline.remover.chooser)
    with ExitStack() as patches:
        for module, name in SOLVERS:
            patches.enter_context(mock.patch.object(module, name, clock.timed(getattr(module, name))))
        summary = repair_folder(
            folder / "in", folder / "out", settings, pipeline=pipeline, subscribers=[clock]
        )
    assert not summary.failures, summary.failures[0]
    return clock, summary


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="photographs (default 100)")
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--profile", metavar="DIR", help="write stage times and traces there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
