"""Scoring a folder of triples: by repairing them, or from results that any tool wrote."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cleanplate.errors import PhotoError, UsageError
from cleanplate.evaluate.score import PhotoScore, score_result
from cleanplate.evaluate.triples import Triple, TripleFiles, read_picture, read_triple
from cleanplate.images.identify import identify
from cleanplate.images.read import read
from cleanplate.images.riff import is_lossless, read_riff
from cleanplate.models.request import plainly
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import RepairSettings
from cleanplate.structures import Photo, Quantisation

RESULT_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
#: A result stored with loss differs from its input everywhere: pixels count as touched beyond so many levels.
COMPRESSED_TOLERANCE = 24


@dataclass(frozen=True, eq=False)
class Scored:
    """A triple, what was made of it ((H, W, 3) uint8) and its figures."""

    triple: Triple
    result_u8: NDArray[np.uint8]
    score: PhotoScore


def score_pipeline(
    found: Iterable[TripleFiles], pipeline: Pipeline, settings: RepairSettings
) -> Iterator[Scored]:
    """Repair each triple's marked photograph in this process, one at a time, and score it.

    A photograph whose repair failed is scored as if it had been left alone, with the error beside it.
    """
    for files in found:
        triple = read_triple(files)
        steps = _read_steps(files.marked, settings)
        photo = Photo(path=files.marked, rgb=triple.marked_u8, container=None, quantisation=steps)
        started = time.perf_counter()
        (repair,) = pipeline.repair([photo], settings, plainly)
        seconds = time.perf_counter() - started
        if isinstance(repair, Exception):
            error = str(repair) or type(repair).__name__
            yield Scored(triple, triple.marked_u8, score_result(triple, triple.marked_u8, error=error))
            continue
        result = Photo(path=files.marked, rgb=repair.rgb, container=None).rgb_u8
        score = score_result(triple, result, found=repair.first.mask, seconds=seconds)
        yield Scored(triple, result, score)


def _read_steps(path: Path, settings: RepairSettings) -> Quantisation | None:
    """How coarsely a file was rounded, as a run would read it; None also for one that a run would refuse."""
    try:
        return read(path, max_megapixels=settings.max_megapixels).quantisation
    except PhotoError:
        return None


def score_folder(found: Sequence[TripleFiles], results: Path) -> Iterator[Scored]:
    """Score results that lie in a folder as NAME.marked.* or NAME.*, whatever tool wrote them.

    A triple without a result is scored as if it had been left alone, with an error beside it.
    Raises UsageError where the folder is missing or has no result at all, or one has another size.
    """
    if not results.is_dir():
        raise UsageError(f"{results}: there is no such folder of results")
    paths = {files.name: _find_result(files, results) for files in found}
    if not any(paths.values()):
        raise UsageError(f"{results}: has no result for any of the {len(found)} triples; wanted: NAME.*")
    for files in found:
        triple, path = read_triple(files), paths[files.name]
        if path is None:
            error = f"there is no {files.name}.* in {results}"
            yield Scored(triple, triple.marked_u8, score_result(triple, triple.marked_u8, error=error))
            continue
        result = read_picture(path)
        if result.shape != triple.marked_u8.shape:
            raise UsageError(f"{path}: has another size than {files.marked.name}; give results of their size")
        tolerance = COMPRESSED_TOLERANCE if _is_compressed(path) else 0
        yield Scored(triple, result, score_result(triple, result, tolerance=tolerance))


def collect(scored: Iterable[Scored], *watchers: Callable[[Scored], None]) -> list[PhotoScore]:
    """The figures of all, each shown to the watchers while its pictures are at hand."""
    scores = []
    for one in scored:
        for watch in watchers:
            watch(one)
        scores.append(one.score)
    return scores


def _find_result(files: TripleFiles, results: Path) -> Path | None:
    stems = (files.marked.stem, files.name)
    endings = [ending for suffix in RESULT_SUFFIXES for ending in (suffix, suffix.upper())]
    candidates = (results / f"{stem}{ending}" for stem in stems for ending in endings)
    return next((path for path in candidates if path.is_file()), None)


def _is_compressed(path: Path) -> bool:
    """Whether the file was stored with loss."""
    data = path.read_bytes()
    format = identify(data)
    return format == "JPEG" or (format == "WEBP" and not is_lossless(read_riff(data)))
