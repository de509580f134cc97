"""The course of a training run as a picture: one panel a figure, over the steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

Curve = list[tuple[int, float]]

PANEL_SIZE = (420, 220)
MARGIN_PX = 34
COLUMNS = 3
INK, GRID, TRAINING, VALIDATION = (40, 40, 40), (225, 225, 225), (31, 119, 180), (214, 90, 14)
#: What the best weights are chosen by: its best point is ringed.
GOAL = "validation goal"
#: Not worth a panel.
LEFT_OUT = {"step", "examples_per_second"}


def read_curves(log: Path) -> dict[str, Curve]:
    """Figures by name, as (step, value) in the order of the steps; validation's begin with "validation ".

    log: the `log.jsonl` of a run. A resumed run may log a step again: the last line counts. A last line that
    was cut off is left out.
    """
    curves: dict[str, dict[int, float]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue  # the process ended while it wrote
        step = int(entry["step"])
        figures = {name: value for name, value in entry.items() if isinstance(value, int | float)}
        figures |= {f"validation {name}": value for name, value in entry.get("validation", {}).items()}
        for name in figures.keys() - LEFT_OUT:
            curves.setdefault(name, {})[step] = float(figures[name])
    order = sorted(curves, key=lambda name: (name.startswith("validation"), name != "loss", name))
    return {name: sorted(curves[name].items()) for name in order}


def draw_curves(log: Path, picture: Path) -> None:
    """Draw a run's curves as a PNG; nothing where nothing has been logged yet."""
    curves = read_curves(log) if log.exists() else {}
    if not curves:
        return
    width, height = PANEL_SIZE
    rows = -(-len(curves) // COLUMNS)
    sheet = Image.new("RGB", (width * min(COLUMNS, len(curves)), height * rows), "white")
    for index, (name, curve) in enumerate(curves.items()):
        panel = _draw_panel(name, curve)
        sheet.paste(panel, (width * (index % COLUMNS), height * (index // COLUMNS)))
    sheet.save(picture, format="PNG")


def _draw_panel(name: str, curve: Curve) -> Image.Image:
    width, height = PANEL_SIZE
    panel = Image.new("RGB", PANEL_SIZE, "white")
    pen = ImageDraw.Draw(panel)
    left, top, right, bottom = MARGIN_PX + 16, MARGIN_PX, width - 12, height - MARGIN_PX
    steps = np.array([step for step, _ in curve], np.float64)
    values = np.array([value for _, value in curve], np.float64)
    low, high = _choose_range(values)
    across = left + (right - left) * (steps - steps[0]) / max(1.0, steps[-1] - steps[0])
    down = bottom - (bottom - top) * (values - low) / (high - low)
    for share in (0.0, 0.5, 1.0):
        row = bottom - (bottom - top) * share
        pen.line((left, row, right, row), fill=GRID)
        pen.text((4, row - 6), f"{low + (high - low) * share:.3g}", fill=INK)
    points = [(float(x), float(y)) for x, y in zip(across, down, strict=True)]
    colour = VALIDATION if name.startswith("validation") else TRAINING
    pen.line(points, fill=colour, width=2)
    if name == GOAL:
        best = int(values.argmax())
        pen.ellipse(
            (points[best][0] - 5, points[best][1] - 5, points[best][0] + 5, points[best][1] + 5), outline=INK
        )
        pen.text((right, 8), f"best {values[best]:.4g} at {steps[best]:.0f}", fill=INK, anchor="ra")
    pen.ellipse((points[-1][0] - 3, points[-1][1] - 3, points[-1][0] + 3, points[-1][1] + 3), fill=colour)
    pen.text((left, 8), f"{name}  {values[-1]:.4g}", fill=INK)
    pen.text((left, bottom + 8), f"step {steps[0]:.0f}", fill=INK)
    pen.text((right, bottom + 8), f"{steps[-1]:.0f}", fill=INK, anchor="ra")
    return panel


def _choose_range(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    """Lowest and highest value shown; the first steps' peaks may leave the panel's top unused, never cut."""
    low, high = float(values.min()), float(values.max())
    return (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)
