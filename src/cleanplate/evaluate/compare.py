"""Two results of the same triples side by side: two checkpoints, two tools, or one of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cleanplate.evaluate.goals import measure_goals
from cleanplate.evaluate.run import Scored
from cleanplate.evaluate.score import PhotoScore
from cleanplate.evaluate.summary import GROUPINGS, Summary, summarise, to_plain
from cleanplate.evaluate.tables import COLUMNS, draw_goals

#: Results whose photographs differ by less than this, inside the marks, are as good as each other.
EVEN_DB = 0.5
#: What is compared group by group: its heading and how a summary shows it (see `tables.COLUMNS`).
COMPARED = ("dB inside", "repaired", "harmed", "F1", "clean touched")


@dataclass(frozen=True, eq=False)
class Pair:
    """What two sides made of one triple."""

    first: Scored
    second: Scored

    @property
    def lead(self) -> float:
        """dB by which the second is better (inside the marks; of a clean photograph, as a whole)."""
        return lead_of(self.first.score, self.second.score)


def pair_up(first: Iterator[Scored], second: Iterator[Scored]) -> Iterator[Pair]:
    """Both sides' results of each triple, which must come in the same order."""
    return (Pair(one, other) for one, other in zip(first, second, strict=True))


def lead_of(first: PhotoScore, second: PhotoScore) -> float:
    """dB by which the second score is better than the first."""
    return second.gain - first.gain


def count_wins(first: Sequence[PhotoScore], second: Sequence[PhotoScore]) -> tuple[int, int, int]:
    """(first better, as good, second better) over photographs, by more than EVEN_DB."""
    leads = [lead_of(one, other) for one, other in zip(first, second, strict=True)]
    lost, won = sum(lead < -EVEN_DB for lead in leads), sum(lead > EVEN_DB for lead in leads)
    return lost, len(leads) - lost - won, won


def draw_comparison(
    names: tuple[str, str], first: Sequence[PhotoScore], second: Sequence[PhotoScore]
) -> Group:
    """Tables: the goals for both, and each grouping's rows for both."""
    sides = {f"A {names[0]}": first, f"B {names[1]}": second}
    tables = [draw_goals(sides, {})]
    for grouping, group in GROUPINGS.items():
        table = Table(title=f"by {grouping}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("", no_wrap=True)
        for heading in COMPARED:
            table.add_column(f"{heading}, A", justify="right")
            table.add_column("B", justify="right")
        groups = [{key: summarise(scores) for key, scores in group(side).items()} for side in (first, second)]
        for key in groups[0]:
            table.add_row(Text(key), *_show_both(groups[0][key], groups[1][key]))
        tables.append(table)
    lost, even, won = count_wins(first, second)
    return Group(*tables, Text(f"better by over {EVEN_DB} dB: A {lost}, B {won}, neither {even}"))


def comparison_to_json(
    names: tuple[str, str], first: Sequence[PhotoScore], second: Sequence[PhotoScore]
) -> dict[str, Any]:
    """The same as plain values, with every photograph's lead."""
    lost, even, won = count_wins(first, second)
    content = {
        "a": names[0],
        "b": names[1],
        "goals": [
            {"key": one.goal.key, "goal": one.goal.wanted, "a": one.value, "b": other.value}
            for one, other in zip(measure_goals(first), measure_goals(second), strict=True)
        ],
        "all": {"a": asdict(summarise(first)), "b": asdict(summarise(second))},
        **{
            f"by_{name}": {
                side: {key: asdict(summarise(scores)) for key, scores in group(every).items()}
                for side, every in (("a", first), ("b", second))
            }
            for name, group in GROUPINGS.items()
        },
        "wins": {"a": lost, "b": won, "even": even},
        "photographs": [
            {"name": one.name, "a": one.inside_after, "b": other.inside_after, "lead": lead_of(one, other)}
            for one, other in zip(first, second, strict=True)
        ],
    }
    plain: dict[str, Any] = to_plain(content)
    return plain


def _show_both(first: Summary, second: Summary) -> list[str]:
    shows = dict(COLUMNS)
    cells = []
    for heading in COMPARED:
        for summary in (first, second):
            shown = shows[heading](summary)
            cells.append(shown.rsplit("> ", 1)[-1])  # a change: what came of it
    return cells
