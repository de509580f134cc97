"""Plain and optimised processing of one folder in the same memory.

    python benchmarks/before_after.py [--count 20] [--budget 1.3] [--plot docs/before-after-memory.png]

The memory is a virtual accelerator's: real numerics on the CPU, every byte metered, an out-of-memory error
past the budget. The budget is a multiple of what the finder takes for one photograph, so that it is tight for
what the restorer takes for all marks of a photograph at once. Plain processing takes one photograph after the
other and asks no one; optimised processing is what `cleanplate repair` does by default. Both use the shipped
networks on the same photographs of five sizes. The same again follows with room for everything: what plain
processing fails on is the most work, so that its speed in little memory says nothing.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cleanplate.device.memory import HOST_QUICKEST_BYTES
from cleanplate.device.virtual import VirtualAccelerator
from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.events import Event, PhotoFinished, Retried, RunStarted
from cleanplate.engine.run import repair_folder
from cleanplate.engine.summary import RunSummary
from cleanplate.models.memory import trace_peak_bytes
from cleanplate.settings import RepairSettings
from pictures import draw_photographs, link_photographs
from plot import Panel, draw_panels

SIZES = ((640, 480), (800, 600), (1024, 768), (1600, 1200), (2400, 1600))
EACH = 4
PARTS = 4
ROOMY_BYTES = 16_000_000_000


@dataclass(eq=False)
class Run:
    """A subscriber that keeps when photographs were finished, and what came of the run."""

    name: str
    began: float = 0.0
    finished: list[float] = field(default_factory=list)
    retries: int = 0
    peak_bytes: int = 0
    processor_seconds: float = 0.0
    summary: RunSummary | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self.began = time.perf_counter()
            case PhotoFinished():
                self.finished.append(time.perf_counter() - self.began)
            case Retried():
                self.retries += 1

    def speeds(self, parts: int) -> list[float]:
        """Photographs a second in equal parts of the run."""
        edges = np.linspace(0, len(self.finished), parts + 1).astype(int)
        times = np.array([0.0, *self.finished])[edges]
        return list(np.diff(edges) / np.diff(times))


class Accelerator(VirtualAccelerator):
    """That remembers its highest peak: the guard measures each piece of work by itself."""

    highest_bytes = 0

    def reset_peak(self) -> None:
        """Measure the peak from now."""
        self.highest_bytes = self.read_highest()
        super().reset_peak()

    def read_highest(self) -> int:
        """The most bytes of live tensors in all the run."""
        return max(self.highest_bytes, self.read_peak() or 0)


def main() -> None:
    """Run both, print, draw."""
    arguments = _parse()
    pipeline = build_pipeline(RepairSettings())
    least = trace_peak_bytes(pipeline.detector.network, (1, 3, 768, 1024))  # type: ignore[attr-defined]
    budget = int(arguments.budget * least)
    with tempfile.TemporaryDirectory() as folder:
        draw_mixture(Path(folder), arguments.count)
        runs = compare(Path(folder), budget)
        compare(Path(folder), ROOMY_BYTES)
    if arguments.plot:
        draw(arguments.plot, runs)


def compare(folder: Path, budget_bytes: int) -> list[Run]:
    """Both runs in so much memory; prints their table."""
    runs = [repair(folder, optimize=optimize, budget_bytes=budget_bytes) for optimize in (False, True)]
    print(f"{len(runs[0].finished)} photographs of 0.3 to 3.8 megapixels in {budget_bytes / 1e6:.0f} MB")
    print(f"{'':<34}" + "".join(f"{run.name:>12}" for run in runs))
    for name, cells in describe(runs):
        print(f"{name:<34}" + "".join(f"{cell:>12}" for cell in cells))
    return runs


def draw_mixture(folder: Path, count: int) -> None:
    """`folder`/in: photographs of all sizes in turn."""
    by_size = [
        draw_photographs(folder / f"few-{width}", EACH, width=width, height=height, seed=width)
        for width, height in SIZES
    ]
    mixed = [photographs[number] for number in range(EACH) for photographs in by_size]
    link_photographs(mixed, folder / "in", count)


def repair(folder: Path, *, optimize: bool, budget_bytes: int) -> Run:
    """One run in so much memory."""
    run = Run("optimised" if optimize else "plain")
    accelerator = Accelerator(budget_bytes, quickest_bytes=HOST_QUICKEST_BYTES)
    settings = RepairSettings(optimize=optimize)
    processor_before = time.process_time()
    run.summary = repair_folder(
        folder / "in", folder / f"{run.name}-{budget_bytes}", settings, subscribers=[run], memory=accelerator
    )
    run.processor_seconds = time.process_time() - processor_before
    run.peak_bytes = accelerator.read_highest()
    return run


def describe(runs: list[Run]) -> list[tuple[str, list[str]]]:
    """The table's rows."""
    summaries = [run.summary for run in runs if run.summary is not None]
    rows = [
        ("failed", [str(len(summary.failures)) for summary in summaries]),
        ("repaired", [str(summary.counts["repaired"]) for summary in summaries]),
        ("retried with smaller pieces", [str(run.retries) for run in runs]),
        ("pauses and clean-ups", [str(len(summary.pauses)) for summary in summaries]),
        ("peak, MB", [f"{run.peak_bytes / 1e6:.0f}" for run in runs]),
        (
            "processor seconds a photograph",
            [f"{run.processor_seconds / len(run.finished):.2f}" for run in runs],
        ),
        ("photographs a second", [f"{summary.photographs_per_second:.2f}" for summary in summaries]),
    ]
    speeds = [run.speeds(PARTS) for run in runs]
    for part in range(PARTS):
        rows.append((f"  in quarter {part + 1}", [f"{speed[part]:.2f}" for speed in speeds]))
    return rows


def draw(path: Path, runs: list[Run]) -> None:
    """Photographs done over time, and the speed over the run."""
    parts = 10
    middles = [(part + 0.5) / parts * len(runs[0].finished) for part in range(parts)]
    done = {run.name: (list(range(1, len(run.finished) + 1)), run.finished) for run in runs}
    speeds = {run.name: (middles, run.speeds(parts)) for run in runs}
    draw_panels(
        path, [Panel("seconds until done", done), Panel("photographs a second", speeds)], across="photographs"
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=len(SIZES) * EACH, help="photographs (default: each)")
    parser.add_argument("--budget", type=float, default=1.3, help="by what the finder needs (default 1.3)")
    parser.add_argument("--plot", type=Path, help="draw both runs to this PNG file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
