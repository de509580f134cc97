"""`cleanplate extract-mark INPUT... -o MARK.png`: the mark that photographs share, as a picture."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cleanplate.cli.exits import EXIT_INTERRUPTED
from cleanplate.cli.interrupt import stop_on_interrupt
from cleanplate.cli.options import add_options, read_settings
from cleanplate.cli.repair import say, show_any_name

#: The settings of a repair that say which photographs are looked at, and how.
USED = (
    *("recursive", "limit", "max_megapixels", "model", "threshold"),
    *("overwrite", "device", "memory_limit"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="folders of photographs, or photographs"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MARK.png", help="the mark, RGBA")
    add_options(parser, {}, only=USED)


def run(arguments: argparse.Namespace) -> int:
    """Work the mark out and write it."""
    show_any_name()
    from cleanplate.engine.extract import extract_mark
    from cleanplate.engine.stop import StopRequest

    stop = StopRequest()
    with stop_on_interrupt(stop, say):
        shared = extract_mark(arguments.inputs, arguments.output, read_settings(arguments, {}), stop=stop)
    if shared is None:
        return EXIT_INTERRUPTED
    if arguments.json:
        told = {"mark": str(arguments.output), "looked_at": shared.looked_at, "sharing": shared.sharing}
        print(json.dumps(told))
    elif not arguments.quiet:
        print(f"{shared.sharing} of {shared.looked_at} photographs share a mark: {arguments.output}")
    return 0
