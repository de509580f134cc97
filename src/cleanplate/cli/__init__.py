"""The command line: parse, call, print, give an exit code.

Every command is a module of this package with the command's name (dashes as underscores) and two functions::

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        '''The command's own arguments.'''

    def run(arguments: argparse.Namespace) -> int:
        '''Do it; the exit code: 0 done, 1 done in part, 2 wrong usage, 130 interrupted.'''

To add one, write the module and name it in `COMMANDS` with a line of help. A command's module is imported
only when that command is called, and imports torch, NumPy and OpenCV inside its functions, so that
`cleanplate --help` stays quick. It raises the package's own errors; `main` turns them into a message on
standard error and an exit code.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol, cast

from cleanplate import __version__
from cleanplate.cli.exits import EXIT_USAGE, call, complain
from cleanplate.errors import UsageError

#: What each command is for, in the order of the help. The module of the same name holds the command.
COMMANDS: Mapping[str, str] = {
    "repair": "find the visible marks in photographs and write the photographs without them",
    "detect": "find the visible marks in photographs and write them as masks",
    "extract-mark": "work out the mark that photographs share and write it as a picture",
    "report": "write a page that shows what became of every photograph",
    "train": "train the networks on photographs of your own",
    "evaluate": "score a model on marked photographs whose originals are known",
    "models": "list, fetch, check and import the weights of inpainting networks",
    "review": "look at the results of a repair in a browser, and put right what went wrong",
    "monitor": "watch the memory of the machine and its GPU",
    "doctor": "show what a report of a problem needs: versions, devices, optional parts",
}


class Command(Protocol):
    """What a command's module has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """The program `cleanplate`; returns its exit code (argparse itself leaves on --help and bad options)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in COMMANDS:
        return _answer_without_command(given)
    name = given[0]
    command = cast(Command, importlib.import_module(f"cleanplate.cli.{name.replace('-', '_')}"))
    parser = argparse.ArgumentParser(
        prog=f"cleanplate {name}", description=_sentence(name), allow_abbrev=False
    )
    command.add_arguments(parser)
    return call(lambda: command.run(parser.parse_args(given[1:])))


def _answer_without_command(given: list[str]) -> int:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {purpose}" for name, purpose in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="cleanplate",
        usage="cleanplate [--help] [--version] COMMAND ...",
        description="Takes visible watermarks off folders of photographs that you own or may edit.",
        epilog=f"commands:\n{listing}\n\n'cleanplate COMMAND --help' explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cleanplate {__version__}")
    _, rest = parser.parse_known_args(given)
    if not rest:
        parser.print_help()
        return EXIT_USAGE
    near = get_close_matches(rest[0], COMMANDS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return complain(UsageError(f"there is no command {rest[0]!r}{hint}"), EXIT_USAGE)


def _sentence(name: str) -> str:
    purpose = COMMANDS[name]
    return f"{purpose[0].upper()}{purpose[1:]}."
