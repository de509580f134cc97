"""Figures for people: tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cleanplate.evaluate.goals import GOALS, measure_goals
from cleanplate.evaluate.score import PhotoScore
from cleanplate.evaluate.summary import GROUPINGS, Summary, recall_by_opacity, summarise

#: What stands behind a figure that reaches its goal, does not, or is not known.
MET = {True: " +", False: "  ", None: "  "}
#: Heading and what is shown under it, in the order of the columns.
COLUMNS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("photos", lambda s: str(s.photographs)),
    ("dB inside", lambda s: _show_change(s.inside_before, s.inside_after)),
    ("dB whole", lambda s: _show_change(s.whole_before, s.whole_after)),
    ("SSIM", lambda s: "-" if math.isnan(s.ssim_after) else f"{s.ssim_after:.3f}"),
    ("outline", lambda s: _show_change(s.ring_before, s.ring_after, 2)),
    ("repaired", lambda s: _show_share(s.repaired)),
    ("harmed", lambda s: _show_share(s.harmed)),
    ("F1", lambda s: _show_ratio(s.f1)),
    ("IoU", lambda s: _show_ratio(s.iou)),
    ("found", lambda s: _show_share(s.recall)),
    ("clean touched", lambda s: _show_share(s.clean_touched)),
)


def draw_tables(
    scores: Sequence[PhotoScore], baselines: Mapping[str, Sequence[PhotoScore]] | None = None
) -> Group:
    """All tables: the goals; everything together and by kind, opacity, size and format; what they leave out.

    baselines: name -> scores of the same photographs, shown beside the goals.
    """
    goals = draw_goals({"result": scores}, baselines or {})
    first = _draw_table("by kind", {**_summarise_groups("kind", scores), "all": summarise(scores)})
    others = [
        _draw_table(f"by {name}", _summarise_groups(name, scores)) for name in GROUPINGS if name != "kind"
    ]
    return Group(goals, first, *others, Text(describe(scores)))


def draw_goals(
    results: Mapping[str, Sequence[PhotoScore]], baselines: Mapping[str, Sequence[PhotoScore]]
) -> Table:
    """The goals' figures: first the baselines' columns, then the results', each with whether it is met."""
    table = Table(title="against the goals", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in (*baselines, *results, "goal"):
        table.add_column(Text(name), justify="right")
    known = [measure_goals(scores) for scores in baselines.values()]
    found = [measure_goals(scores) for scores in results.values()]
    for row, goal in enumerate(GOALS):
        cells = [figures[row].shown for figures in known]
        cells += [f"{figures[row].shown}{MET[figures[row].met]}" for figures in found]
        table.add_row(Text(goal.name), *cells, goal.show(goal.wanted))
    return table


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
    if not math.isnan(summary.ring_rmse_after):
        change = _show_change(summary.ring_rmse_before, summary.ring_rmse_after)
        lines.append(f"error in the ring along the marks' outlines: {change} grey levels")
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
        table.add_column(heading, justify="right", no_wrap=heading != "clean touched")
    for name, summary in rows.items():
        table.add_row(Text(name), *(show(summary) for _, show in COLUMNS))
    return table


def _show_change(before: float, after: float, decimals: int = 1) -> str:
    return "-" if math.isnan(before) else f"{before:.{decimals}f} > {after:.{decimals}f}"


def _show_share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _show_ratio(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"
