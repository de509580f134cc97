"""NVML's figures, from a pretended library."""

from types import SimpleNamespace

import pytest

from cleanplate.errors import MissingExtraError
from cleanplate.monitor import gpu
from cleanplate.monitor.gpu import GpuFigures, GpuReader


class PretendedNvml:
    """The part of pynvml that is used; `broken` names calls that fail."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def __init__(self, broken=()):
        self.broken = set(broken)
        self.opened = []
        self.closed = 0

    def __getattr__(self, name):
        answers = {
            "nvmlInit": None,
            "nvmlShutdown": None,
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(free=3, total=8),
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=40),
            "nvmlDeviceGetPowerUsage": 71_500,
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetName": b"Card",
            "nvmlSystemGetDriverVersion": "570.1",
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x44,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetHandleByUUID": "handle",
        }
        if name not in answers:
            raise AttributeError(name)

        def call(*arguments):
            if name in self.broken:
                raise self.NVMLError(name)
            if "Handle" in name:
                self.opened.extend(arguments)
            self.closed += name == "nvmlShutdown"
            return answers[name]

        return call


@pytest.fixture
def nvml(monkeypatch):
    def pretend(broken=()):
        library = PretendedNvml(broken)
        monkeypatch.setattr(gpu, "require", lambda *_, **__: library)
        return library

    return pretend


def test_all_figures(nvml):
    library = nvml()
    reader = GpuReader()
    assert reader.missing is None
    assert reader.read() == GpuFigures(
        name="Card",
        free_bytes=3,
        total_bytes=8,
        utilisation_share=0.4,
        temperature_celsius=61.0,
        power_watts=71.5,
        throttling=("power cap", "temperature (hardware)"),
    )
    assert reader.read_driver() == "570.1"
    reader.close()
    reader.close()
    assert library.closed == 1
    assert reader.read() is None


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("nvmlDeviceGetMemoryInfo", "free_bytes"),
        ("nvmlDeviceGetUtilizationRates", "utilisation_share"),
        ("nvmlDeviceGetPowerUsage", "power_watts"),
        ("nvmlDeviceGetTemperature", "temperature_celsius"),
        ("nvmlDeviceGetName", "name"),
    ],
)
def test_one_missing_figure_leaves_the_others(nvml, call, field):
    nvml([call])
    figures = GpuReader().read()
    assert getattr(figures, field) is None
    assert sum(getattr(figures, name) is None for name in GpuFigures.__slots__) <= 2


def test_without_reasons_nothing_throttles(nvml):
    nvml(["nvmlDeviceGetCurrentClocksThrottleReasons"])
    assert GpuReader().read().throttling == ()


@pytest.mark.parametrize(
    ("visible", "index", "opened"),
    [("", 1, 1), ("3,2", 1, 2), ("GPU-abc, GPU-def", 1, "GPU-def"), ("5", 1, 1)],
)
def test_the_card_that_cuda_means(nvml, monkeypatch, visible, index, opened):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    library = nvml()
    GpuReader(index)
    assert library.opened == [opened]


def test_no_card(nvml):
    nvml(["nvmlInit"])
    reader = GpuReader()
    assert reader.missing == "no NVIDIA card can be read (nvmlInit)"
    assert (reader.read(), reader.read_driver()) == (None, None)
    reader.close()


def test_without_the_extra_it_says_how_to_install_it(monkeypatch):
    def missing(*_, **__):
        raise MissingExtraError("pynvml is not installed; pip install 'cleanplate[gpu]'")

    monkeypatch.setattr(gpu, "require", missing)
    reader = GpuReader()
    assert "pip install 'cleanplate[gpu]'" in reader.missing
    assert reader.read() is None
