"""The end of a run: the closing table, or the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from cleanplate.cli.wording import count, describe_outcome, show_duration
from cleanplate.engine.summary import RunSummary


def print_summary(summary: RunSummary, console: Console, leave_out: Container[str] = ()) -> None:
    """Print the closing table, the failures with their reasons, and the notes but those to leave out."""
    table = Table.grid(padding=(0, 2))
    for name, value in _rows(summary):
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)
    for line in [describe_outcome(failure) for failure in summary.failures]:
        console.print(Text(line, style="red"), soft_wrap=True)
    for line in summary.notes:
        if line not in leave_out:
            console.print(Text(line), soft_wrap=True)


def format_json(summary: RunSummary) -> str:
    """The summary as JSON in ASCII, so that any name of a file survives any encoding of the output."""
    return json.dumps(summary.to_json(), indent=2)


def _rows(summary: RunSummary) -> Iterator[tuple[str, str]]:
    counts = summary.counts
    yield "would be repaired" if summary.dry_run else "repaired", str(counts["repaired"])
    yield "clean", str(counts["clean"])
    yield "under threshold", str(counts["under_threshold"])
    yield "failed", str(counts["failed"])
    if counts["skipped"]:
        yield "finished before", str(counts["skipped"])
    if summary.remaining:
        yield "not reached", str(summary.remaining)
    yield "time", _describe_time(summary)
    by_stage = {stage: seconds for stage, seconds in summary.seconds_by_stage.items() if seconds >= 0.05}
    stages = [f"{stage} {show_duration(seconds)}" for stage, seconds in by_stage.items()]
    if stages:
        yield "by stage", ", ".join(stages)
    yield "CPU use", f"{summary.usage.cpu_share:.0%} of all processors"
    if summary.usage.peak_memory_bytes is not None:
        yield "memory", f"{decimal(summary.usage.peak_memory_bytes)} at its peak"
    if summary.usage.gpu_reserved_bytes is not None:
        allocated = decimal(summary.usage.gpu_allocated_bytes or 0)
        reserved = decimal(summary.usage.gpu_reserved_bytes)
        yield "GPU memory", f"{allocated} allocated, {reserved} reserved at its peak"
    per_photograph = summary.staging_bytes_per_photograph
    if per_photograph is not None:
        reused = decimal(summary.usage.staging_reused_bytes or 0)
        yield "staging", f"{decimal(round(per_photograph))} newly allocated a photograph, {reused} used again"
    if summary.pauses:
        yield "pauses", f"{count(len(summary.pauses), 'time')}; {'; '.join(dict.fromkeys(summary.pauses))}"


def _describe_time(summary: RunSummary) -> str:
    """Without a rate where no photograph was gone through: what is refused at the door takes no time."""
    taken = show_duration(summary.wall_seconds)
    if len(summary.failures) == len(summary.outcomes):
        return taken
    return f"{taken}, {summary.photographs_per_second:.3g} photographs a second"
