"""`cleanplate report OUT`: a page about what the runs into OUT came to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("output", type=Path, metavar="OUT", help="output folder of a repair")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a report.html that cleanplate did not write"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def run(arguments: argparse.Namespace) -> int:
    """Write the page; its path goes to standard output."""
    from cleanplate.cli.repair import show_any_name

    show_any_name()
    path = write(arguments.output, overwrite=arguments.overwrite, quiet=arguments.quiet)
    if not arguments.quiet:
        print(path)
    return 0


def write(output: Path, *, overwrite: bool, quiet: bool) -> Path:
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
