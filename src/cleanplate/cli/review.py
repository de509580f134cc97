"""`cleanplate review OUT`: look at what a run came to, and put right what went wrong."""

from __future__ import annotations

import argparse
from contextlib import closing

from cleanplate.cli.options import add_serving
from cleanplate.cli.paths import parse_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("output", type=parse_path, metavar="OUT", help="output folder of a repair")
    add_serving(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    from cleanplate.cli.interrupt import stop_on_interrupt
    from cleanplate.cli.repair import say, show_any_name
    from cleanplate.cli.serving import Bell, announce, check_serving, renew_report, tell_waiting

    show_any_name()
    check_serving(arguments.port)
    from cleanplate.review.desk import Desk, read_run_settings
    from cleanplate.review.live import NoRun
    from cleanplate.review.serve import Server

    desk = Desk(arguments.output, read_run_settings(arguments.output))
    bell = Bell()
    with (
        closing(desk),
        desk.opened(),
        Server(desk, NoRun(desk), arguments.port) as server,
        stop_on_interrupt(bell, say),
    ):
        announce(server, browser=arguments.browser)
        bell.wait()
    tell_waiting(desk)
    if desk.album.has_changed:
        renew_report(arguments.output)
    return 0
