"""`cleanplate monitor [OUT]`: watch memory live, or a run in another process."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.cli.paths import parse_path
from cleanplate.cli.serving import check_port
from cleanplate.errors import UsageError

if TYPE_CHECKING:
    from cleanplate.monitor.records import RunStatus

#: Samples that the view looks back on.
SHOWN_SAMPLES = 600


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """What is watched. samples: the recent figures, oldest first. notes: what cannot be told."""

    samples: Callable[[], list[dict[str, float]]]
    status: Callable[[], RunStatus | None]
    notes: tuple[str, ...] = ()

    def latest(self) -> Mapping[str, float]:
        """The last sample's figures."""
        samples = self.samples()
        return samples[-1] if samples else {}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "output",
        nargs="?",
        type=parse_path,
        metavar="OUT",
        help="output folder of a run to watch; without it, this machine",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="between samples (1)")
    parser.add_argument("--once", action="store_true", help="one look, then leave")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each look")
    parser.add_argument(
        "--prometheus", type=int, metavar="PORT", help="serve metrics at 127.0.0.1:PORT; needs the extra"
    )


def run(arguments: argparse.Namespace) -> int:
    """Watch until the run ends, Ctrl-C, or with --once for one look."""
    if not arguments.interval > 0:
        raise UsageError(f"--interval is {arguments.interval}; wanted: seconds above 0")
    if arguments.prometheus is not None:
        check_port("--prometheus", arguments.prometheus)
    with ExitStack() as held:
        source = held.enter_context(_open_source(arguments))
        if arguments.prometheus is not None:
            from cleanplate.monitor.metrics import serve_metrics

            port = held.enter_context(serve_metrics(arguments.prometheus, source.latest, source.status))
            print(f"metrics are at http://127.0.0.1:{port}/metrics", file=sys.stderr)
        try:
            _watch(source, arguments)
        except KeyboardInterrupt:
            return 0  # how one leaves a view
    return 0


@contextmanager
def _open_source(arguments: argparse.Namespace) -> Iterator[Source]:
    from cleanplate.monitor import records
    from cleanplate.monitor.watch import CUDAMonitor

    folder: Path | None = arguments.output
    if folder is not None:
        if records.read_status(folder) is None:
            raise UsageError(f"{folder}: no run has written its status here; give the --output of a repair")
        yield Source(
            samples=lambda: records.read_samples(folder, SHOWN_SAMPLES),
            status=lambda: records.read_status(folder),
        )
        return
    monitor = CUDAMonitor(arguments.device, arguments.interval, history=SHOWN_SAMPLES)
    monitor.sample()
    with monitor:
        yield Source(
            samples=lambda: [{"seconds": s.seconds, **s.figures} for s in monitor.history],
            status=lambda: None,
            notes=monitor.missing,
        )


def _watch(source: Source, arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.live import Live

    from cleanplate.monitor.view import render

    def show() -> Any:
        return render(source.samples(), source.status(), notes=source.notes)

    if arguments.json:
        _repeat(lambda: print(_format_json(source), flush=True), source, arguments)
    elif arguments.once or not sys.stdout.isatty():
        _repeat(lambda: Console().print(show()), source, arguments)
    else:
        with Live(show(), auto_refresh=False) as live:
            _repeat(lambda: live.update(show(), refresh=True), source, arguments)


def _repeat(look: Callable[[], object], source: Source, arguments: argparse.Namespace) -> None:
    """Look every interval, until the watched run has ended."""
    while True:
        look()
        status = source.status()
        if arguments.once or (status is not None and status.state != "running"):
            return
        time.sleep(arguments.interval)


def _format_json(source: Source) -> str:
    status = source.status()
    return json.dumps(
        {
            "figures": source.latest(),
            "run": None if status is None else dataclasses.asdict(status),
            "missing": list(source.notes),
        }
    )
