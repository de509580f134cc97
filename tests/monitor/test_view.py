"""The view, as text."""

import io

import pytest
from rich.console import Console

from cleanplate.monitor.records import RunStatus
from cleanplate.monitor.view import describe_status, draw_sparkline, find_level, format_figure, render

GIB = 1 << 30


def show(*arguments, **options) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    console.print(render(*arguments, **options))
    return console.file.getvalue()


def test_figures_notes_and_status():
    samples = [{"process_bytes": 1e9, "cpu_share": 0.25}, {"process_bytes": 2e9, "cpu_share": 0.5}]
    text = show(samples, RunStatus(state="running", total=3, images={"clean": 1}), notes=["no card"])
    for expected in ("running: 1 of 3 photographs (1 clean)", "process", "2 GB", "50 %", "▁█", "no card"):
        assert expected in text
    assert "GPU" not in text


@pytest.mark.parametrize(("used", "colour"), [(0.5, "32"), (0.85, "33"), (0.95, "31")])
def test_free_memory_has_the_colour_of_its_level(used, colour):
    text = show([{"gpu_free_bytes": 1000 * (1 - used), "gpu_total_bytes": 1000}])
    assert f"\x1b[{colour}m" in text


def test_of_free_memory_the_least_is_the_extreme():
    text = show([{"system_available_bytes": value} for value in (5e9, 2e9, 9e9)])
    assert "2 GB" in text


def test_nothing_yet():
    assert "no samples yet" in show([])


def test_a_sparkline_keeps_to_its_width():
    assert len(draw_sparkline(list(range(100)), width=10)) == 10
    assert draw_sparkline([]) == ""


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("gpu_temperature_celsius", 61.2, "61 °C"),
        ("gpu_power_watts", 71.0, "71 W"),
        ("cpu_share", 1, "100 %"),
    ],
)
def test_units(name, value, text):
    assert format_figure(name, value) == text


def test_levels():
    assert [find_level(share, 0.8, 0.9) for share in (0.79, 0.8, 0.9)] == ["normal", "warning", "critical"]


def test_a_status_tells_of_trouble():
    status = RunStatus(state="finished", total=2, skipped=5, out_of_memory=3, pauses=1)
    text = "finished: 0 of 2 photographs, 5 finished before, 3 times out of memory, paused 1 time"
    assert describe_status(status) == text
