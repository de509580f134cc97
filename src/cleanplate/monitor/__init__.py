"""Samples the device over time: thresholds, summaries, a live view, Prometheus text."""

from cleanplate.monitor.samples import Sample, Statistic
from cleanplate.monitor.watch import (
    Crossing,
    CUDAMonitor,
    MemoryUse,
    clean,
    cuda_memory,
    log_memory_usage,
)

__all__ = [
    "CUDAMonitor",
    "Crossing",
    "MemoryUse",
    "Sample",
    "Statistic",
    "clean",
    "cuda_memory",
    "log_memory_usage",
]
