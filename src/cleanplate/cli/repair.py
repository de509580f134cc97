"""`cleanplate repair INPUT... -o OUTPUT`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.cli.exits import EXIT_DONE, EXIT_SOME_FAILED, complain, forget_output
from cleanplate.cli.interrupt import stop_on_interrupt
from cleanplate.cli.options import Watching, add_options, read_settings, read_watching
from cleanplate.cli.paths import parse_path
from cleanplate.errors import CleanplateError
from cleanplate.settings import RepairSettings

if TYPE_CHECKING:
    from cleanplate.cli.progress import Heard
    from cleanplate.engine.summary import RunSummary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=parse_path, metavar="INPUT", help="folders of photographs, or photographs"
    )
    parser.add_argument(
        "-o", "--output", type=parse_path, required=True, metavar="OUTPUT", help="folder for the results"
    )
    add_options(parser, {})


def run(arguments: argparse.Namespace) -> int:
    """Repair what the arguments name."""
    return repair(arguments.inputs, arguments.output, read_settings(arguments, {}), read_watching(arguments))


def repair(inputs: Sequence[Path], output: Path, settings: RepairSettings, watching: Watching) -> int:
    """Repair photographs, show how it goes and print what it came to; returns the exit code."""
    show_any_name()
    from cleanplate.cli.live import open_live
    from cleanplate.cli.progress import Heard, follow
    from cleanplate.engine.run import repair_folder
    from cleanplate.engine.stop import StopRequest
    from cleanplate.images.discover import check_roots

    stop, heard = StopRequest(), Heard()
    if watching.live:
        check_roots(inputs, output)  # before a page is opened that would have nothing to show
    with ExitStack() as held:
        page = held.enter_context(open_live(output, settings, watching, stop)) if watching.live else None
        with follow(watching) as subscribers, stop_on_interrupt(stop, say):
            summary = repair_folder(
                inputs,
                output,
                settings,
                subscribers=[*subscribers, heard, *([] if page is None else [page.run])],
                stop=stop,
                hold=None if page is None else page.hold,
            )
        exit_code = max(summary.exit_code, _show(output, summary, watching, heard))
        if watching.report:
            exit_code = max(exit_code, _write_report(output, settings, watching, summary))
        if page is not None and not summary.interrupted:
            page.stay(say)
    return exit_code


def _show(output: Path, summary: RunSummary, watching: Watching, heard: Heard) -> int:
    """Print what the run came to, where somebody is to see it; an exit code.

    An output that takes no more (a full disk) ends neither the run nor the report.
    """
    from rich.console import Console

    from cleanplate.cli.closing import format_json, print_summary

    try:
        if watching.json:
            print(format_json(summary), flush=True)
        elif not watching.quiet:
            same_screen = all(stream is not None and stream.isatty() for stream in (sys.stdout, sys.stderr))
            print_summary(summary, Console(), leave_out=heard.warnings if same_screen else ())
    except BrokenPipeError:  # whoever read it has gone
        forget_output()
        return EXIT_SOME_FAILED
    except OSError as error:
        forget_output()
        why = error.strerror or error
        said = f"the summary cannot be printed ({why}); 'cleanplate report {output}' shows what was done"
        return complain(CleanplateError(said), EXIT_SOME_FAILED)
    return EXIT_DONE


def _write_report(output: Path, settings: RepairSettings, watching: Watching, summary: RunSummary) -> int:
    """The page that --report asks for, where there is something to show and time to make it; an exit code."""
    from cleanplate.cli.page import write_page

    if summary.interrupted:
        said = f"no report was written; 'cleanplate report {output}' does it"
    elif summary.outcomes or summary.finished_before:
        try:
            said = f"report: {write_page(output, overwrite=settings.overwrite, quiet=watching.quiet)}"
        except CleanplateError as error:  # the photographs themselves are done
            return complain(error, EXIT_SOME_FAILED)
    else:
        return EXIT_DONE
    if not watching.quiet:
        print(said, file=sys.stderr)
    return EXIT_DONE


def show_any_name() -> None:
    """Names of files that the output's encoding lacks are shown escaped instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Write a line from inside a signal handler, where Python's streams may be in the middle of a write."""
    os.write(2, f"\n{text}\n".encode())
