"""The monitor: sampling, thresholds, helpers; a card is pretended."""

import threading

import pytest
import torch

from cleanplate.device.memory import MemorySnapshot
from cleanplate.errors import InvalidSettingError
from cleanplate.monitor import CUDAMonitor, clean, cuda_memory, log_memory_usage, watch
from cleanplate.monitor.gpu import GpuFigures
from cleanplate.monitor.samples import History, Sample
from cleanplate.monitor.watch import describe_memory

CARD = torch.device("cuda:0")


def snapshot(system=0.5, card=None, device="cuda:0") -> MemorySnapshot:
    """Used shares of a thousand bytes."""
    return MemorySnapshot(
        device=device,
        free_bytes=None if card is None else round(1000 * (1 - card)),
        total_bytes=None if card is None else 1000,
        system_available_bytes=round(1000 * (1 - system)),
        system_total_bytes=1000,
        process_bytes=7,
    )


@pytest.fixture
def memory(monkeypatch):
    """What the monitor will read, one after the other; the last one again and again."""
    planned = [snapshot()]

    def read(_device):
        return planned.pop(0) if len(planned) > 1 else planned[0]

    monkeypatch.setattr(watch, "read_memory", read)
    return planned


def make_monitor(**options) -> CUDAMonitor:
    return CUDAMonitor(CARD, interval=0.001, **options)


def test_starting_and_stopping_again_and_again():
    monitor = CUDAMonitor("cpu", interval=60)
    for _ in range(2):
        assert monitor.start_monitoring() is monitor
        monitor.start()
        assert monitor.is_running
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("cleanplate-monitor") == 1
        monitor.stop_monitoring()
        monitor.stop()
        assert not monitor.is_running
        assert "cleanplate-monitor" not in [thread.name for thread in threading.enumerate()]
    assert len(monitor.history) >= 2


def test_stopped_and_started_in_a_callback_one_thread_goes_on(memory):
    memory[:] = [snapshot(system=0.95)]  # the level changes once
    monitor, stopped, restarted = make_monitor(), [], threading.Event()

    def restart(_crossing):
        stopped.append(threading.current_thread())
        monitor.stop_monitoring()
        monitor.start_monitoring()
        restarted.set()

    monitor.on_threshold(restart)
    with monitor:
        assert restarted.wait(30)
        stopped[0].join(30)
        assert not stopped[0].is_alive(), "the one that was stopped goes on"
        assert monitor.is_running


def test_without_a_card_it_works_and_says_what_is_missing():
    with CUDAMonitor("cpu", interval=60) as monitor:
        assert monitor.snapshot().process_bytes > 0
    summary = monitor.summary()
    assert summary["system_available_bytes"].count == len(monitor.history)
    assert not [name for name in summary if name.startswith("gpu")]
    assert "torch sees no CUDA card: no GPU figures" in monitor.missing


def test_summary_and_bounded_history():
    history = History(2)
    for process in (10, 40, 10):
        memory = MemorySnapshot(device="cpu", process_bytes=process)
        history.add(Sample(seconds=0.0, memory=memory))
    statistic = history.summarise()["process_bytes"]
    assert (statistic.now, statistic.peak, statistic.mean, statistic.count) == (10, 40, 20, 3)
    assert [sample.memory.process_bytes for sample in history] == [40, 10]
    assert len(history) == 2


def test_thresholds_are_told_once_and_with_hysteresis(memory):
    shares = [0.5, 0.81, 0.82, 0.79, 0.91, 0.86, 0.84, 0.74, 0.5]
    memory[:] = [snapshot(share) for share in shares]
    monitor, told = make_monitor(), []
    monitor.on_threshold(lambda crossing: told.append((crossing.place, crossing.level, crossing.share)))
    for _ in shares:
        monitor.sample()
    expected = [("warning", 0.81), ("critical", 0.91), ("warning", 0.84), ("normal", 0.74)]
    assert told == [("system", level, pytest.approx(share)) for level, share in expected]


def test_the_card_has_its_own_threshold(memory):
    memory[:] = [snapshot(card=0.95)]
    monitor, told = make_monitor(), []
    monitor.on_threshold(lambda crossing: told.append(str(crossing)))
    monitor.sample()
    assert told == ["GPU memory is at 95%: critical"]


def test_a_callback_that_fails_does_not_end_the_watching(memory, caplog):
    memory[:] = [snapshot(0.95)]
    monitor, told = make_monitor(), []

    def fail(_crossing):
        raise ValueError("a mistake")

    monitor.on_threshold(fail)
    monitor.on_threshold(told.append)
    monitor.sample()
    assert len(told) == 1
    assert "a mistake" in caplog.text


def test_the_cards_figures_come_from_nvml_where_torch_has_none(memory, monkeypatch):
    memory[:] = [snapshot()]
    monitor = make_monitor()
    figures = GpuFigures(
        free_bytes=3, total_bytes=4, utilisation_share=0.5, power_watts=70.0, throttling=("power cap",)
    )
    monkeypatch.setattr(monitor._gpu, "read", lambda: figures)
    sample = monitor.sample()
    assert sample.memory.used_share == 0.25
    assert sample.figures["gpu_free_bytes"] == 3
    assert sample.figures["gpu_utilisation_share"] == 0.5
    assert sample.figures["gpu_throttled"] == 1
    assert monitor.summary()["gpu_power_watts"].peak == 70.0


@pytest.mark.parametrize(
    "options", [{"interval": 0}, {"warning": 0.95}, {"warning": 0}, {"critical": 1.5}, {"interval": -1}]
)
def test_settings_out_of_range(options):
    with pytest.raises(InvalidSettingError):
        CUDAMonitor("cpu", **options)


def test_a_log_line(capsys):
    line = log_memory_usage("before - ", "cpu")
    assert capsys.readouterr().out == line + "\n"
    assert line.startswith("before - process ")
    assert CUDAMonitor("cpu").log_memory_usage().startswith("process ")


def test_a_line_on_a_card():
    memory = MemorySnapshot(
        device="cuda:0", allocated_bytes=1_000_000_000, reserved_bytes=2_000_000_000, process_bytes=5
    )
    assert describe_memory(memory).startswith("cuda:0 1 GB allocated, 2 GB reserved, ? free, process 5 B")


def test_cleaning_without_a_card():
    assert clean("cpu") >= 0
    assert CUDAMonitor("cpu").clean(aggressive=True) >= 0


class PretendedCuda:
    """torch.cuda as far as it is used; records what is called."""

    def __init__(self, monkeypatch):
        self.calls = []
        self.reserved = 100
        monkeypatch.setattr(watch, "is_cuda_in_use", lambda: True)
        monkeypatch.setattr(watch, "release_memory", self.release)
        monkeypatch.setattr(
            watch, "read_memory", lambda _: MemorySnapshot(device="cuda:0", reserved_bytes=self.reserved)
        )
        for name in ("synchronize", "ipc_collect", "reset_peak_memory_stats"):
            monkeypatch.setattr(torch.cuda, name, lambda *_, name=name: self.calls.append(name))
        monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 900)

    def release(self, _device, *, thorough=True):
        assert thorough
        self.calls.append("release")
        self.reserved = 40


def test_cleaning_a_card(monkeypatch):
    cuda = PretendedCuda(monkeypatch)
    assert clean(CARD, aggressive=True) == 60
    assert cuda.calls == ["synchronize", "ipc_collect", "release"]


def test_a_block_leaves_the_card_as_it_found_it_also_when_it_fails(monkeypatch):
    cuda = PretendedCuda(monkeypatch)
    uses = []

    def work():
        with cuda_memory(CARD) as use:
            uses.append(use)
            cuda.reserved = 500
            raise ValueError("work failed")

    with pytest.raises(ValueError, match="work failed"):
        work()
    assert (uses[0].before_bytes, uses[0].peak_bytes, uses[0].after_bytes) == (40, 900, 40)
    assert cuda.calls == ["release", "reset_peak_memory_stats", "release"]
