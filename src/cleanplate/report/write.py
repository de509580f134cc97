"""Writing the report into the output folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cleanplate.engine.workspace import Workspace
from cleanplate.errors import UsageError
from cleanplate.report.collect import collect
from cleanplate.report.page import GENERATOR, render_page
from cleanplate.report.previews import Previews

#: The page's name in the output folder.
REPORT_FILE = "report.html"

#: Within so many bytes a page of ours says that it is one.
_HEAD_BYTES = 512


def write_report(
    output: Path,
    *,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """Write `report.html` and its previews into an output folder, from what the runs there have journalled.

    overwrite: whether a `report.html` that cleanplate did not write may be replaced. on_progress: told
    (done, total) photographs as their previews are made.

    Raises UsageError where no run has written, where such a file is in the way, or where the folder cannot be
    written to.
    """
    target = output / REPORT_FILE
    data = collect(output)
    try:
        if not overwrite and os.path.lexists(target) and not _is_ours(target):
            raise UsageError(
                f"{target} is there already and was not written by cleanplate; "
                "move it away, or use --overwrite"
            )
        Previews(output).make_all(data.photos, on_progress=on_progress)
        staged = Workspace(output).state / f"{REPORT_FILE}.{os.getpid()}.tmp"
        try:
            staged.write_text(render_page(data), encoding="utf-8", newline="\n")
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as exc:
        raise UsageError(
            f"{output}: the report cannot be written ({exc.strerror or exc}); check space and permissions"
        ) from exc
    return target


def _is_ours(target: Path) -> bool:
    with target.open("rb") as stream:
        return GENERATOR.encode("ascii") in stream.read(_HEAD_BYTES)
