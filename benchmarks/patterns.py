"""What a photograph's own outlines add where a tiled mark is hardly seen: PSNR inside, repaired, harmed.

    python benchmarks/patterns.py PHOTOS [--fonts DIR] [--logos DIR] [--count 36] [--seed 1]

Draws a tiled mark on every photograph (as `cleanplate evaluate make` does, at its own size), repairs it as a
run does, and again without `detect/repeats`. Prints a line for each photograph whose pattern the outlines
told, then the sums. "Completed": a finder's map in which enough copies show by themselves.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cleanplate.detect import network
from cleanplate.detect.lattice import complete_pattern
from cleanplate.detect.repeats import complete_repeats
from cleanplate.evaluate.make import LEAST_PX, find_photos
from cleanplate.evaluate.triples import read_picture
from cleanplate.marks import MarkedPhoto, find_assets, sample_marked
from cleanplate.metrics import masked_psnr, psnr
from cleanplate.models.request import plainly
from cleanplate.pipeline.assemble import assemble_pipeline
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import FloatArray, Photo, Repair

SETTINGS = RepairSettings(device="cpu", threshold=0.0005, shared_mark="off")
INSIDE, REPAIRED_DB, HARMED_DB = 0.02, 3.0, -0.05


@dataclass(frozen=True)
class Told:
    """By whom a photograph's pattern was told, if by any."""

    completed: bool = False
    by_outlines: bool = False


@dataclass(frozen=True)
class Score:
    """Decibels gained, inside the mark and of the whole picture, and those inside."""

    gained: float
    whole: float
    inside: float


def main() -> None:
    """Parse, draw, repair twice, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--logos", type=Path)
    parser.add_argument("--count", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    assets = find_assets(arguments.fonts, arguments.logos, None)
    pipeline = assemble_pipeline(SETTINGS)
    photos = find_photos(arguments.photos)
    order = np.random.default_rng(arguments.seed).permutation(len(photos))
    scores: list[tuple[Score, Score]] = []
    completed = by_outlines = 0
    for number in order:
        if len(scores) >= arguments.count:
            break
        picture = read_picture(photos[number])
        if max(picture.shape[:2]) < LEAST_PX:
            continue
        rng = np.random.default_rng((arguments.seed, int(number)))
        sample = sample_marked(picture, rng, assets, kind="tiled")
        before, with_it, told = repair_twice(pipeline, sample)
        completed, by_outlines = completed + told.completed, by_outlines + told.by_outlines
        scores.append((score(sample, before), score(sample, with_it)))
        if told.by_outlines:
            print(
                f"{photos[number].stem[:32]}, {sample.opacity:.2f}: {describe(scores[-1])} dB gained inside",
                flush=True,
            )
    if not scores:
        raise SystemExit(f"{arguments.photos}: no photograph has an edge of {LEAST_PX} pixels or more")
    print(f"{len(scores)} tiled marks: {completed} completed, {by_outlines} told by outlines")
    for name, own in zip(("without", "with"), zip(*scores, strict=True), strict=True):
        repaired = np.mean([one.gained >= REPAIRED_DB for one in own])
        harmed = np.mean([one.whole < HARMED_DB for one in own])
        inside = np.mean([one.inside for one in own])
        print(f"{name}: repaired {repaired:.1%}, harmed {harmed:.1%}, {inside:.1f} dB inside")


def repair_twice(pipeline: Pipeline, sample: MarkedPhoto) -> tuple[Repair, Repair, Told]:
    """(repaired without the outlines, with them, who told the pattern in the first look)."""
    path = Path("marked.png" if sample.jpeg is None else "marked.jpg")
    photo = Photo(path=path, rgb=sample.marked, container=None, quantisation=sample.quantisation)
    told: list[Told] = []

    def note(rgb_u8: NDArray[np.uint8], probability: FloatArray) -> FloatArray:
        whole = complete_repeats(rgb_u8, probability)
        told.append(Told(by_outlines=whole is not probability))
        return whole

    def note_completed(probability: FloatArray) -> FloatArray:
        whole = complete_pattern(probability)
        if whole is not probability:
            told.append(Told(completed=True))
        return whole

    results = []
    try:
        for outlines in (leave, note):
            told.clear()
            network.complete_pattern, network.complete_repeats = note_completed, outlines
            (result,) = pipeline.repair([photo], SETTINGS, plainly)
            if isinstance(result, Exception):
                raise result
            results.append(result)
    finally:
        network.complete_pattern, network.complete_repeats = complete_pattern, complete_repeats
    return results[0], results[1], told[0]


def leave(_rgb_u8: NDArray[np.uint8], probability: FloatArray) -> FloatArray:
    """What the program did before: nothing."""
    return probability


def score(sample: MarkedPhoto, repair: Repair) -> Score:
    """By what it was before marking."""
    inside = sample.alpha > INSIDE
    clean, marked, result = (
        picture.astype(np.float32) / 255 for picture in (sample.clean, sample.marked, repair.rgb)
    )
    within = masked_psnr(result, clean, inside)
    return Score(
        within - masked_psnr(marked, clean, inside), psnr(result, clean) - psnr(marked, clean), within
    )


def describe(pair: tuple[Score, Score]) -> str:
    """What was gained without and with it."""
    return " > ".join(f"{one.gained:.1f}" for one in pair)


if __name__ == "__main__":
    main()
