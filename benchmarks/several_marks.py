"""How well marks come off a folder that holds several: PSNR inside the mark, by mark.

    python benchmarks/several_marks.py PHOTOS [--count 10] [--marks 3] [--clean 10] [--place anchored]

Draws `--marks` folders that share a mark each (`cleanplate evaluate --folder` draws them so), from different
photographs, puts them in one with as many photographs without a mark as `--clean` says, and repairs that with
folder mode and without. Prints decibels and how many photographs came out worse by folder mode.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cleanplate.engine.run import repair_folder
from cleanplate.evaluate.folder_score import WORSE_DB, score_photo
from cleanplate.evaluate.folders import KINDS, DrawnFolder, FolderOptions, draw_folder
from cleanplate.evaluate.triples import read_picture
from cleanplate.settings import RepairSettings
from held_out import add_drawing_arguments, load_split

COLUMNS = ("input", "Telea, true mask", "without folder mode", "with it", "true mark", "the same, cleaned")


def main() -> None:
    """Parse, draw, repair, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_drawing_arguments(parser)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--marks", type=int, default=3)
    parser.add_argument("--clean", type=int, default=10)
    parser.add_argument("--opacity", type=float, default=0.45)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cleanplate-") as place:
        root = Path(place)
        drawn = draw_all(arguments, root)
        (root / "in").mkdir()
        for folder in drawn:
            for photo in folder.photos:
                photo.path.rename(root / "in" / name_of(folder, photo.path))
        settings = RepairSettings(device="cpu")
        began = time.perf_counter()
        summary = repair_folder(root / "in", root / "shared", settings)
        seconds = time.perf_counter() - began
        repair_folder(root / "in", root / "single", replace(settings, shared_mark="off"))
        found = len(list((root / "shared" / ".cleanplate").glob("shared-mark*.png")))
        survey = summary.seconds_by_stage.get("survey", 0.0)
        total = sum(len(folder.photos) for folder in drawn)
        print(f"{total} photographs, {found} marks found, {seconds:.0f} s, {survey:.0f} of them looking")
        print(f"| mark | {' | '.join(COLUMNS)} | worse | missed |")
        print(f"| --- | {'--- | ' * (len(COLUMNS) + 2)}")
        for folder in drawn:
            print(describe(folder, root), flush=True)


def draw_all(arguments: argparse.Namespace, root: Path) -> list[DrawnFolder]:
    """The folders, each of photographs of its own, and the one without a mark last."""
    sources, assets = load_split(arguments)
    order = np.random.default_rng(arguments.seed).permutation(len(sources))
    parts: Sequence[np.ndarray] = np.array_split(order, arguments.marks + 1)
    drawn = []
    for at, part in enumerate(parts):
        is_marked = at < arguments.marks
        options = FolderOptions(
            count=arguments.count if is_marked else arguments.clean,
            kind=KINDS[at % 3],
            place=arguments.place,
            opacity=arguments.opacity,
            quality=92,
            clean_share=0.0 if is_marked else 1.0,
            seed=arguments.seed * 10 + at,
        )
        drawn.append(draw_folder([sources[int(index)] for index in part], assets, options, root / str(at)))
    return drawn


def name_of(folder: DrawnFolder, path: Path) -> str:
    """A photograph's name in the folder of all: photographs with one mark do not follow each other."""
    return f"{path.stem}-{folder.folder.name}{path.suffix}"


def describe(folder: DrawnFolder, root: Path) -> str:
    """One folder's row of the table."""
    rows, touched = [], 0
    for photo in folder.photos:
        name = name_of(folder, photo.path)
        marked = read_picture(root / "in" / name)
        result = read_picture(root / "shared" / name)
        if photo.placement is None:
            touched += not np.array_equal(marked, result)
            continue
        there = replace(photo, path=root / "in" / name)
        rows.append(score_photo(there, folder.mark, marked, result, root / "single" / name))
    if not rows:
        return f"| none: {touched} of {len(folder.photos)} touched |{' |' * (len(COLUMNS) + 2)}"
    table = np.array(rows)
    worse = int((table[:, 3] < table[:, 2] - WORSE_DB).sum())
    missed = int((np.abs(table[:, 3] - table[:, 0]) < WORSE_DB).sum())
    cells = " | ".join(f"{value:.1f}" for value in table.mean(axis=0))
    return f"| {folder.mark.kind} | {cells} | {worse} of {len(rows)} | {missed} |"


if __name__ == "__main__":
    main()
