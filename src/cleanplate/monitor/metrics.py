"""Figures for Prometheus: rendered as text, and served to this machine alone.

Names are in base units. It needs the extra `prometheus` (`prometheus-client`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cleanplate.errors import UsageError
from cleanplate.extras import require
from cleanplate.monitor.records import RunStatus

LOOPBACK = "127.0.0.1"
PREFIX = "cleanplate"

#: Figure of a sample -> (name without the prefix, meaning).
GAUGES: Mapping[str, tuple[str, str]] = {
    "gpu_allocated_bytes": ("gpu_memory_allocated_bytes", "live tensors on the GPU"),
    "gpu_reserved_bytes": ("gpu_memory_reserved_bytes", "what torch holds on the GPU"),
    "gpu_free_bytes": ("gpu_memory_free_bytes", "free memory of the GPU"),
    "gpu_total_bytes": ("gpu_memory_total_bytes", "memory of the GPU"),
    "gpu_utilisation_share": ("gpu_utilisation_ratio", "share of time in which the GPU worked"),
    "gpu_temperature_celsius": ("gpu_temperature_celsius", "temperature of the GPU"),
    "gpu_power_watts": ("gpu_power_watts", "power that the GPU draws"),
    "gpu_throttled": ("gpu_throttled", "1 where the GPU runs slower than it could, else 0"),
    "system_available_bytes": ("system_memory_available_bytes", "memory that programs can still get"),
    "system_total_bytes": ("system_memory_total_bytes", "memory of the machine or its control group"),
    "process_bytes": ("process_resident_memory_bytes", "resident memory of the process"),
    "metered_peak_bytes": ("metered_peak_bytes", "most that live tensors and queued pictures took"),
    "staging_allocated_bytes": ("staging_allocated_bytes", "host memory newly allocated for batches"),
    "staging_reused_bytes": ("staging_reused_bytes", "host memory used again for batches"),
    "cpu_share": ("cpu_utilisation_ratio", "share of all processors in use"),
}


class _Collector:
    """Hands prometheus-client the figures as they are when it asks."""

    def __init__(
        self, figures: Callable[[], Mapping[str, float]], status: Callable[[], RunStatus | None]
    ) -> None:
        self._core: Any = require("prometheus_client.core", extra="prometheus")
        self._figures = figures
        self._status = status

    def collect(self) -> Iterator[Any]:
        """Every metric with its values."""
        figures = self._figures()
        for name, (metric, meaning) in GAUGES.items():
            if name in figures:
                yield self._core.GaugeMetricFamily(f"{PREFIX}_{metric}", meaning, value=figures[name])
        status = self._status()
        if status is None:
            return
        yield self._count("oom", "pieces of work that ran out of memory", status.out_of_memory)
        yield self._count("pauses", "waits, for memory or for who held the run", status.pauses)
        yield self._count("cleanings", "times that memory was cleaned up", status.cleanings)
        yield self._table("images", "photographs by what became of them", "verdict", status.images)
        yield self._table("stage_seconds", "time spent, summed over threads", "stage", status.seconds)

    def _count(self, name: str, meaning: str, value: float) -> Any:
        return self._core.CounterMetricFamily(f"{PREFIX}_{name}", meaning, value=value)

    def _table(self, name: str, meaning: str, label: str, values: Mapping[str, float]) -> Any:
        family = self._core.CounterMetricFamily(f"{PREFIX}_{name}", meaning, labels=[label])
        for key, value in values.items():
            family.add_metric([key], value)
        return family


def render_metrics(figures: Mapping[str, float], status: RunStatus | None = None) -> str:
    """Figures of a sample (`Sample.figures`) and a run's status in Prometheus' text format.

    Raises MissingExtraError without prometheus-client.

    >>> print(render_metrics({"process_bytes": 1024.0}), end="")
    # HELP cleanplate_process_resident_memory_bytes resident memory of the process
    # TYPE cleanplate_process_resident_memory_bytes gauge
    cleanplate_process_resident_memory_bytes 1024.0
    """
    client = require("prometheus_client", extra="prometheus")
    registry = client.CollectorRegistry()
    registry.register(_Collector(lambda: figures, lambda: status))
    return str(client.generate_latest(registry).decode())


@contextmanager
def serve_metrics(
    port: int,
    figures: Callable[[], Mapping[str, float]],
    status: Callable[[], RunStatus | None] = lambda: None,
) -> Iterator[int]:
    """Serve metrics at http://127.0.0.1:port/metrics while inside; gives the port (0 asks for any free one).

    Raises MissingExtraError without prometheus-client, UsageError where the port is taken.
    """
    client = require("prometheus_client", extra="prometheus")
    registry = client.CollectorRegistry()
    registry.register(_Collector(figures, status))
    try:
        server, thread = client.start_http_server(port, addr=LOOPBACK, registry=registry)
    except OSError as exc:
        raise UsageError(
            f"--prometheus {port}: the port cannot be used ({exc.strerror}); give another"
        ) from exc
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
