"""Curves as a PNG, drawn with Pillow: the benchmarks need no plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, PANEL_HEIGHT = 900, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 30
COLOURS = ("#1f6fb2", "#c8501e", "#3a8f4b")
INK, GRID = "#333333", "#dddddd"
#: Drawn larger and scaled down, for smooth lines.
FINER = 2


@dataclass(frozen=True, kw_only=False)
class Panel:
    """One diagram. curves: name -> (across, up). Up begins at 0."""

    title: str
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]


def draw_panels(path: Path, panels: Sequence[Panel], *, across: str) -> None:
    """Panels one above the other over the same axis."""
    size = (WIDTH * FINER, (PANEL_HEIGHT * len(panels) + BOTTOM) * FINER)
    picture = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(picture)
    most_across = max(max(x) for panel in panels for x, _ in panel.curves.values())
    for number, panel in enumerate(panels):
        _draw_panel(pen, panel, number * PANEL_HEIGHT, most_across)
    _write(pen, (WIDTH - RIGHT, size[1] / FINER - 22), across, anchor="ra")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.resize((size[0] // FINER, size[1] // FINER), Image.Resampling.LANCZOS).save(path, optimize=True)


def _draw_panel(pen: ImageDraw.ImageDraw, panel: Panel, top: int, most_across: float) -> None:
    step, most_up = _choose_step(max(max(y) for _, y in panel.curves.values()))
    left, right, low, high = LEFT, WIDTH - RIGHT, top + PANEL_HEIGHT - BOTTOM, top + TOP
    for tick in np.arange(0, most_up + step / 2, step):
        y = low - (low - high) * tick / most_up
        _draw_line(pen, [(left, y), (right, y)], GRID, 1)
        _write(pen, (left - 8, y), f"{tick:g}", anchor="rm")
    step_across, _ = _choose_step(most_across)
    for tick in np.arange(0, most_across + 1e-9, step_across):
        x = left + (right - left) * tick / most_across
        _write(pen, (x, low + 6), f"{tick:g}", anchor="ma")
    _write(pen, (left, top + 12), panel.title, anchor="la", size=15)
    for number, (name, (xs, ys)) in enumerate(panel.curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = [
            (left + (right - left) * x / most_across, low - (low - high) * y / most_up)
            for x, y in zip(xs, ys, strict=True)
        ]
        _draw_line(pen, points, colour, 2)
        _write(pen, (right - 150 * number, top + 12), name, anchor="ra", colour=colour, size=15)


def _choose_step(most: float) -> tuple[float, float]:
    """A round distance between ticks, at most six of them, and where the axis ends."""
    for step in (base * 10.0**power for power in range(-3, 9) for base in (1, 2, 5)):
        if most / step <= 6:
            return step, step * max(1, np.ceil(most / step))
    return most, most


def _draw_line(
    pen: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], colour: str, width: int
) -> None:
    pen.line([(x * FINER, y * FINER) for x, y in points], fill=colour, width=width * FINER, joint="curve")


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    *,
    anchor: str,
    colour: str = INK,
    size: int = 12,
) -> None:
    font = ImageFont.load_default(size * FINER)
    pen.text((at[0] * FINER, at[1] * FINER), text, fill=colour, font=font, anchor=anchor)
