"""What the command line says of a run, as plain lines: for a terminal, a log file and a pipe alike."""

from __future__ import annotations

import logging
import re

from rich.filesize import decimal

from cleanplate.engine.events import (
    Cleaned,
    Event,
    MarkShared,
    MemorySampled,
    Paused,
    PhotoFinished,
    RunStarted,
    SurveyStarted,
    Warned,
)
from cleanplate.structures import Outcome, Verdict

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def describe_event(event: Event) -> tuple[int, str] | None:
    """A level of `logging` and a line; None for what is only figures.

    Every photograph and clean-up is INFO, a failed photograph ERROR, what the user should know WARNING.
    """
    match event:
        case RunStarted():
            return logging.INFO, describe_start(event)
        case PhotoFinished(outcome=outcome):
            failed = outcome.verdict is Verdict.FAILED
            return logging.ERROR if failed else logging.INFO, describe_outcome(outcome)
        case SurveyStarted():
            return logging.INFO, describe_survey(event)
        case MarkShared():
            return logging.INFO, describe_mark(event)
        case Paused():
            return logging.INFO, f"paused for {event.seconds:.1f} s: {event.reason}"
        case Cleaned():
            freed = "" if event.freed_bytes is None else f" ({decimal(event.freed_bytes)} given back)"
            return logging.INFO, f"cleaned up: {event.reason}{freed}"
        case Warned():
            return logging.WARNING, show(event.message)
    return None


def describe_start(event: RunStarted) -> str:
    """What lies before the run.

    >>> describe_start(RunStarted(total=1, skipped=3))
    '1 photograph to look at, 3 finished before'
    """
    before = f", {event.skipped} finished before" if event.skipped else ""
    return f"{count(event.total, 'photograph')} to look at{before}"


def describe_survey(event: SurveyStarted) -> str:
    """What is done before the run starts.

    >>> describe_survey(SurveyStarted(photographs=8))
    'looking through 8 photographs for a mark that they share'
    """
    return f"looking through {count(event.photographs, 'photograph')} for a mark that they share"


def describe_mark(event: MarkShared) -> str:
    """Which mark is shared.

    >>> describe_mark(MarkShared(mark="OUT/mark.png", looked_at=9, sharing=7, sha256=""))
    '7 of 9 photographs share a mark, which is inverted: OUT/mark.png'
    >>> describe_mark(MarkShared(mark="m.png", looked_at=9, sharing=7, sha256="", others=True))
    '7 of 9 photographs share a mark, which is inverted: m.png; others are looked for too'
    """
    taken_up = ", as in the run before" if event.again else ""
    others = "; others are looked for too" if event.others else ""
    shared = f"{event.sharing} of {count(event.looked_at, 'photograph')} share a mark, which is inverted"
    return f"{shared}{taken_up}: {event.mark}{others}"


def describe_outcome(outcome: Outcome) -> str:
    """One photograph in one line."""
    if outcome.verdict is Verdict.FAILED:
        return show(f"failed: {outcome.source}: {outcome.cause}; {outcome.remedy}")
    said = [outcome.verdict.value.replace("_", " ")]
    if outcome.verdict is not Verdict.CLEAN:
        said.append(f"marks on {outcome.share:.2%}")
    if outcome.rounds:
        said.append(count(outcome.rounds, "round"))
    said.append(f"{sum(outcome.seconds.values()):.1f} s")
    return show(f"{outcome.relative}: {', '.join([*said, *outcome.notes])}")


def show(text: str) -> str:
    """The text in one line, and without what a terminal would obey: names may hold control characters.

    >>> show("new\\nline \\x1b[31m.png")
    'new\\\\nline \\\\x1b[31m.png'
    """
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def describe_memory(event: MemorySampled, peak_gpu_bytes: int | None = None) -> str:
    """Memory now and at its highest.

    >>> describe_memory(MemorySampled(resident_bytes=2000, peak_resident_bytes=3000, available_bytes=0))
    'memory 2.0 kB, peak 3.0 kB'
    """
    host = f"memory {decimal(event.resident_bytes)}, peak {decimal(event.peak_resident_bytes)}"
    if event.gpu_reserved_bytes is None:
        return host
    peak = max(event.gpu_reserved_bytes, peak_gpu_bytes or 0)
    return f"GPU {decimal(event.gpu_reserved_bytes)}, peak {decimal(peak)}; {host}"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "round"), count(2, "round")
    ('1 round', '2 rounds')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show_duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> show_duration(3.21), show_duration(75), show_duration(7322)
    ('3.2 s', '1 min 15 s', '2 h 02 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
