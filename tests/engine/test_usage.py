"""What the run takes of the machine."""

import threading
import types

from cleanplate.engine import usage
from cleanplate.engine.events import EventStream, MemorySampled
from cleanplate.engine.usage import UsageSampler, read_gpu_now, read_gpu_peak


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
