"""The small pictures beside the page: made once, in parallel, within bounded memory.

They lie in `OUT/.cleanplate/previews/` and are called by the content that they show, so that a photograph
that was done again gets new ones and equal files share theirs. A photograph that browsers cannot show (TIFF,
HEIC, CMYK) gets a large one too, and its marks at full resolution. One that was repaired without its mask
being kept gets that as well, made of what was changed.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cleanplate.device.threads import count_cores
from cleanplate.engine import latemasks
from cleanplate.engine.bytebudget import ByteBudget
from cleanplate.engine.work import encode_mask
from cleanplate.engine.workspace import Workspace
from cleanplate.errors import PhotoError
from cleanplate.report import pictures
from cleanplate.report.photos import ReportPhoto
from cleanplate.structures import Box, Outcome

#: What decoded photographs may take together while previews are made.
MEMORY_BYTES = 1 << 30
#: Of a pixel that is decoded, with all that is made of it on the way (benchmarks/previews.py: 13 to 18).
_BYTES_PER_PIXEL = 20
#: For a photograph of which nobody knows the size, because it failed: 24 megapixels.
_UNKNOWN_PIXELS = 24_000_000
_MOST_THREADS = 4
_DETAIL_MARGIN_PX = 64


@dataclass(frozen=True, slots=True)
class PreviewFiles:
    """Where the previews of one picture are, or would be. picture: the file that they are made of."""

    picture: Path
    small: Path
    large: Path
    detail: Path


class Previews:
    """The previews of an output folder. Threads may use one at the same time."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._workspace = Workspace(output)
        self.folder = self._workspace.state / "previews"

    def files(self, photo: ReportPhoto, *, after: bool) -> PreviewFiles:
        """The previews of a photograph's result (after) or of what came in."""
        outcome = photo.outcome
        if after:
            picture = self._output / (outcome.output or "")
            key = (photo.output_sha256 or f"{photo.id}-after")[:24]
        else:
            picture = outcome.source
            key = (outcome.input_sha256 or f"{photo.id}-before")[:24]
        box = find_detail_box(outcome) if outcome.regions else Box(0, 0, 0, 0)
        piece = f"{box.left}-{box.top}-{box.right}-{box.bottom}.detail"  # done again, its marks lie elsewhere
        small, large, detail = (self.folder / f"{key}.{size}.jpg" for size in ("small", "large", piece))
        return PreviewFiles(picture, small, large, detail)

    def mask(self, photo: ReportPhoto) -> Path:
        """Where the mask of a repaired photograph is, or would be: the run's, else one that is made here."""
        kept = self._workspace.mask(photo.outcome.output or "")
        if kept.is_file():
            return kept
        both = f"{photo.outcome.input_sha256 or photo.id}{photo.output_sha256 or photo.id}"
        return self.folder / f"{hashlib.sha256(both.encode()).hexdigest()[:24]}.mask.png"

    def make_mask(self, photo: ReportPhoto) -> None:
        """Make the mask of a repaired photograph where none is there; not of a file that cannot be read."""
        target = self.mask(photo)
        if not photo.is_changed or target.is_file():
            return
        try:
            result = self._output / (photo.outcome.output or "")
            mask = latemasks.find_late_mask(photo.outcome, result, pictures.MAX_MEGAPIXELS)
        except (PhotoError, OSError):
            return
        self._write(target, encode_mask(mask))

    def make(self, photo: ReportPhoto) -> None:
        """Make what is missing of a photograph's previews; of a file that cannot be read there are none."""
        self.make_mask(photo)
        if photo.has_result:
            self._make_side(photo, after=True)
        if photo.is_changed or not photo.has_result:
            self._make_side(photo, after=False)

    def make_all(
        self,
        photos: Sequence[ReportPhoto],
        *,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
        threads: int | None = None,
    ) -> None:
        """Make all that is missing and sweep away what no photograph needs any more.

        on_progress: told (done, total), in this thread. Raises OSError where nothing can be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        budget = ByteBudget(MEMORY_BYTES)

        def make_one(photo: ReportPhoto) -> None:
            with budget.held(_estimate_bytes(photo.outcome)):
                self.make(photo)

        workers = threads or min(_MOST_THREADS, count_cores())
        with ThreadPoolExecutor(workers, thread_name_prefix="cleanplate-previews") as pool:
            for done, _ in enumerate(pool.map(make_one, photos), start=1):
                on_progress(done, len(photos))
        self._sweep(photos)

    def _make_side(self, photo: ReportPhoto, *, after: bool) -> None:
        files = self.files(photo, after=after)
        lacks_detail = _has_detail(photo.outcome) and files.large.is_file() and not files.detail.is_file()
        if files.small.is_file() and not lacks_detail:  # written last, so the others are there too
            return
        try:
            shown = pictures.is_showable(files.picture)
            picture = pictures.open_picture(files.picture, longest_px=pictures.SMALL_PX if shown else None)
        except (PhotoError, OSError):
            return
        if not shown:
            picture = self._write_large(picture, files, photo.outcome)
        self._write(files.small, pictures.encode_jpeg(picture, quality=80))

    def _write_large(self, whole: Image.Image, files: PreviewFiles, outcome: Outcome) -> Image.Image:
        """Write what stands in for a file that browsers cannot show; returns the small picture."""
        large = whole
        if max(whole.size) > pictures.LARGE_PX:
            large = whole.copy()
            large.thumbnail((pictures.LARGE_PX, pictures.LARGE_PX), Image.Resampling.LANCZOS)
            if outcome.regions:
                box = find_detail_box(outcome)
                piece = whole.crop((box.left, box.top, box.right, box.bottom))
                self._write(files.detail, pictures.encode_jpeg(piece, quality=92))
        self._write(files.large, pictures.encode_jpeg(large, quality=88))
        small = large.copy()
        small.thumbnail((pictures.SMALL_PX, pictures.SMALL_PX), Image.Resampling.LANCZOS)
        return small

    def _write(self, target: Path, data: bytes) -> None:
        """Whole or not at all. Two threads may write the same: the contents are equal."""
        staged = target.with_name(f"{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            staged.write_bytes(data)
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)

    def _sweep(self, photos: Sequence[ReportPhoto]) -> None:
        sides = [self.files(photo, after=after) for photo in photos for after in (True, False)]
        wanted = {path.name for side in sides for path in (side.small, side.large, side.detail)}
        wanted |= {self.mask(photo).name for photo in photos if photo.is_changed}
        for path in self.folder.iterdir():
            if path.name not in wanted and path.suffix in (".jpg", ".png"):
                path.unlink(missing_ok=True)


def find_detail_box(outcome: Outcome) -> Box:
    """The piece of a photograph that is kept at full resolution: round its marks, at most `LARGE_PX` wide.

    Of marks that lie further apart it is the surroundings of the largest.
    """
    regions = sorted((region.box for region in outcome.regions), key=lambda box: -box.area)
    box = regions[0]
    for other in regions[1:]:
        both = box.union(other)
        if max(both.width, both.height) <= pictures.LARGE_PX - 2 * _DETAIL_MARGIN_PX:
            box = both
    grown = box.grown(_DETAIL_MARGIN_PX, outcome.width, outcome.height)
    left = max(grown.left, (grown.left + grown.right - pictures.LARGE_PX) // 2)
    top = max(grown.top, (grown.top + grown.bottom - pictures.LARGE_PX) // 2)
    return Box(
        left, top, min(grown.right, left + pictures.LARGE_PX), min(grown.bottom, top + pictures.LARGE_PX)
    )


def _has_detail(outcome: Outcome) -> bool:
    """Whether a large preview is not all that there is to be seen of the marks."""
    return bool(outcome.regions) and max(outcome.width, outcome.height) > pictures.LARGE_PX


def _estimate_bytes(outcome: Outcome) -> int:
    return (outcome.width * outcome.height or _UNKNOWN_PIXELS) * _BYTES_PER_PIXEL
