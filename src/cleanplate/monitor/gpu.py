"""What NVIDIA's management library tells of a card, without making a CUDA context.

It needs the extra `gpu` (`nvidia-ml-py`). Cards and drivers differ in what they tell, so each figure is asked
for on its own and is None where it cannot be had.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cleanplate.errors import MissingExtraError
from cleanplate.extras import require

#: Bits of the reasons for which a card runs slower than it could, as NVML numbers them.
THROTTLE_REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "temperature (software)",
    0x40: "temperature (hardware)",
    0x80: "power brake",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuFigures:
    """A card at one moment. Shares in [0, 1]; None where the card does not tell.

    throttling: why it runs slower than it could; empty where it does not.
    """

    name: str | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None
    utilisation_share: float | None = None
    temperature_celsius: float | None = None
    power_watts: float | None = None
    throttling: tuple[str, ...] = ()


class GpuReader:
    """Reads one card through NVML. Where that cannot be, `missing` says why and `read` gives None.

    index: the card's number as CUDA counts, CUDA_VISIBLE_DEVICES obeyed.
    """

    def __init__(self, index: int = 0) -> None:
        self.missing: str | None = None
        self._handle: Any = None
        try:
            self._nvml: Any = require("pynvml", extra="gpu")
        except MissingExtraError as error:
            self.missing = str(error)
            return
        try:
            self._nvml.nvmlInit()
            self._handle = self._open(index)
        except self._nvml.NVMLError as error:
            self.missing = f"no NVIDIA card can be read ({error})"

    def _open(self, index: int) -> Any:
        """The handle of a card by CUDA's number: NVML counts the hidden ones too."""
        visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
        wanted = visible[index] if index < len(visible) and visible[index] else str(index)
        if wanted.isdecimal():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(wanted))
        return self._nvml.nvmlDeviceGetHandleByUUID(wanted)

    def read(self) -> GpuFigures | None:
        """The card's figures now, or None without a card."""
        if self._handle is None:
            return None
        nvml = self._nvml
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo)
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates)
        milliwatts = self._ask(nvml.nvmlDeviceGetPowerUsage)
        temperature = self._ask(lambda h: nvml.nvmlDeviceGetTemperature(h, nvml.NVML_TEMPERATURE_GPU))
        name = self._ask(nvml.nvmlDeviceGetName)
        return GpuFigures(
            name=name.decode() if isinstance(name, bytes) else name,
            free_bytes=None if memory is None else int(memory.free),
            total_bytes=None if memory is None else int(memory.total),
            utilisation_share=None if rates is None else rates.gpu / 100.0,
            temperature_celsius=None if temperature is None else float(temperature),
            power_watts=None if milliwatts is None else milliwatts / 1000.0,
            throttling=self._read_throttling(),
        )

    def read_driver(self) -> str | None:
        """The driver's version, or None without a card."""
        if self._handle is None:
            return None
        found = self._ask(lambda _: self._nvml.nvmlSystemGetDriverVersion())
        return found.decode() if isinstance(found, bytes) else found

    def close(self) -> None:
        """Let go of the library."""
        if self._handle is not None:
            self._ask(lambda _: self._nvml.nvmlShutdown())
            self._handle = None

    def _read_throttling(self) -> tuple[str, ...]:
        # Drivers from 535 on call the reasons events; older ones know the first name only.
        nvml = self._nvml
        bits = self._ask(lambda handle: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
        if bits is None:
            bits = self._ask(lambda handle: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
        return tuple(reason for bit, reason in THROTTLE_REASONS.items() if bits & bit)

    def _ask(self, function: Callable[[Any], Any]) -> Any:
        try:
            return function(self._handle)
        except (self._nvml.NVMLError, AttributeError):
            return None
