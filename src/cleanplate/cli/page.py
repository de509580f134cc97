"""Writing the report, seen from a terminal."""

from __future__ import annotations

import sys
from pathlib import Path


def write_page(output: Path, *, overwrite: bool, quiet: bool) -> Path:
    """Write the page, with a bar for the previews where someone can see it. Raises UsageError."""
    from rich.console import Console
    from rich.progress import Progress

    from cleanplate.report import write_report

    console = Console(stderr=True, quiet=quiet or not sys.stderr.isatty())
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("previews", total=None)
        return write_report(
            output,
            overwrite=overwrite,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
