"""Drawing triples: marks on photographs at their own resolution, repeatably."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.evaluate.triples import MARKED_SUFFIXES, TripleFiles, read_picture, write_triple
from cleanplate.marks import Assets, sample_marked

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
#: Photographs whose long side is shorter are no longer what people repair.
LEAST_PX = 480


@dataclass(frozen=True, kw_only=True)
class MakeOptions:
    """How triples are drawn. Validated when built."""

    output: Path
    """A folder that has no triples yet."""

    count: int | None = None
    """How many; more than there are photographs marks some again, None: one a photograph."""

    clean_share: float = 0.25
    """Part that carries no mark, in [0, 1]."""

    seed: int = 0
    """Decides photographs, marks and compression, from 0."""

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidSettingError("count", self.count, "a whole number from 1")
        if not 0 <= self.clean_share <= 1:
            raise InvalidSettingError("clean_share", self.clean_share, "a share from 0 to 1")
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
    Raises UsageError where the output folder already has triples, or no photograph is large enough.
    """
    output = options.output
    if output.is_dir() and any(p.name.lower().endswith(MARKED_SUFFIXES) for p in output.iterdir()):
        raise UsageError(f"{output}: has triples already; give another folder, or delete them")
    output.mkdir(parents=True, exist_ok=True)
    usable = [photo for photo in photos if _is_large_enough(photo)]
    if not usable:
        raise UsageError(
            f"none of the {len(photos)} photographs has a long side of {LEAST_PX} pixels or more"
        )
    order = np.random.default_rng(options.seed).permutation(len(usable))
    made = []
    for index in range(options.count or len(usable)):
        photo = usable[int(order[index % len(usable)])]
        files = _make_triple(photo, index, assets, options)
        if report is not None:
            report(files)
        made.append(files)
    return made


def _make_triple(photo: Path, index: int, assets: Assets, options: MakeOptions) -> TripleFiles:
    rng = np.random.default_rng((options.seed, index))
    # Spread evenly, so that every run has its share of clean photographs, however short.
    clean = math.floor((index + 1) * options.clean_share) > math.floor(index * options.clean_share)
    sample = sample_marked(read_picture(photo), rng, assets, kind="clean" if clean else None)
    return write_triple(options.output, f"{index:04d}-{photo.stem}", sample)


def _is_large_enough(photo: Path) -> bool:
    try:
        with Image.open(photo) as picture:  # reads no more than the header
            return max(picture.size) >= LEAST_PX
    except OSError as exc:
        raise UsageError(
            f"{photo}: cannot be read as a photograph ({exc}); remove it from the folder"
        ) from exc
