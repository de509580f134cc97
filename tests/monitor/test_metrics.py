"""Prometheus text, and the server of it, on this machine only."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cleanplate.errors import UsageError
from cleanplate.monitor.metrics import render_metrics, serve_metrics
from cleanplate.monitor.records import RunStatus

STATUS = RunStatus(
    state="running",
    images={"repaired": 3, "failed": 1},
    seconds={"read": 0.5},
    out_of_memory=2,
    pauses=1,
    cleanings=4,
)


def parse(text: str) -> dict[tuple, float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_names_are_in_base_units():
    figures = {"gpu_reserved_bytes": 7.0, "cpu_share": 0.5, "seconds": 1.0}
    assert parse(render_metrics(figures, STATUS)) == {
        ("cleanplate_gpu_memory_reserved_bytes",): 7.0,
        ("cleanplate_cpu_utilisation_ratio",): 0.5,
        ("cleanplate_oom_total",): 2.0,
        ("cleanplate_pauses_total",): 1.0,
        ("cleanplate_cleanings_total",): 4.0,
        ("cleanplate_images_total", "repaired"): 3.0,
        ("cleanplate_images_total", "failed"): 1.0,
        ("cleanplate_stage_seconds_total", "read"): 0.5,
    }


def test_the_server_tells_what_is_now_and_ends():
    figures = {"process_bytes": 1.0}
    with serve_metrics(0, lambda: figures) as port:
        url = f"http://127.0.0.1:{port}/metrics"
        for value in (1.0, 2.0):
            figures["process_bytes"] = value
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert parse(answer.read().decode()) == {("cleanplate_process_resident_memory_bytes",): value}
        with pytest.raises(UsageError, match="give another"), serve_metrics(port, lambda: figures):
            pass
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)
