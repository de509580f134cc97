"""Following a run: a bar on a terminal, plain lines elsewhere, and everything in a log file.

Each is a subscriber to the engine's events. All of it goes to standard error, so that standard output holds
the summary alone.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn
from rich.text import Text

from cleanplate.cli.options import Watching
from cleanplate.cli.wording import (
    describe_event,
    describe_mark,
    describe_memory,
    describe_start,
    describe_survey,
    show_duration,
)
from cleanplate.engine.events import (
    Event,
    MarkShared,
    MemorySampled,
    PhotoFinished,
    RunFinished,
    RunStarted,
    Subscriber,
    SurveyFinished,
    SurveyStarted,
    Warned,
)
from cleanplate.errors import UsageError
from cleanplate.images.identify import identify_file
from cleanplate.structures import Verdict

#: Seconds between two plain lines of progress.
LINE_EVERY_SECONDS = 10.0
#: What is said as long as no photograph is looked at: files are listed, networks loaded.
GETTING_READY = "getting ready"


class Pace:
    """How far a run is and how fast: counts photographs against a clock.

    total: how many there are to look at; None until the run has started. before: what is done until then.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._memory = ""
        self._peak_gpu_bytes = 0
        self.total: int | None = None
        self.before = GETTING_READY
        self.done = 0
        self.failed = 0

    def __call__(self, event: Event) -> None:
        match event:
            case SurveyStarted():
                self.before = describe_survey(event)
            case SurveyFinished():
                self.before = GETTING_READY
            case RunStarted():
                self.total, self.done, self.failed = event.total, 0, 0
                self._began = self._clock()
            case PhotoFinished():
                self.done += 1
                self.failed += event.outcome.verdict is Verdict.FAILED
            case MemorySampled():
                self._peak_gpu_bytes = max(self._peak_gpu_bytes, event.gpu_reserved_bytes or 0)
                self._memory = describe_memory(event, self._peak_gpu_bytes)

    def describe(self) -> str:
        """Failures, rate, time left and memory, or what is done before; what is not known is left out."""
        said = [f"{self.failed} failed"] if self.failed else []
        elapsed = self._clock() - self._began
        if self.total is None:
            said.append(self.before)
        elif self.done and elapsed > 0:
            rate = self.done / elapsed
            said.append(f"{rate:.2g} a second" if rate < 10 else f"{rate:.0f} a second")
            said.append(f"{show_duration((self.total - self.done) / rate)} left")
        return "; ".join([", ".join(said), self._memory]).strip("; ")


class PlainLines:
    """One line for every problem, one every ten seconds for the rest; one for every photograph if verbose."""

    def __init__(
        self, stream: TextIO, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._lowest = logging.INFO if verbose else logging.WARNING
        self._clock = clock
        self._pace = Pace(clock)
        self._last = clock()

    def __call__(self, event: Event) -> None:
        self._pace(event)
        said = describe_event(event)
        if isinstance(event, RunStarted):
            self._print(describe_start(event))
        elif isinstance(event, SurveyStarted):
            self._print(describe_survey(event))
        elif isinstance(event, MarkShared):
            self._print(describe_mark(event))
        elif said is not None and said[0] >= self._lowest:
            self._print(said[1])
        elif self._clock() - self._last >= LINE_EVERY_SECONDS and not isinstance(event, RunFinished):
            self._print(self._describe_pace())

    def _describe_pace(self) -> str:
        pace = self._pace.describe()
        if self._pace.total is None:
            return pace
        return f"{self._pace.done} of {self._pace.total} photographs; {pace}"

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)
        self._last = self._clock()


class _Count(MofNCompleteColumn):
    """How many of how many, once that is known."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


class ProgressBar:
    """A bar with failures, rate, time left and memory.

    Above it stand the warnings and the marks that are shared, and every photograph if verbose; failures wait
    for the closing table.
    """

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self._shown = (logging.INFO, logging.WARNING, logging.ERROR) if verbose else (logging.WARNING,)
        self._pace = Pace()
        self._progress = Progress(
            BarColumn(bar_width=None),
            _Count(),
            TextColumn("{task.fields[pace]}", markup=False),
            console=console,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("", total=None, pace="")

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        self._pace(event)
        said = describe_event(event)
        if said is not None and (said[0] in self._shown or isinstance(event, MarkShared)):
            self._progress.console.print(said[1], markup=False, highlight=False, soft_wrap=True)
        self._progress.update(
            self._task, total=self._pace.total, completed=self._pace.done, pace=self._pace.describe()
        )


class Heard:
    """Keeps the warnings of a run, so that they need not be printed twice."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warnings.append(event.message)


def write_errors(event: Event) -> None:
    """What is left of a quiet run: a line for every failed photograph."""
    said = describe_event(event)
    if said is not None and said[0] >= logging.ERROR:
        print(said[1], file=sys.stderr, flush=True)


@contextmanager
def follow(watching: Watching) -> Iterator[list[Subscriber]]:
    """The subscribers that show a run as it was asked for; a bar or a log file is closed afterwards.

    Raises UsageError when the log file cannot be written.
    """
    with ExitStack() as stack:
        subscribers: list[Subscriber] = []
        if watching.log_file is not None:
            subscribers.append(stack.enter_context(_log_to(watching.log_file)))
        console = Console(stderr=True)
        if watching.quiet:
            subscribers.append(write_errors)
        elif console.is_terminal:
            subscribers.append(stack.enter_context(ProgressBar(console, verbose=watching.verbose)))
        else:
            subscribers.append(PlainLines(sys.stderr, verbose=watching.verbose))
        yield subscribers


class _LogFile(logging.FileHandler):
    """A log that tells once, on standard error, that it cannot be written to its end, and ends no run."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's own name
        """A line could not be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.told:
            self.told = True
            why = error.strerror or error
            print(
                f"cleanplate: warning: {self.baseFilename}: the log file is incomplete ({why}); "
                "make room or give another path",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Close the file, whatever becomes of its last lines."""
        try:
            super().close()
        except OSError:
            self.handleError(logging.makeLogRecord({}))


@contextmanager
def _log_to(path: Path) -> Iterator[Subscriber]:
    try:
        if identify_file(path) is not None:
            raise UsageError(f"{path}: is a photograph, to which no log is written; give another path")
        handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    except OSError as exc:
        raise UsageError(
            f"{path}: the log file cannot be written ({exc.strerror}); give another path"
        ) from exc
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("cleanplate")
    level_before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    def log(event: Event) -> None:
        said = describe_event(event)
        if said is not None:
            # To this file alone: the other subscribers show the same events in their own way.
            handler.handle(logger.makeRecord(logger.name, said[0], "", 0, said[1], (), None))

    try:
        yield log
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level_before)
        handler.close()
