"""Building the pipeline that settings ask for, once a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from cleanplate.device.threads import configure_threads
from cleanplate.pipeline.base import Pipeline
from cleanplate.settings import EMBEDDED_MODEL, RepairSettings

#: The settings that a pipeline is made of; the others are for its `repair`. It is built without those, so
#: that it cannot come to depend on them.
BUILT_FROM = (
    "model",
    "device",
    "inpaint",
    "model_dir",
    "trust",
    "masks",
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
    files = tuple(_state_of(path) for path in (settings.model, *settings.mark))
    return _build(RepairSettings(**built_from), files)


@lru_cache(maxsize=2)
def _build(settings: RepairSettings, _files: tuple[tuple[int, int] | None, ...]) -> Pipeline:
    configure_threads()  # before torch is imported: OpenMP reads its wait policy only once
    from cleanplate.pipeline.assemble import assemble_pipeline

    return assemble_pipeline(settings)


def _state_of(path: str) -> tuple[int, int] | None:
    """Size and time of change of a checkpoint or mark: one that was trained on, or edited, is another one."""
    if path == EMBEDDED_MODEL:
        return None
    try:
        status = Path(path).stat()
    except OSError:
        return None  # loading it says what is wrong
    return status.st_size, status.st_mtime_ns
