"""`cleanplate extract-mark INPUT... -o MARK.png`: the marks that photographs share, as pictures."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from cleanplate.cli.exits import EXIT_INTERRUPTED
from cleanplate.cli.interrupt import stop_on_interrupt
from cleanplate.cli.options import add_options, read_settings
from cleanplate.cli.paths import parse_path
from cleanplate.cli.repair import say, show_any_name

if TYPE_CHECKING:
    from cleanplate.engine.extract import ExtractedMark

#: The settings of a repair that say which photographs are looked at, and how.
USED = (
    *("recursive", "limit", "max_megapixels", "model", "threshold"),
    *("overwrite", "device", "memory_limit"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "inputs", nargs="+", type=parse_path, metavar="INPUT", help="folders of photographs, or photographs"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=parse_path,
        required=True,
        metavar="MARK.png",
        help="the mark, RGBA; others go beside it, as MARK-2.png",
    )
    add_options(parser, {}, only=USED, tells_events=False)


def run(arguments: argparse.Namespace) -> int:
    """Work the mark out and write it."""
    show_any_name()
    from cleanplate.engine.extract import extract_marks
    from cleanplate.engine.stop import StopRequest

    stop = StopRequest()
    with stop_on_interrupt(stop, say):
        written = extract_marks(arguments.inputs, arguments.output, read_settings(arguments, {}), stop=stop)
    if not written:
        return EXIT_INTERRUPTED
    if arguments.json:
        first, *others = map(_describe, written)
        print(json.dumps({**first, "others": others}))
    elif not arguments.quiet:
        for each in written:
            print(f"{each.shared.sharing} of {each.shared.looked_at} photographs share a mark: {each.file}")
    return 0


def _describe(mark: ExtractedMark) -> dict[str, object]:
    return {"mark": str(mark.file), "looked_at": mark.shared.looked_at, "sharing": mark.shared.sharing}
