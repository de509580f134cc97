"""Snapshots of the host and, pretended, of a card."""

import psutil
import pytest
import torch

from cleanplate.device import memory
from cleanplate.device.cgroups import MemoryLimit
from cleanplate.device.memory import (
    CudaMemory,
    HostMemory,
    MemorySnapshot,
    is_cuda_in_use,
    open_memory,
    read_memory,
    read_system_memory,
    release_memory,
)


@pytest.fixture
def limited(monkeypatch):
    def limit(value: MemoryLimit | None) -> None:
        monkeypatch.setattr(memory, "read_memory_limit", lambda: value)

    return limit


def test_the_host_alone(limited):
    limited(None)
    available, total = read_system_memory()
    assert total == psutil.virtual_memory().total
    assert 0 < available < total


def test_a_control_group_counts(limited):
    limited(MemoryLimit(limit_bytes=10_000_000, free_bytes=4_000_000))
    assert read_system_memory() == (4_000_000, 10_000_000)
    snapshot = HostMemory().read()
    assert snapshot.system_used_share == pytest.approx(0.6)
    assert snapshot.free_bytes == 4_000_000


def test_a_loose_control_group_does_not(limited):
    limited(MemoryLimit(limit_bytes=1 << 50, free_bytes=1 << 50))
    assert read_system_memory()[1] == psutil.virtual_memory().total


def test_shares_are_unknown_without_figures():
    snapshot = MemorySnapshot(device="cuda:0")
    assert snapshot.used_share is None
    assert snapshot.system_used_share is None
    assert snapshot.idle_bytes == 0


def test_host_memory_meters_and_limits():
    host = open_memory(torch.device("cpu"), limit_bytes=2048)
    with host.metering():
        x = torch.zeros(256)
        with pytest.raises(torch.OutOfMemoryError):
            torch.zeros(512)
    snapshot = host.read()
    assert snapshot.allocated_bytes == 1024
    assert snapshot.reserved_bytes is None
    assert snapshot.process_bytes > 1_000_000
    assert host.read_peak() == 1024
    del x
    host.reset_peak()
    assert host.read_peak() == 0
    host.release()


class PretendedCuda:
    """What torch.cuda tells of a card."""

    def __init__(self, monkeypatch, *, initialised: bool):
        self.emptied = self.reset = 0
        for name, value in {
            "is_initialized": lambda: initialised,
            "mem_get_info": lambda _: (6_000, 8_000),
            "memory_allocated": lambda _: 1_000,
            "memory_reserved": lambda _: 1_500,
            "max_memory_reserved": lambda _: 1_700,
            "empty_cache": self.empty,
            "reset_peak_memory_stats": self.note_reset,
            "device": lambda _: memory.nullcontext(),
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def empty(self):
        self.emptied += 1

    def note_reset(self, _):
        self.reset += 1


def test_a_card_has_the_allocators_and_the_drivers_figures(monkeypatch):
    cuda = PretendedCuda(monkeypatch, initialised=True)
    card = open_memory(torch.device("cuda:0"))
    assert isinstance(card, CudaMemory)
    snapshot = card.read()
    assert (snapshot.device, snapshot.used_share, snapshot.idle_bytes) == ("cuda:0", 0.25, 500)
    assert snapshot.system_total_bytes is not None
    with card.metering():
        card.release()
    card.reset_peak()
    assert (card.read_peak(), cuda.emptied, cuda.reset) == (1_700, 1, 1)


def test_watching_makes_no_cuda_context(monkeypatch):
    cuda = PretendedCuda(monkeypatch, initialised=False)
    snapshot = read_memory(torch.device("cuda:0"))
    assert (snapshot.allocated_bytes, snapshot.free_bytes) == (None, None)
    release_memory(torch.device("cuda:0"))
    assert cuda.emptied == 0
    assert not is_cuda_in_use()


def test_reading_a_processor(limited):
    limited(None)
    snapshot = read_memory(torch.device("cpu"))
    assert snapshot.allocated_bytes is None
    assert snapshot.free_bytes == snapshot.system_available_bytes


def test_freed_pages_are_left_alone_where_the_library_cannot(monkeypatch):
    memory._find_trim.cache_clear()
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    try:
        assert memory._find_trim() is None
        release_memory(torch.device("cpu"))
    finally:
        memory._find_trim.cache_clear()
