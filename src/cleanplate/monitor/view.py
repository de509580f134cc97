"""The monitor on a terminal: figures, their recent course as sparklines, thresholds in colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cleanplate.device.units import format_bytes
from cleanplate.monitor.records import RunStatus

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40
COLOURS = {"normal": "green", "warning": "yellow", "critical": "red"}

#: Figures in the order of the view, with their labels; a figure not told on this machine has no row.
ROWS: Mapping[str, str] = {
    "gpu_allocated_bytes": "GPU allocated",
    "gpu_reserved_bytes": "GPU reserved",
    "gpu_free_bytes": "GPU free",
    "gpu_utilisation_share": "GPU busy",
    "gpu_temperature_celsius": "GPU temperature",
    "gpu_power_watts": "GPU power",
    "gpu_throttled": "GPU slowed down",
    "process_bytes": "process",
    "metered_peak_bytes": "work, at its peak",
    "staging_allocated_bytes": "staging, allocated",
    "system_available_bytes": "system available",
    "cpu_share": "processors busy",
}
#: What a figure is free memory of: coloured by the share that is used.
FREE_OF = {"gpu_free_bytes": "gpu_total_bytes", "system_available_bytes": "system_total_bytes"}


def draw_sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """The last `width` values as bars, from the least to the greatest of them.

    >>> draw_sparkline([0, 1, 2, 3])
    '▁▃▆█'
    >>> draw_sparkline([5, 5])
    '▁▁'
    """
    shown = values[-width:]
    if not shown:
        return ""
    least, most = min(shown), max(shown)
    scale = (len(BARS) - 1) / (most - least) if most > least else 0.0
    return "".join(BARS[round((value - least) * scale)] for value in shown)


def format_figure(name: str, value: float) -> str:
    """A figure in its user's unit, which its name tells.

    >>> format_figure("process_bytes", 2e9), format_figure("cpu_share", 0.5)
    ('2 GB', '50 %')
    """
    if name.endswith("_bytes"):
        return format_bytes(int(value))
    if name == "gpu_throttled":
        return "yes" if value else "no"
    if name.endswith("_share"):
        return f"{value:.0%}".replace("%", " %")
    return f"{value:.0f} {'°C' if name.endswith('_celsius') else 'W'}"


def find_level(used_share: float, warning: float, critical: float) -> str:
    """normal, warning or critical.

    >>> find_level(0.85, warning=0.8, critical=0.9)
    'warning'
    """
    return "critical" if used_share >= critical else "warning" if used_share >= warning else "normal"


def render(
    samples: Sequence[Mapping[str, float]],
    status: RunStatus | None = None,
    *,
    notes: Sequence[str] = (),
    warning: float = 0.8,
    critical: float = 0.9,
) -> RenderableType:
    """The whole view, for rich. samples: figures by name, oldest first (see `Sample.figures`)."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for header in ("", "now", "peak", "recent"):
        table.add_column(header, justify="right" if header in ("now", "peak") else "left")
    last = samples[-1] if samples else {}
    for name, label in ROWS.items():
        if name in last:
            values = [sample[name] for sample in samples if name in sample]
            extreme = min(values) if name in FREE_OF else max(values)
            now = _colour(name, last, warning, critical)
            table.add_row(label, now, format_figure(name, extreme), draw_sparkline(values))
    parts: list[Any] = [] if status is None else [Text(describe_status(status))]
    parts += [table if last else Text("no samples yet"), *(Text(note, style="dim") for note in notes)]
    return Group(*parts)


def describe_status(status: RunStatus) -> str:
    """A run's status as a line.

    >>> describe_status(RunStatus(state="running", total=9, images={"repaired": 3, "failed": 1}, pauses=1))
    'running: 4 of 9 photographs (3 repaired, 1 failed), paused 1 time'
    >>> describe_status(RunStatus(state="running", surveyed=9))
    'running: looking through 9 photographs for a mark that they share'
    """
    if status.surveyed:
        return f"{status.state}: looking through {status.surveyed} photographs for a mark that they share"
    images = ", ".join(
        f"{count} {verdict.replace('_', ' ')}" for verdict, count in status.images.items() if count
    )
    parts = [f"{status.done} of {status.total} photographs" + (f" ({images})" if images else "")]
    if status.skipped:
        parts.append(f"{status.skipped} finished before")
    if status.out_of_memory:
        parts.append(f"{status.out_of_memory} times out of memory")
    if status.pauses:
        parts.append(f"paused {status.pauses} time" + "s" * (status.pauses != 1))
    return f"{status.state}: {', '.join(parts)}"


def _colour(name: str, last: Mapping[str, float], warning: float, critical: float) -> Text:
    """The figure's text; free memory in the colour of its level."""
    from rich.text import Text

    text = format_figure(name, last[name])
    total = last.get(FREE_OF.get(name, ""))
    if not total:
        return Text(text)
    return Text(text, style=COLOURS[find_level(1.0 - last[name] / total, warning, critical)])
