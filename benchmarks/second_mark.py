"""What becomes of a second mark on photographs that share one: PSNR inside each, in decibels.

    python benchmarks/second_mark.py PHOTOS [--count 20] [--place anchored] [--kind logo] [--beside dates]

Draws a folder that shares a mark (`cleanplate evaluate --folder` draws it so) and puts another one into the
opposite corner of a part of its photographs: one that is the same on all, at half opacity, or an opaque date
of each one's own. Repairs the folder with folder mode and without.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cleanplate.engine.run import repair_folder
from cleanplate.evaluate.folders import (
    INSIDE,
    DrawnFolder,
    FolderOptions,
    FolderPhoto,
    draw_folder,
    draw_shared_mark,
)
from cleanplate.evaluate.triples import read_picture
from cleanplate.marks import Assets, draw
from cleanplate.marks.sample import encode_jpeg
from cleanplate.metrics import masked_psnr
from cleanplate.settings import RepairSettings
from cleanplate.structures import BoolArray, Mark, Placement
from held_out import add_drawing_arguments, load_split

OPACITY, BESIDE_OPACITY, QUALITY = 0.45, 0.5, 92
MARGIN_PX = 13
DATE_COLOUR, DATE_PX = (1.0, 0.75, 0.1), 22


@dataclass(frozen=True, eq=False)
class Both:
    """A photograph's truth, and where its marks are. beside: None on a photograph without a second one."""

    clean: NDArray[np.uint8]
    shared: BoolArray
    beside: BoolArray | None


def main() -> None:
    """Parse, draw, repair, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_drawing_arguments(parser)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--kind", choices=("logo", "text", "both"), default="logo")
    parser.add_argument("--beside", choices=("text", "logo", "both", "dates"), default="text")
    parser.add_argument("--share", type=float, default=1.0, help="of the photographs that carry the second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cleanplate-") as place:
        root = Path(place)
        truth = draw_both(arguments, root / "in")
        print("| | marks worked out | seconds | shared mark | second mark |\n| --- | --- | --- | --- | --- |")
        print(describe("input", root / "in", truth, ""))
        for name, mode in (("photograph by photograph", "off"), ("folder mode", "auto")):
            began = time.perf_counter()
            repair_folder(root / "in", root / mode, RepairSettings(device="cpu", shared_mark=mode))
            seconds = f"{time.perf_counter() - began:.0f}"
            print(describe(name, root / mode, truth, seconds), flush=True)


def draw_both(arguments: argparse.Namespace, folder: Path) -> dict[str, Both]:
    """Write the folder; the truth by file name."""
    sources, assets = load_split(arguments)
    options = FolderOptions(
        count=arguments.count,
        kind=arguments.kind,
        place=arguments.place,
        opacity=OPACITY,
        quality=QUALITY,
        clean_share=0.0,
        seed=arguments.seed,
    )
    drawn = draw_folder(sources, assets, options, folder)
    beside = list_beside(arguments, assets)
    truth = {}
    for at, photo in enumerate(drawn.photos):
        is_marked = at % 10 < 10 * arguments.share
        truth[photo.path.name] = mark_twice(drawn, photo, beside[at] if is_marked else None)
    return truth


def list_beside(arguments: argparse.Namespace, assets: Assets) -> list[Mark]:
    """The second mark of every photograph."""
    rng = np.random.default_rng(arguments.seed + 1000)
    if arguments.beside != "dates":
        return [draw_shared_mark(arguments.beside, BESIDE_OPACITY, rng, assets)] * arguments.count
    font = assets.choose_font(rng, "latin", DATE_PX)
    style = draw.TextStyle(colour=DATE_COLOUR)
    marks = []
    for _ in range(arguments.count):
        day, month, year, hour, minute = rng.integers([1, 1, 10, 0, 0], [29, 13, 26, 24, 60])
        text = f"{day:02}/{month:02}/20{year:02} {hour:02}:{minute:02}"
        marks.append(draw.finish(draw.draw_text(text, font, style), 1.0, "text"))
    return marks


def mark_twice(drawn: DrawnFolder, photo: FolderPhoto, beside: Mark | None) -> Both:
    """Write a photograph with both marks on it."""
    assert photo.placement is not None  # all of them carry the shared one
    layers = [(drawn.mark, photo)]
    if beside is not None:
        height, width = beside.alpha.shape
        is_left = photo.placement.left < photo.box.width / 4
        is_above = photo.placement.top < photo.box.height / 4
        left = photo.box.width - width - MARGIN_PX if is_left else MARGIN_PX
        top = photo.box.height - height - MARGIN_PX if is_above else MARGIN_PX
        layers.append((beside, replace(photo, placement=Placement(left, top), factor=1.0)))
    clean = photo.read_truth()
    rgb = clean.astype(np.float32) / np.float32(255)
    inside: list[BoolArray] = []
    for mark, placed in layers:
        alpha, colour = placed.lay(mark)
        rgb = rgb * (1 - alpha[..., None]) + alpha[..., None] * colour
        inside.append(np.asarray(alpha > INSIDE, bool))
    photo.path.write_bytes(encode_jpeg(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8), QUALITY))
    return Both(clean, inside[0], inside[1] if beside is not None else None)


def describe(name: str, folder: Path, truth: dict[str, Both], seconds: str) -> str:
    """A row of the table."""
    shared, beside = [], []
    for file, both in truth.items():
        picture = read_picture(folder / file)
        shared.append(masked_psnr(picture, both.clean, both.shared))
        if both.beside is not None:
            beside.append(masked_psnr(picture, both.clean, both.beside))
    found = len(list((folder / ".cleanplate").glob("shared-mark*.png"))) if seconds else ""
    return f"| {name} | {found} | {seconds} | {np.mean(shared):.1f} | {np.mean(beside):.1f} |"


if __name__ == "__main__":
    main()
