"""Building the pipeline that settings ask for, once a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from cleanplate.device.threads import configure_threads
from cleanplate.models.catalog import CATALOG
from cleanplate.models.store import open_store
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import EMBEDDED_MODEL, RepairSettings

#: Name, size and time of change of a file; None for one that is not there.
FileState = tuple[str, int, int] | None
#: The settings that a pipeline is made of; the others are for its `repair`. It is built without those, so
#: that it cannot come to depend on them.
BUILT_FROM = (
    "model",
    "device",
    "inpaint",
    "model_dir",
    "trust",
    "masks",
    "ocr",
    "mark",
    "box",
    "anchor",
    "timeout",
    "iopaint_command",
)


def build_pipeline(settings: RepairSettings) -> Pipeline:
    """The pipeline for these settings; the same one again while `BUILT_FROM` and the files are the same.

    Raises ModelError for a network that cannot be loaded, UsageError for a device that is not there.
    """
    built_from = {name: getattr(settings, name) for name in BUILT_FROM}
    files = [] if settings.model == EMBEDDED_MODEL else [Path(settings.model)]
    if settings.inpaint == "auto":  # it takes what is there
        files += [path for _, path in open_store(CATALOG, settings.model_dir).list_for_auto()]
    # A mark that a survey found is put to the pipeline that it looked with: networks are loaded once.
    parts = (RepairSettings(**built_from | {"mark": ()}), tuple(map(_state_of, files)))
    if not settings.mark:
        return _renew(_build(*parts))
    marks = tuple(_state_of(Path(mark)) for mark in settings.mark)
    return _renew(_build_with_marks(parts, RepairSettings(**built_from), marks))


def _renew(pipeline: Pipeline) -> Pipeline:
    # it imports torch, before which `_build` sets the threads
    from cleanplate.pipeline.repair import forget_earlier

    return forget_earlier(pipeline)


@lru_cache(maxsize=2)
def _build_with_marks(
    parts: tuple[RepairSettings, tuple[FileState, ...]],
    settings: RepairSettings,
    _marks: tuple[FileState, ...],
) -> Pipeline:
    from cleanplate.pipeline.assemble import give_marks

    return give_marks(_build(*parts), settings)


@lru_cache(maxsize=2)
def _build(settings: RepairSettings, _files: tuple[FileState, ...]) -> Pipeline:
    configure_threads()  # before torch is imported: OpenMP reads its wait policy only once
    from cleanplate.pipeline.assemble import assemble_pipeline

    return assemble_pipeline(settings)


def _state_of(file: Path) -> FileState:
    """Name, size and time of change of a file: weights trained on, or a mark edited, are others."""
    try:
        status = file.stat()
    except OSError:
        return None  # loading it says what is wrong
    return str(file), status.st_size, status.st_mtime_ns
