"""`cleanplate repair --live`: the page while the run goes on, and afterwards the page to put things right."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.cli.interrupt import stop_on_interrupt
from cleanplate.cli.options import Watching
from cleanplate.cli.serving import Bell, announce, check_serving, renew_report, tell_waiting
from cleanplate.errors import UsageError
from cleanplate.settings import RepairSettings

if TYPE_CHECKING:
    from cleanplate.engine.hold import Hold
    from cleanplate.engine.stop import StopRequest
    from cleanplate.review.desk import Desk
    from cleanplate.review.live import LiveRun


@dataclass(frozen=True)
class LivePage:
    """A page that is served. run: subscribes to the run's events. hold: what its pause button holds."""

    run: LiveRun
    hold: Hold
    desk: Desk

    def stay(self, say: Callable[[str], None]) -> None:
        """Once the run is over: put right what went wrong, with what the run came to use, until Ctrl-C."""
        from cleanplate.review.desk import read_run_settings

        self.run.end()
        with suppress(UsageError):  # it wrote nothing: what was asked for holds
            self.desk.settings = read_run_settings(self.desk.album.output)
        bell = Bell()
        with self.desk.opened(), stop_on_interrupt(bell, say):
            print("the run is over; the page stays until Ctrl-C", file=sys.stderr, flush=True)
            bell.wait()
        tell_waiting(self.desk)
        if self.desk.album.has_changed:
            renew_report(self.desk.album.output)


@contextmanager
def open_live(
    output: Path, settings: RepairSettings, watching: Watching, stop: StopRequest
) -> Iterator[LivePage]:
    """Serve the page of a run that is about to begin. Raises UsageError, MissingExtraError."""
    check_serving(watching.port)
    if settings.dry_run:
        raise UsageError("--live shows results, and --dry-run writes none; leave one of them out")
    from cleanplate.engine.hold import Hold
    from cleanplate.review.desk import Desk
    from cleanplate.review.live import LiveRun
    from cleanplate.review.serve import Server

    desk, hold = Desk(output, settings), Hold()
    live = LiveRun(desk, hold, stop)
    try:
        with Server(desk, live, watching.port) as server:
            announce(server, browser=watching.browser)
            yield LivePage(live, hold, desk)
    finally:
        live.end()
        desk.close()
