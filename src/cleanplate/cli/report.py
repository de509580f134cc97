"""`cleanplate report OUT`: a page about what the runs into OUT came to."""

from __future__ import annotations

import argparse

from cleanplate.cli.paths import parse_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("output", type=parse_path, metavar="OUT", help="output folder of a repair")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a report.html that cleanplate did not write"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def run(arguments: argparse.Namespace) -> int:
    """Write the page; its path goes to standard output."""
    from cleanplate.cli.page import write_page
    from cleanplate.cli.repair import show_any_name

    show_any_name()
    path = write_page(arguments.output, overwrite=arguments.overwrite, quiet=arguments.quiet)
    if not arguments.quiet:
        print(path)
    return 0
