"""Many photographs in one run: does memory grow, does it slow down?

    python benchmarks/soak.py [--count 10000] [--networks light|shipped] [--plot docs/soak.png]

The same 12 small photographs under as many names as asked for go through the engine. Prints the slope of the
resident memory after the first 500 photographs and the speed of the last tenth by that of the first, each
beside its limit, and draws both over the run. Speed is told twice: by the clock on the wall, and by processor
time, which other programs on the machine disturb less. Ctrl-C ends it early, with the figures so far.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from cleanplate.engine.assembly import build_pipeline
from cleanplate.engine.events import Cleaned, Event, Paused, PhotoFinished
from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings
from light import draw_photo, make_light_pipeline
from pictures import draw_photographs, link_photographs
from plot import Panel, draw_panels

#: Photographs before memory counts: pools, caches and the allocator's arenas fill first.
SETTLING = 500
MOST_SLOPE_MB = 1.0
MOST_SLOWDOWN = 0.1
SAMPLE_EVERY = 10
DIFFERENT = 12


@dataclass(eq=False)
class Watch:
    """A subscriber: resident bytes and the clock, every few photographs."""

    counts: list[int] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    done: int = 0
    pauses: int = 0
    process: psutil.Process = field(default_factory=psutil.Process)

    def __call__(self, event: Event) -> None:
        self.pauses += isinstance(event, Paused | Cleaned)
        if not isinstance(event, PhotoFinished):
            return
        self.done += 1
        if self.done % SAMPLE_EVERY == 0:
            self.counts.append(self.done)
            self.resident_mb.append(self.process.memory_info().rss / 1e6)
            self.seconds.append(time.perf_counter())
            self.processor_seconds.append(time.process_time())

    def slope_mb(self) -> float:
        """Megabytes for a thousand photographs, by least squares after the first ones."""
        counts = np.array(self.counts)
        after = counts > min(SETTLING, counts[-1] // 3)
        return 1000 * float(np.polyfit(counts[after], np.array(self.resident_mb)[after], 1)[0])

    def speeds(self, parts: int, *, of_processor: bool = False) -> list[float]:
        """Photographs a second in equal parts of the run; of_processor: a second of processor time."""
        edges = np.linspace(0, len(self.counts) - 1, parts + 1).astype(int)
        clock = self.processor_seconds if of_processor else self.seconds
        return list(np.diff(np.array(self.counts)[edges]) / np.diff(np.array(clock)[edges]))


def main() -> None:
    """Run, print, draw."""
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        watch, pauses = run(Path(folder), arguments.count, shipped=arguments.networks == "shipped")
    speeds, by_processor = watch.speeds(10), watch.speeds(10, of_processor=True)
    slope, change = watch.slope_mb(), speeds[-1] / speeds[0] - 1
    print(f"{watch.done} photographs, {arguments.networks} networks, {pauses} pauses and clean-ups")
    print(f"{'':<34}{'measured':>10}{'limit':>8}")
    print(f"{'memory, MB by 1,000 photographs':<34}{slope:>10.2f}{MOST_SLOPE_MB:>8.1f}")
    print(f"{'last tenth by first tenth':<34}{change:>+10.1%}{-MOST_SLOWDOWN:>8.0%}")
    change = by_processor[-1] / by_processor[0] - 1
    print(f"{'the same by processor time':<34}{change:>+10.1%}{-MOST_SLOWDOWN:>8.0%}")
    print(f"{'resident at the end, MB':<34}{watch.resident_mb[-1]:>10.0f}")
    print(f"{'photographs a second':<34}{np.mean(speeds):>10.1f}")
    if arguments.plot:
        draw(arguments.plot, watch)


def run(folder: Path, count: int, *, shipped: bool) -> tuple[Watch, int]:
    """One run; what was watched, and how often it paused or cleaned."""
    settings = RepairSettings()
    if shipped:
        photographs = draw_photographs(folder / "few", DIFFERENT, width=256, height=192)
    else:
        photographs = [
            draw_photo(folder / "few" / f"{n}.jpg", seed=n, width=128, height=96, mark_px=(24, 0)[n % 2])
            for n in range(DIFFERENT)
        ]
    link_photographs(photographs, folder / "in", count)
    pipeline = build_pipeline(settings) if shipped else make_light_pipeline()
    watch = Watch()
    try:
        summary = repair_folder(
            folder / "in", folder / "out", settings, pipeline=pipeline, subscribers=[watch]
        )
    except KeyboardInterrupt:
        return watch, watch.pauses
    assert not summary.failures, summary.failures[0]
    return watch, len(summary.pauses)


def draw(path: Path, watch: Watch) -> None:
    """Both curves, one above the other."""
    parts = min(50, len(watch.counts) - 1)
    middles = (np.arange(parts) + 0.5) * watch.counts[-1] / parts
    draw_panels(
        path,
        [
            Panel("resident memory, MB", {"": (watch.counts, watch.resident_mb)}),
            Panel("photographs a second", {"": (list(middles), watch.speeds(parts))}),
        ],
        across="photographs",
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="photographs (default 10000)")
    parser.add_argument("--networks", choices=["light", "shipped"], default="light")
    parser.add_argument("--plot", type=Path, help="draw the run to this PNG file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
