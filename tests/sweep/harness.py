"""One run of the engine on the virtual accelerator with failing allocations, and what must be true after."""

from __future__ import annotations

import gc
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import psutil

from cleanplate.device.virtual import FailingAllocation, VirtualAccelerator
from cleanplate.engine.run import repair_folder
from cleanplate.engine.summary import RunSummary
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import Outcome, Verdict

TOTAL_BYTES = 4 << 30


class StrictAccelerator(VirtualAccelerator):
    """Whose release collects no garbage: what still lives in a circle of references is a leak here."""

    def release(self, *, thorough: bool = True) -> None:  # noqa: ARG002  # the seam's
        """Only counted."""
        self.releases += 1


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run. at: which allocation failed; struck: how many failures there were, 0: `at` was never reached.

    right, named: photographs that are as in the undisturbed run, and those that are said to have failed.
    difference: the largest between a right photograph and the undisturbed run's, in grey levels.
    """

    at: int
    lasting: bool
    struck: int
    right: int
    named: int
    difference: int


class Sweep:
    """Runs over one folder. work: an empty folder for results; each run's are deleted once checked."""

    def __init__(self, photos: Path, work: Path, pipeline: Pipeline, settings: RepairSettings) -> None:
        self.photos = photos
        self.work = work
        self.pipeline = pipeline
        self.settings = replace(settings, batch_size=3)
        memory = StrictAccelerator(TOTAL_BYTES)
        self.expected = self._repair(work / "undisturbed", memory)
        self.allocations = memory.meter.allocations
        assert self.expected.exit_code == 0

    def run_all(self, *, lasting: bool, first: int = 1, last: int | None = None) -> Iterator[Trial]:
        """A trial for every allocation, until a run sees no failure; that one is the last."""
        at = first
        while last is None or at <= last:
            trial = self.run(FailingAllocation(at=at, lasting=lasting))
            yield trial
            if not trial.struck:
                return
            at += 1

    def run(self, fault: FailingAllocation) -> Trial:
        """One run, checked. Raises AssertionError saying what is not as it must be."""
        output = self.work / "out"
        memory = StrictAccelerator(TOTAL_BYTES, fault=fault)
        before, children = set(threading.enumerate()), set(psutil.Process().children())
        with _garbage_collection_off():
            summary = self._repair(output, memory)
            assert memory.meter.live_bytes == 0, f"{memory.meter.live_bytes} bytes are still live"
        left = set(threading.enumerate()) - before
        assert not left, f"threads are still there: {left}"
        assert not set(psutil.Process().children()) - children, "a child is still there"
        trial = self._check(summary, output, fault)
        shutil.rmtree(output)
        return trial

    def _repair(self, output: Path, memory: VirtualAccelerator) -> RunSummary:
        return repair_folder(self.photos, output, self.settings, pipeline=self.pipeline, memory=memory)

    def _check(self, summary: RunSummary, output: Path, fault: FailingAllocation) -> Trial:
        """Every photograph is right or named, and there is no other file."""
        expected = {outcome.relative: outcome for outcome in self.expected.outcomes}
        assert {outcome.relative for outcome in summary.outcomes} == set(expected)
        named = difference = 0
        for outcome in summary.outcomes:
            if outcome.verdict is Verdict.FAILED:
                assert outcome.cause, outcome
                assert outcome.remedy, outcome
                named += 1
            else:
                difference = max(difference, self._compare(outcome, expected[outcome.relative], output))
        written = {path.name for path in output.rglob("*") if path.is_file() and path.parent == output}
        assert written == {outcome.output for outcome in summary.outcomes if outcome.output}
        assert not [*(output / ".cleanplate" / "tmp").glob("*")], "half-written files are left"
        assert fault.struck or not named
        return Trial(
            at=fault.at,
            lasting=fault.lasting,
            struck=fault.struck,
            right=len(expected) - named,
            named=named,
            difference=difference,
        )

    def _compare(self, outcome: Outcome, expected: Outcome, output: Path) -> int:
        """The largest difference to what it should be."""
        assert outcome.verdict is expected.verdict, outcome
        assert outcome.output == expected.output
        result = _read(output / str(outcome.output))
        wanted = _read(self.work / "undisturbed" / str(outcome.output))
        difference = int(np.abs(result - wanted).max())
        assert difference <= 1, f"{outcome.relative} differs by {difference} grey levels"
        return difference


def _read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, f"{path.name} cannot be read"
    return picture.astype(np.int16)


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
