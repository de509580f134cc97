"""How long the repair of one photograph takes, and where the time goes.

    python benchmarks/speed.py [--count 50] [--threads 2] [--model CKPT] [--hot 15]

A photograph of 1200 x 832 pixels (1 megapixel) carries white lettering at opacity 0.6 whose box covers 2 %
of it. It is repaired in this process again and again, after one repair that is not counted; medians are of
the wall clock, and of the processor time of all threads, which other programs on the machine disturb less.
"One look" is the finder on the whole photograph and the restorer, once each, with all that belongs to them;
the whole repair looks again afterwards, round what was rewritten. `--hot` also lists the functions
that take longest by themselves.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cleanplate.device.threads import configure_threads

configure_threads()

import cv2  # noqa: E402  # after the threads are chosen
import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import ImageFont  # noqa: E402
from skimage import data  # noqa: E402

from cleanplate.marks import PlacedMark, composite  # noqa: E402
from cleanplate.marks.draw import draw_text, finish  # noqa: E402
from cleanplate.models.request import plainly  # noqa: E402
from cleanplate.pipeline import repair as steps  # noqa: E402
from cleanplate.pipeline.assemble import assemble_pipeline  # noqa: E402
from cleanplate.remove import candidates  # noqa: E402
from cleanplate.settings import resolve_settings  # noqa: E402
from cleanplate.structures import Photo, Repair, Verdict  # noqa: E402

GOAL_SECONDS = 0.3
WIDTH, HEIGHT = 1200, 832
MARK_SHARE = 0.02
OPACITY = 0.6


class Clock:
    """Seconds by stage, (wall, processor), of one repair; how often a stage ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        self.calls: dict[str, int] = defaultdict(int)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what happens inside as the stage's."""
        wall, busy = time.perf_counter(), time.process_time()
        yield
        own = self.seconds[name]
        self.seconds[name] = (own[0] + time.perf_counter() - wall, own[1] + time.process_time() - busy)
        self.calls[name] += 1

    def wrap(self, name: str, call: Callable[..., Any], later: str | None = None) -> Callable[..., Any]:
        """The call, counted as a stage. later: what it is counted as after the first time."""

        def counted(*arguments: Any, **named: Any) -> Any:
            with self.stage(later if later and self.calls[name] else name):
                return call(*arguments, **named)

        return counted


def main() -> int:
    """Measure, print; 1 where the mark was not found, so that nothing was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--hot", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    cv2.setNumThreads(chosen.threads)
    settings = resolve_settings({"model": chosen.model, "device": "cpu", "threshold": 0.0005})
    pipeline = assemble_pipeline(settings)
    photo = Photo(path=Path("photo.jpg"), rgb=draw_marked(), container=None)

    def attempt(request: Any) -> Any:
        with clock.stage(REQUESTS.get(request.stage, f"  {request.stage}")):
            return plainly(request)

    def repair() -> Repair:
        with clock.stage("whole repair"):
            (done,) = pipeline.repair([photo], settings, attempt)
        if isinstance(done, Exception):
            raise done
        return done

    clocks = []
    profile = cProfile.Profile()
    for number in range(chosen.count + 1):
        clock = Clock()
        with watch(clock, pipeline):
            done = repair()
        if number:  # the first one warms up
            clocks.append(clock)
    if done.verdict is not Verdict.REPAIRED:
        print("the mark was not found or not removed: nothing was measured", file=sys.stderr)
        return 1
    print_table(clocks, done, chosen.threads)
    if chosen.hot:
        clock = Clock()
        profile.enable()
        for _ in range(5):
            repair()
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(chosen.hot)
    return 0


LOOK, LOOK_AGAIN, REMOVE = "look (finder)", "look again (finder)", "remove (restorer)"
#: How requests are named in the table.
REQUESTS = {
    "detect": "  finder network, both", "restore": "  restorer network", "choose": "  chooser network",
    "separate": "  candidates",
}  # fmt: skip


@contextmanager
def watch(clock: Clock, pipeline: Any) -> Iterator[None]:
    """While inside, the pipeline's parts are counted by the clock."""
    places = [
        (type(pipeline.detector), "detect", LOOK, LOOK_AGAIN),
        (type(pipeline.remover), "remove", REMOVE, None),
        (candidates, "separate", "    fit, invert", None),
        (steps, "paste", "paste", None),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _, _ in places]
    try:
        for owner, name, label, later in places:
            setattr(owner, name, clock.wrap(label, getattr(owner, name), later))
        yield
    finally:
        for owner, name, original in kept:
            setattr(owner, name, original)


def draw_marked() -> np.ndarray:
    """(832, 1200, 3) uint8: the photograph with its mark."""
    clean = cv2.resize(data.coffee(), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    size, shape = 24, np.zeros((1, 1, 4), np.float32)
    while shape.shape[0] * shape.shape[1] < MARK_SHARE * WIDTH * HEIGHT:
        size += 1
        shape = draw_text("© Studio Sample 2024", ImageFont.load_default(size))
    mark = finish(shape, OPACITY, "text")
    left, top = WIDTH - shape.shape[1] - 60, HEIGHT - shape.shape[0] - 60
    marked, _, _ = composite(clean.astype(np.float32) / 255, [PlacedMark(mark, left, top)])
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
    _, jpeg = cv2.imencode(".jpg", np.rint(marked[..., ::-1] * 255).astype(np.uint8), quality)
    return np.ascontiguousarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1])


def print_table(clocks: list[Clock], done: Repair, threads: int) -> None:
    """Medians by stage, in the order in which they first ended."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(
        f"{WIDTH} x {HEIGHT}, mark of {MARK_SHARE:.0%}, {done.rounds} round(s), {threads} threads, "
        f"{len(clocks)} repairs, load of the machine {load:.1f}\n"
    )
    names = [LOOK, LOOK_AGAIN, "  finder network, both", REMOVE, "  restorer network"]
    names += ["  candidates", "    fit, invert", "  chooser network", "paste", "whole repair"]
    print(f"{'':<22} {'calls':>5} {'wall, ms':>9} {'processor, ms':>14}")
    for name in names:
        wall, busy = (1000 * float(np.median([c.seconds[name][way] for c in clocks])) for way in (0, 1))
        print(f"{name:<22} {clocks[-1].calls[name]:>5} {wall:>9.0f} {busy:>14.0f}")
    looks = [look_once(clock) for clock in clocks]
    wall, busy = (1000 * float(np.median([look[way] for look in looks])) for way in (0, 1))
    print(f"{'one look and removal':<22} {'':>5} {wall:>9.0f} {busy:>14.0f}")
    share = wall / 1000 / GOAL_SECONDS
    print(f"\ngoal for one look and removal: {1000 * GOAL_SECONDS:.0f} ms; it takes {share:.0%} of that")


def look_once(clock: Clock) -> tuple[float, float]:
    """(wall, processor) seconds of the finder and the restorer, once each."""
    wall, busy = (
        sum(clock.seconds[part][way] / max(1, clock.calls[part]) for part in (LOOK, REMOVE)) for way in (0, 1)
    )
    return wall, busy


if __name__ == "__main__":
    sys.exit(main())
