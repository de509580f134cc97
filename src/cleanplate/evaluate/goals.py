"""The figures that this project means to reach, and how far a result is from them.

They are for automatic repair with no mask given, `--threshold 0.0005`, photographs at their own size of 480
to 2400 pixels, drawn by `cleanplate evaluate make`. Which photographs a figure is of: PSNR, repaired,
harmed and mask figures of the marked ones, "touched" of the clean ones, "found" of single marks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cleanplate.evaluate.score import PhotoScore
from cleanplate.evaluate.summary import group_by_opacity, recall_by_opacity, summarise, to_plain

Unit = Literal["dB", "share", "ratio"]


@dataclass(frozen=True)
class Goal:
    """A figure and what is wanted of it. higher: whether more is better."""

    key: str
    name: str
    wanted: float
    unit: Unit
    measure: Callable[[Sequence[PhotoScore]], float]
    higher: bool = True

    def is_met(self, value: float) -> bool | None:
        """Whether a value reaches the goal; None where it is not known (NaN)."""
        if math.isnan(value):
            return None
        return value >= self.wanted if self.higher else value <= self.wanted

    def show(self, value: float) -> str:
        """A value in the figure's unit.

        >>> GOALS[0].show(27.96), GOALS[5].show(0.5), GOALS[0].show(float("nan"))
        ('28.0', '50.0 %', '-')
        """
        if math.isnan(value):
            return "-"
        if self.unit == "share":
            return f"{100 * value:.1f} %"
        return f"{value:.1f}" if self.unit == "dB" else f"{value:.2f}"


@dataclass(frozen=True)
class Figure:
    """A goal and what a set of photographs came to."""

    goal: Goal
    value: float

    @property
    def met(self) -> bool | None:
        return self.goal.is_met(self.value)

    @property
    def shown(self) -> str:
        return self.goal.show(self.value)


def measure_goals(scores: Iterable[PhotoScore]) -> list[Figure]:
    """Every goal's figure, in the order of GOALS; NaN where nothing is there to measure it on."""
    every = list(scores)
    return [Figure(goal, goal.measure(every)) for goal in GOALS]


def goals_to_json(columns: Mapping[str, Sequence[PhotoScore]]) -> list[dict[str, Any]]:
    """Every goal with each column's figure, and whether the first column's is met; None where not known."""
    measured = {name: measure_goals(scores) for name, scores in columns.items()}
    first = next(iter(measured.values()))
    content: list[dict[str, Any]] = [
        {
            "key": goal.key,
            "goal": goal.wanted,
            **{name: figures[row].value for name, figures in measured.items()},
            "met": first[row].met,
        }
        for row, goal in enumerate(GOALS)
    ]
    plain: list[dict[str, Any]] = to_plain(content)
    return plain


def _inside(band: str | None) -> Callable[[Sequence[PhotoScore]], float]:
    def measure(scores: Sequence[PhotoScore]) -> float:
        chosen = scores if band is None else group_by_opacity(scores).get(band, [])
        return summarise(chosen).inside_after

    return measure


def _recall(band: str) -> Callable[[Sequence[PhotoScore]], float]:
    return lambda scores: recall_by_opacity(scores).get(band, float("nan"))


GOALS: tuple[Goal, ...] = (
    Goal("inside", "PSNR inside the mark, mean", 28, "dB", _inside(None)),
    Goal("inside_under_35", "  opacity under .35", 30, "dB", _inside("under .35")),
    Goal("inside_35_60", "  opacity .35 to .6", 30, "dB", _inside(".35-.6")),
    Goal("inside_60_86", "  opacity .6 to .86", 25, "dB", _inside(".6-.86")),
    Goal("inside_opaque", "  opaque", 25, "dB", _inside("opaque")),
    Goal("repaired", "repaired (+3 dB inside)", 0.92, "share", lambda s: summarise(s).repaired),
    Goal("harmed", "harmed (-0.05 dB, whole)", 0.01, "share", lambda s: summarise(s).harmed, higher=False),
    Goal(
        "clean_touched",
        "clean photographs touched",
        0.01,
        "share",
        lambda s: summarise(s).clean_touched,
        higher=False,
    ),
    Goal("f1", "mask F1 (opacity > 0.02)", 0.85, "ratio", lambda s: summarise(s).f1),
    Goal("iou", "mask IoU (opacity > 0.02)", 0.75, "ratio", lambda s: summarise(s).iou),
    Goal("found_15_35", "found, opacity .15 to .35", 0.80, "share", _recall(".15-.35")),
    Goal("found_35_60", "found, opacity .35 to .6", 0.95, "share", _recall(".35-.6")),
    Goal("found_over_60", "found, opacity over .6", 0.99, "share", _recall("over .6")),
)
