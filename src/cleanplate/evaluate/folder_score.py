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

from cleanplate.engine.run import repair_folder
from cleanplate.engine.sharedmark import MARK_FILE
from cleanplate.evaluate.folders import DrawnFolder, FolderOptions, FolderPhoto, draw_folder, find_inside
from cleanplate.evaluate.triples import read_picture
from cleanplate.marks import Assets
from cleanplate.marks.files import read_mark
from cleanplate.metrics import masked_psnr
from cleanplate.pipeline.known import guess_noise, locate_mark
from cleanplate.remove.inpaint import fill_with_telea
from cleanplate.remove.known import remove_known
from cleanplate.settings import RepairSettings
from cleanplate.structures import FloatArray, Mark, Placement

#: The ways that are compared, in the table's order.
WAYS = ("input", "telea", "single", "result", "exact", "cleaned")
#: Opacities of the true mark that are inverted.
LEAST_OPACITY = 0.01
#: A photograph counts as worse than without the shared mark from so many decibels on.
WORSE_DB = 0.1
HALF_PIXEL = 0.5


@dataclass(frozen=True)
class Places:
    """Of the photographs that carry a mark those on which it is found, and found within half a pixel."""

    found: int
    placed: int


@dataclass(frozen=True)
class FolderScore:
    """What became of one folder.

    decibels: mean PSNR inside the mark, by way. marked, clean: photographs with and without the mark.
    touched: of the clean ones, those that changed. worse: of the marked ones, those that came out worse than
    without the shared mark. missed: those that are as they came. true_mark, estimate: on how many of the
    marked ones each is found, and where (see `count_places`); None: a pattern, or no estimate.
    survey_seconds, seconds: of looking for the mark, and of the whole.
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
    true_mark: Places | None
    estimate: Places | None
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
    rows, touched = [], 0
    for photo in drawn.photos:
        marked, result = read_picture(photo.path), read_picture(place / "shared" / photo.path.name)
        if photo.placement is None:
            touched += not np.array_equal(marked, result)
            continue
        rows.append(score_photo(photo, drawn.mark, marked, result, place / "single" / photo.path.name))
    table = np.array(rows)
    kept = place / "shared" / ".cleanplate" / MARK_FILE
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
        true_mark=_look_for(drawn, drawn.mark),
        estimate=_look_for(drawn, read_mark(kept)) if kept.exists() else None,
        found=kept.exists(),
        survey_seconds=float(summary.seconds_by_stage.get("survey", 0.0)),
        seconds=seconds,
    )


def score_photo(
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


def _look_for(drawn: DrawnFolder, mark: Mark) -> Places | None:
    """How a mark's places, as a repair finds them, agree with those it was put at; None for a pattern."""
    if drawn.mark.kind == "tiled":
        return None
    pairs = []
    for photo in drawn.photos:
        if photo.placement is not None:
            rgb = read_picture(photo.path).astype(np.float32) / np.float32(255)
            pairs.append((photo.placement, locate_mark(rgb, mark, guess_noise(photo.read()))))
    return count_places(pairs, own_corner=mark is drawn.mark)


def count_places(pairs: Sequence[tuple[Placement, Placement | None]], *, own_corner: bool) -> Places:
    """Compare (where a mark is, where it was found) over photographs.

    own_corner: both are places of the same corner. Else the mark that was looked for may begin anywhere in
    the one that is there (an estimate is cut out differently), but at the same point on all photographs.

    >>> there = [Placement(left, 5) for left in (10, 20, 30)]
    >>> count_places([(p, Placement(p.left - 3, 4)) for p in there], own_corner=False)
    Places(found=3, placed=3)
    """
    found = [(there, seen) for there, seen in pairs if seen is not None]
    if not found:
        return Places(0, 0)
    scales = np.array([[there.scale] for there, _ in found])
    off = np.array([(seen.left - there.left, seen.top - there.top) for there, seen in found]) / scales
    errors = np.abs(off if own_corner else off - np.median(off, axis=0)) * scales
    return Places(len(found), int((errors.max(axis=1) <= HALF_PIXEL).sum()))


def _to_u8(rgb: FloatArray) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)
