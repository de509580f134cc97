"""Figures for people: tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cleanplate.evaluate.score import PhotoScore
from cleanplate.evaluate.summary import GROUPINGS, Summary, recall_by_opacity, summarise

#: Heading and what is shown under it, in the order of the columns.
COLUMNS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("photos", lambda s: str(s.photographs)),
    ("dB inside", lambda s: _show_change(s.inside_before, s.inside_after)),
    ("dB whole", lambda s: _show_change(s.whole_before, s.whole_after)),
    ("repaired", lambda s: _show_share(s.repaired)),
    ("harmed", lambda s: _show_share(s.harmed)),
    ("F1", lambda s: _show_ratio(s.f1)),
    ("IoU", lambda s: _show_ratio(s.iou)),
    ("found", lambda s: _show_share(s.recall)),
    ("clean touched", lambda s: _show_share(s.clean_touched)),
)


def draw_tables(scores: Sequence[PhotoScore]) -> Group:
    """All tables: everything together and by kind, by opacity, size and format, and what they leave out."""
    first = _draw_table("by kind", {**_summarise_groups("kind", scores), "all": summarise(scores)})
    others = [
        _draw_table(f"by {name}", _summarise_groups(name, scores)) for name in GROUPINGS if name != "kind"
    ]
    return Group(first, *others, Text(describe(scores)))


def describe(scores: Sequence[PhotoScore]) -> str:
    """What the tables have no column for, in a few lines."""
    summary = summarise(scores)
    lines = []
    found = recall_by_opacity(scores)
    if found:
        lines.append(
            "marks found, by opacity: " + ", ".join(f"{b} {_show_share(v)}" for b, v in found.items())
        )
        pooled = f"F1 {_show_ratio(summary.pooled_f1)}, IoU {_show_ratio(summary.pooled_iou)}"
        lines.append(f"mask over all marked photographs' pixels together: {pooled}")
    if summary.clean:
        lines.append(f"clean photographs harmed: {_show_share(summary.clean_harmed)} of {summary.clean}")
    if not math.isnan(summary.seconds):
        lines.append(f"median time of a repair: {summary.seconds:.2f} s")
    failures = [f"  {s.name}: {s.error}" for s in scores if s.error is not None]
    if failures:
        lines.append(f"{summary.failed} without a result, scored as left alone:")
    return "\n".join(lines + failures)


def _summarise_groups(name: str, scores: Sequence[PhotoScore]) -> dict[str, Summary]:
    return {key: summarise(members) for key, members in GROUPINGS[name](scores).items()}


def _draw_table(title: str, rows: dict[str, Summary]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading, _ in COLUMNS:
        table.add_column(heading, justify="right")
    for name, summary in rows.items():
        table.add_row(Text(name), *(show(summary) for _, show in COLUMNS))
    return table


def _show_change(before: float, after: float) -> str:
    return "-" if math.isnan(before) else f"{before:.1f} > {after:.1f}"


def _show_share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _show_ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
