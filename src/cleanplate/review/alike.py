"""Which photographs are like one on which a mask was painted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cleanplate.report import ReportPhoto
from cleanplate.review.album import Album
from cleanplate.structures import BoolArray


@dataclass(frozen=True)
class Alike:
    """Photographs for which a mask fits. skipped: how many do not count, by the reason."""

    ids: tuple[str, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)


def find_alike(album: Album, photo_id: str, mask: BoolArray, is_busy: Callable[[str], bool]) -> Alike:
    """The undecided photographs that are like the one of this id, on which the mask was painted.

    One on which a mask of its own was painted keeps that.
    """
    skipped, ids = Counter[str](), []
    for other in album.list():
        if other.id == photo_id:
            continue
        if not _is_like(other, mask):
            skipped["elsewhere"] += 1
        elif album.is_decided(other):
            skipped["decided"] += 1
        elif is_busy(other.id):
            skipped["busy"] += 1
        elif album.has_own_mask(other):
            skipped["painted"] += 1
        else:
            ids.append((other.outcome.relative, other.id))
    counts = {reason: skipped[reason] for reason in ("decided", "busy", "painted", "elsewhere")}
    return Alike(tuple(other_id for _, other_id in sorted(ids)), counts)


def list_sharing(album: Album, mask: BoolArray) -> tuple[Path, ...]:
    """The photographs that may share the mark under a mask, whatever was decided about them."""
    return tuple(sorted(photo.outcome.source for photo in album.list() if _is_like(photo, mask)))


def _is_like(photo: ReportPhoto, mask: BoolArray) -> bool:
    """Whether a photograph has the mask's size and a mark was found where the mask is; also where none was
    found at all: it was overlooked."""
    if (photo.outcome.height, photo.outcome.width) != mask.shape:
        return False
    regions = photo.outcome.regions
    return not regions or any(bool(np.any(mask[region.box.slices])) for region in regions)
