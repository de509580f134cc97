"""Scoring the repair of folders whose photographs share a mark.

Beside the program's result stand the input, Telea's fill under the true mask, the inverse of the true mark
(laid where it lies, with its opacity known on every photograph; plainly, and cleaned as the program does it)
and the program without the shared mark.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.match import find_mark
from cleanplate.engine.run import repair_folder
from cleanplate.evaluate.folders import DrawnFolder, FolderOptions, FolderPhoto, draw_folder, find_inside
from cleanplate.evaluate.triples import read_picture
from cleanplate.marks import Assets
from cleanplate.metrics import masked_psnr
from cleanplate.pipeline.known import guess_noise
from cleanplate.remove.inpaint import fill_with_telea
from cleanplate.remove.known import remove_known
from cleanplate.settings import RepairSettings
from cleanplate.structures import FloatArray, Mark

#: The ways that are compared, in the table's order.
WAYS = ("input", "telea", "single", "result", "exact", "cleaned")
#: Opacities of the true mark that are inverted.
LEAST_OPACITY = 0.01
#: A photograph counts as worse than without the shared mark from so many decibels on.
WORSE_DB = 0.1
HALF_PIXEL = 0.5


@dataclass(frozen=True)
class FolderScore:
    """What became of one folder.

    decibels: mean PSNR inside the mark, by way. marked, clean: photographs with and without the mark.
    touched: of the clean ones, those that changed. worse: of the marked ones, those that came out worse than
    without the shared mark. missed: those that are as they came. placed: of those found by their true mark,
    the share found within half a pixel. survey_seconds, seconds: of looking for the mark, and of the whole.
    """

    options: FolderOptions
    opacity: float
    originals: int
    decibels: dict[str, float]
    marked: int
    clean: int
    touched: int
    worse: int
    missed: int
    placed: float
    found: bool
    survey_seconds: float
    seconds: float


def score_folders(
    sources: Sequence[Path], assets: Assets, wanted: Sequence[FolderOptions], settings: RepairSettings
) -> Iterator[FolderScore]:
    """Draw each folder, repair it with the shared mark and without, and score it; nothing is left behind."""
    for options in wanted:
        with tempfile.TemporaryDirectory(prefix="cleanplate-") as place:
            drawn = draw_folder(sources, assets, options, Path(place) / "in")
            yield score_folder(drawn, options, Path(place), settings)


def score_folder(
    drawn: DrawnFolder, options: FolderOptions, place: Path, settings: RepairSettings
) -> FolderScore:
    """The score of a folder that has been drawn; results are written below `place`."""
    began = time.perf_counter()
    summary = repair_folder(drawn.folder, place / "shared", settings)
    seconds = time.perf_counter() - began
    repair_folder(drawn.folder, place / "single", replace(settings, shared_mark="off"))
    rows, errors, touched = [], [], 0
    for photo in drawn.photos:
        marked, result = read_picture(photo.path), read_picture(place / "shared" / photo.path.name)
        if photo.placement is None:
            touched += not np.array_equal(marked, result)
            continue
        rows.append(_score_photo(photo, drawn.mark, marked, result, place / "single" / photo.path.name))
        errors.append(_measure_place(photo, drawn.mark, marked))
    table = np.array(rows)
    found = [error for error in errors if error is not None]
    return FolderScore(
        options=options,
        opacity=drawn.opacity,
        originals=drawn.originals,
        decibels=dict(zip(WAYS, (float(value) for value in table.mean(axis=0)), strict=True)),
        marked=len(rows),
        clean=len(drawn.photos) - len(rows),
        touched=touched,
        worse=int((table[:, 3] < table[:, 2] - WORSE_DB).sum()),
        missed=int((np.abs(table[:, 3] - table[:, 0]) < WORSE_DB).sum()),
        placed=float(np.mean([error <= HALF_PIXEL for error in found])) if found else 0.0,
        found=(place / "shared" / ".cleanplate" / "shared-mark.png").exists(),
        survey_seconds=float(summary.seconds_by_stage.get("survey", 0.0)),
        seconds=seconds,
    )


def _score_photo(
    photo: FolderPhoto, mark: Mark, marked: NDArray[np.uint8], result: NDArray[np.uint8], single: Path
) -> list[float]:
    """Decibels inside the mark, in the order of WAYS."""
    truth, inside = photo.read_truth(), find_inside(photo, mark)
    given = marked.astype(np.float32) / np.float32(255)
    alpha, colour = photo.lay(mark)
    laid = Mark(np.where(alpha >= LEAST_OPACITY, alpha, 0).astype(np.float32), colour)
    pictures = (
        marked,
        _to_u8(fill_with_telea(given, inside)),
        read_picture(single),
        result,
        _to_u8(remove_known(given, laid, noise=0.0)[0]),
        _to_u8(remove_known(given, laid, noise=guess_noise(photo.read()))[0]),
    )
    return [masked_psnr(picture, truth, inside) for picture in pictures]


def _measure_place(photo: FolderPhoto, mark: Mark, marked: NDArray[np.uint8]) -> float | None:
    """By how many pixels the true mark is found off its place; None where it is not, or is a pattern."""
    if mark.kind == "tiled" or photo.placement is None:
        return None
    found = find_mark(marked.astype(np.float32) / np.float32(255), mark, several=False)
    if not found:
        return None
    return max(abs(found[0].left - photo.placement.left), abs(found[0].top - photo.placement.top))


def _to_u8(rgb: FloatArray) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)
