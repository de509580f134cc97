"""The sweep with the shipped networks, as a table: `python -m tests.sweep.table [TABLE.md] [--every N]`.

Every allocation of a run over three 64-pixel photographs fails, in a run for each; the first run that is not
as it must be ends it. One round of finding and removing: a network's results differ in the seventh digit with
the size of the batch, which the solvers of several rounds on the same marks may make visible.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from cleanplate.device.virtual import FailingAllocation
from cleanplate.engine.assembly import build_pipeline
from cleanplate.settings import RepairSettings

from .harness import Sweep, Trial

EDGE_PX = 64


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the runs of one kind came to. right, named: photographs, of all runs together."""

    mode: str
    failing: str
    allocations: int
    runs: int
    right: int
    named: int
    difference: int
    seconds: float


def draw_photos(folder: Path) -> Path:
    """Three photographs, two of them with lettering."""
    folder.mkdir()
    for number, picture in enumerate((data.astronaut(), data.coffee(), data.chelsea())):
        small = cv2.resize(picture[:256, :256], (EDGE_PX, EDGE_PX), interpolation=cv2.INTER_AREA)
        drawn = Image.fromarray(np.ascontiguousarray(small))
        if number < 2:
            font = ImageFont.load_default(18)
            ImageDraw.Draw(drawn).text((6, 22), "SAMPLE", fill="white", font=font)
        drawn.save(folder / f"{number}.png")
    return folder


def run_sweep(work: Path, *, every: int = 1) -> Iterable[Row]:
    """One row for each mode and kind of failure. every: only each so-many-th allocation."""
    photos = draw_photos(work / "in")
    pipeline = build_pipeline(RepairSettings())
    for optimize, lasting in itertools.product((True, False), (False, True)):
        folder = work / f"{optimize}-{lasting}"
        folder.mkdir()
        sweep = Sweep(photos, folder, pipeline, RepairSettings(optimize=optimize, max_iterations=1))
        assert sweep.expected.counts["repaired"], "nothing is repaired: the restorer would not be tried"
        began = time.perf_counter()
        trials = list(_try_each(sweep, lasting=lasting, every=every))
        yield Row(
            mode="optimised" if optimize else "plain",
            failing="from then on" if lasting else "once",
            allocations=sweep.allocations,
            runs=len(trials),
            right=sum(trial.right for trial in trials),
            named=sum(trial.named for trial in trials),
            difference=max(trial.difference for trial in trials),
            seconds=time.perf_counter() - began,
        )


def format_table(rows: Iterable[Row]) -> str:
    """The rows as a table in Markdown."""
    heads = (
        "mode",
        "fails",
        "allocations",
        "runs",
        "photographs right",
        "named as failed",
        "grey levels off",
    )
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = (row.mode, row.failing, row.allocations, row.runs, row.right, row.named, row.difference)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _try_each(sweep: Sweep, *, lasting: bool, every: int) -> Iterable[Trial]:
    for at in itertools.count(1, every):
        fault = FailingAllocation(at=at, lasting=lasting)
        try:
            trial = sweep.run(fault)
        except AssertionError as error:
            raise AssertionError(f"allocation {at} failing (lasting: {lasting}): {error}") from error
        yield trial
        if not trial.struck:
            return


def main() -> None:
    """Run, print a row as soon as it is there, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, nargs="?", help="write the table to this file")
    parser.add_argument("--every", type=int, default=1, help="only each N-th allocation (default 1: all)")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "fsync", return_value=None):
        for row in run_sweep(Path(folder), every=arguments.every):
            print(row, file=sys.stderr, flush=True)
            rows.append(row)
    print(format_table(rows), end="")
    if arguments.table:
        which = "Every allocation" if arguments.every == 1 else f"Each {arguments.every}th allocation"
        title = f"# {which} of a run fails, with the shipped networks\n\nMade by `make sweep`.\n\n"
        arguments.table.write_text(title + format_table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
