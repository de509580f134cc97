"""`cleanplate detect INPUT... -o MASKS`: the marks as masks, to look at, to draw on, for other programs."""

from __future__ import annotations

import argparse
import sys

from cleanplate.cli.interrupt import stop_on_interrupt
from cleanplate.cli.options import add_options, read_settings, read_watching
from cleanplate.cli.paths import parse_path
from cleanplate.cli.repair import say, show_any_name

#: The settings of a repair that say where marks are found.
USED = (
    *("recursive", "limit", "max_megapixels"),
    *("model", "threshold", "ocr", "ocr_languages", "masks", "box", "anchor"),
    *("overwrite", "batch_size", "pause_interval", "device", "memory_limit"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=parse_path, metavar="INPUT", help="folders of photographs, or photographs"
    )
    parser.add_argument(
        "-o", "--output", type=parse_path, required=True, metavar="MASKS", help="folder for the masks"
    )
    add_options(parser, {}, only=USED)


def run(arguments: argparse.Namespace) -> int:
    """Find and write masks."""
    show_any_name()
    from rich.console import Console

    from cleanplate.cli.closing import format_json, print_summary
    from cleanplate.cli.progress import follow
    from cleanplate.engine.maskwriter import detect_folder
    from cleanplate.engine.stop import StopRequest

    settings, watching = read_settings(arguments, {}), read_watching(arguments)
    stop = StopRequest()
    with follow(watching) as subscribers, stop_on_interrupt(stop, say):
        summary = detect_folder(
            arguments.inputs, arguments.output, settings, subscribers=subscribers, stop=stop
        )
    if watching.json:
        print(format_json(summary))
    elif not watching.quiet:
        print_summary(summary, Console(file=sys.stdout))
    return summary.exit_code
