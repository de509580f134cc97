"""The original plan's door to `cleanplate.monitor`."""

from cleanplate.monitor import CUDAMonitor, log_memory_usage

__all__ = ["CUDAMonitor", "log_memory_usage"]
