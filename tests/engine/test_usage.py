"""What the run takes of the machine."""

import threading
import types

import pytest
import torch

from cleanplate.device import selection
from cleanplate.engine import usage
from cleanplate.engine.events import EventStream, MemorySampled
from cleanplate.engine.usage import UsageSampler, open_card, read_gpu_now, read_gpu_peak
from cleanplate.errors import UsageError
from cleanplate.monitor.gpu import GpuFigures
from cleanplate.settings import RepairSettings


def test_samples_reach_the_stream_and_the_peak_stays():
    samples = []
    three = threading.Event()

    def listen(event):
        samples.append(event)
        if len(samples) >= 3:
            three.set()

    with UsageSampler(EventStream([listen]), interval_s=0.001) as sampler:
        assert three.wait(30)
        sampler.stop()
        count = len(samples)
        figures = sampler.read()
    assert len(samples) == count
    assert isinstance(samples[0], MemorySampled)
    assert 0 < samples[0].available_bytes <= samples[0].total_bytes
    assert samples[0].gpu_total_bytes is None
    assert figures.peak_memory_bytes >= max(sample.resident_bytes for sample in samples)
    assert figures.peak_memory_bytes >= figures.memory_bytes > 0
    assert 0 <= figures.cpu_share <= 1


CARD = GpuFigures(
    name="Card",
    free_bytes=6,
    total_bytes=8,
    utilisation_share=0.5,
    temperature_celsius=61.0,
    power_watts=120.0,
    throttling=("power cap",),
)


def test_what_the_cards_driver_tells_is_in_the_samples_and_is_asked_once_a_second():
    samples, asked = [], []
    three = threading.Event()

    def listen(event):
        samples.append(event)
        if len(samples) >= 3:
            three.set()

    sampler = UsageSampler(EventStream([listen]), interval_s=0.001)
    sampler.read_card = lambda: asked.append(1) or CARD
    with sampler:
        assert three.wait(30)
    last = samples[-1]
    assert (last.gpu_free_bytes, last.gpu_total_bytes) == (6, 8)
    assert (last.gpu_utilisation_share, last.gpu_temperature_celsius, last.gpu_power_watts) == (0.5, 61, 120)
    assert last.gpu_throttled is True
    assert len(asked) < len(samples)


def test_without_a_card_nothing_is_told_of_one():
    samples = []
    one = threading.Event()
    with UsageSampler(EventStream([lambda event: samples.append(event) or one.set()]), interval_s=0.001):
        assert one.wait(30)
    assert samples[0].gpu_temperature_celsius is samples[0].gpu_throttled is None


@pytest.mark.parametrize(("device", "index"), [("cuda:1", 1), ("cuda", 0), ("cpu", None)])
def test_the_card_of_the_run_is_looked_at(monkeypatch, device, index):
    monkeypatch.setattr(usage, "GpuReader", lambda index: index)
    monkeypatch.setattr(selection, "resolve_device", torch.device)
    assert open_card(RepairSettings(device=device)) == index


def test_a_device_that_is_not_there_has_no_card(monkeypatch):
    def refuse(_):
        raise UsageError("there is none")

    monkeypatch.setattr(selection, "resolve_device", refuse)
    assert open_card(RepairSettings(device="cuda")) is None


def test_gpu_figures_are_torchs_own_where_it_is_in_use(monkeypatch):
    assert read_gpu_peak() == (None, None)
    cuda = types.SimpleNamespace(max_memory_allocated=lambda: 5, max_memory_reserved=lambda: 8)
    monkeypatch.setitem(__import__("sys").modules, "torch", types.SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(usage, "is_cuda_in_use", lambda: True)
    assert read_gpu_peak() == (5, 8)


def test_gpu_figures_of_the_moment_are_told_beside_the_peaks(monkeypatch):
    assert read_gpu_now() is None
    cuda = types.SimpleNamespace(
        current_device=lambda: 0,
        get_device_properties=lambda _: types.SimpleNamespace(total_memory=10),
        memory_allocated=lambda: 3,
        memory_reserved=lambda: 4,
    )
    monkeypatch.setitem(__import__("sys").modules, "torch", types.SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(usage, "is_cuda_in_use", lambda: True)
    assert read_gpu_now() == (3, 4, 10)
