"""Drawing triples: marks on photographs at their own resolution, repeatably."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.evaluate.triples import (
    MARKED_SUFFIXES,
    TripleFiles,
    all_or_none,
    read_picture,
    write_triple,
)
from cleanplate.marks import Assets, sample_marked
from cleanplate.marks.mosaic import choose_mosaic_share, draw_mosaic, read_long_side

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
#: Photographs whose long side is shorter are no longer what people repair.
LEAST_PX = 480
#: Where in its turn a mosaic comes: not with the clean ones, whose turn ends at the whole.
MOSAIC_OFFSET = 0.5


@dataclass(frozen=True, kw_only=True)
class MakeOptions:
    """How triples are drawn. Validated when built."""

    output: Path
    """A folder that has no triples yet."""

    count: int | None = None
    """How many; more than there are photographs marks some again, None: one a photograph."""

    clean_share: float = 0.25
    """Part that carries no mark, in [0, 1]."""

    mosaic_share: float | None = None
    """Part drawn on mosaics of several photographs, 960 to 2400 pixels, in [0, 1]; None: a third where
    fewer than a third of the photographs have a long side of 960 pixels or more, else none."""

    seed: int = 0
    """Decides photographs, marks and compression, from 0."""

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidSettingError("count", self.count, "a whole number from 1")
        if not 0 <= self.clean_share <= 1:
            raise InvalidSettingError("clean_share", self.clean_share, "a share from 0 to 1")
        if self.mosaic_share is not None and not 0 <= self.mosaic_share <= 1:
            raise InvalidSettingError("mosaic_share", self.mosaic_share, "a share from 0 to 1")
        if self.seed < 0:
            raise InvalidSettingError("seed", self.seed, "a whole number from 0")


def find_photos(folder: Path) -> tuple[Path, ...]:
    """All photographs below a folder, by name. Raises UsageError where there are none."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    found = tuple(sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES))
    if not found:
        raise UsageError(f"{folder}: no photographs are there; give a folder of JPEG, PNG or WebP files")
    return found


def make_triples(
    photos: Sequence[Path],
    assets: Assets,
    options: MakeOptions,
    report: Callable[[TripleFiles], None] | None = None,
) -> list[TripleFiles]:
    """Draw triples from photographs, each at its own size; the same arguments give the same files.

    Photographs whose long side is under LEAST_PX are passed over. report: called for each triple written.
    Raises UsageError where the output folder already has triples, no photograph is large enough, or one is
    damaged; then none is left there.
    """
    output = options.output
    if output.is_dir() and any(p.name.lower().endswith(MARKED_SUFFIXES) for p in output.iterdir()):
        raise UsageError(f"{output}: has triples already; give another folder, or delete them")
    output.mkdir(parents=True, exist_ok=True)
    sizes = {photo: read_long_side(photo) for photo in photos}
    usable = [photo for photo in photos if sizes[photo] >= LEAST_PX]
    if not usable:
        raise UsageError(
            f"none of the {len(photos)} photographs has a long side of {LEAST_PX} pixels or more"
        )
    mosaics = options.mosaic_share
    if mosaics is None:
        mosaics = choose_mosaic_share([sizes[photo] for photo in usable])
    order = np.random.default_rng(options.seed).permutation(len(usable))
    made: list[TripleFiles] = []
    with all_or_none(made):
        for index in range(options.count or len(usable)):
            photo = usable[int(order[index % len(usable)])]
            rng = np.random.default_rng((options.seed, index))
            if _is_turn(index, mosaics, offset=MOSAIC_OFFSET):
                name, picture = f"{index:04d}-mosaic", draw_mosaic(usable, rng, read_picture)
            else:
                name, picture = f"{index:04d}-{photo.stem}", read_picture(photo)
            kind = "clean" if _is_turn(index, options.clean_share) else None
            files = write_triple(output, name, sample_marked(picture, rng, assets, kind=kind))
            if report is not None:
                report(files)
            made.append(files)
    return made


def _is_turn(index: int, share: float, offset: float = 0.0) -> bool:
    """Whether this one is of the share: spread evenly, so that a short run has its part too.

    >>> [_is_turn(index, 0.25) for index in range(4)]
    [False, False, False, True]
    """
    return math.floor((index + 1) * share + offset) > math.floor(index * share + offset)
