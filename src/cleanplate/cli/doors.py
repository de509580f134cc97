"""The doors of the original plan: its command lines, with all the options of `cleanplate repair`.

`main.py`, `repair_optimized.py` and `src/scripts/batch_repair_optimizer.py` in the checkout call `run_door`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cleanplate.cli.exits import call
from cleanplate.cli.options import add_options, read_settings, read_watching
from cleanplate.cli.paths import parse_path
from cleanplate.cli.repair import repair

PURPOSE = "Find the visible marks in the photographs of a folder and write the photographs without them."


def run_door(
    program: str, arguments: Sequence[str] | None = None, *, optimize: bool, command: str | None = None
) -> int:
    """Parse a door's command line, repair, and return the exit code.

    program: its name in messages. optimize: what the door does where neither option nor file says.
    command: the word that comes first, or None where there is none.
    """
    defaults = {"optimize": optimize}
    parser = argparse.ArgumentParser(prog=program, description=PURPOSE, allow_abbrev=False)
    chosen = parser
    if command is not None:
        commands = parser.add_subparsers(metavar="COMMAND", required=True)
        chosen = commands.add_parser(command, help=PURPOSE, description=PURPOSE, allow_abbrev=False)
    chosen.add_argument(
        "--input",
        type=parse_path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of photographs, or photographs",
    )
    chosen.add_argument(
        "--output", type=parse_path, required=True, metavar="DIR", help="folder for the results"
    )
    add_options(chosen, defaults)
    parsed = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    return call(
        lambda: repair(parsed.input, parsed.output, read_settings(parsed, defaults), read_watching(parsed))
    )
