"""Counting live bytes, against sums made by hand."""

import gc
import threading

import pytest
import torch

from cleanplate.device.meter import StorageMeter

KIB = 1024


@pytest.fixture
def meter():
    return StorageMeter()


def test_live_peak_and_total(meter):
    with meter.metering():
        x = torch.zeros(256)
        y = x + 1
        del x
        z = y * 2
    assert meter.live_bytes == 2 * KIB
    assert (meter.peak_bytes, meter.total_bytes, meter.allocations) == (2 * KIB, 3 * KIB, 3)
    del y, z
    assert meter.live_bytes == 0
    meter.reset_peak()
    assert meter.peak_bytes == 0


def test_sizes_are_rounded_up(meter):
    with meter.metering():
        x = torch.zeros(1)
        y = torch.zeros(129)
    assert meter.live_bytes == 512 + 1024
    del x, y


def test_views_count_once_and_keep_the_storage(meter):
    with meter.metering():
        x = torch.zeros(16, 16)
        rows = [x[i] for i in range(16)]
        x.add_(1)
        flat = x.view(-1)
        parts = x.split(4)
        del x, rows, parts
        assert meter.live_bytes == KIB
    assert meter.allocations == 1
    del flat
    assert meter.live_bytes == 0


def test_what_comes_from_outside_is_not_counted(meter):
    x = torch.zeros(256)
    with meter.metering():
        y = x.view(16, 16).t()
        y.add_(1).relu_()
    assert (meter.live_bytes, meter.allocations) == (0, 0)
    del y


def test_a_storage_that_grows(meter):
    with meter.metering():
        x = torch.zeros(128)
        x.resize_(384)
        assert meter.live_bytes == 3 * 512
        del x
    assert meter.live_bytes == 0


def test_garbage_in_cycles_is_live_until_collected(meter):
    gc.disable()
    try:
        with meter.metering():
            cycle = [torch.zeros(128)]
            cycle.append(cycle)
            del cycle
            assert meter.live_bytes == 512
    finally:
        gc.enable()
    gc.collect()
    assert meter.live_bytes == 0


def test_nested_blocks_count_once(meter):
    with meter.metering(), meter.metering():
        x = torch.zeros(128)
    assert meter.allocations == 1
    del x


def test_other_devices_do_not_count(meter):
    with meter.metering():
        x = torch.zeros(128, device="meta")
    assert meter.allocations == 0
    del x


def test_the_budget_is_exact():
    meter = StorageMeter(budget_bytes=2 * KIB)
    with meter.metering():
        x = torch.zeros(512)
        with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 512 bytes\. 2048 of 2048"):
            torch.zeros(1)
        assert meter.live_bytes == 2 * KIB
        del x
        y = torch.zeros(512)
    del y


def test_threads_share_a_meter(meter):
    barrier, kept = threading.Barrier(4), []

    def work():
        with meter.metering():
            for _ in range(50):
                torch.zeros(256).add(1)
            kept.append(torch.zeros(256))
            barrier.wait(10)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert meter.allocations == 4 * 101
    assert meter.live_bytes == 4 * KIB
    kept.clear()
    assert meter.live_bytes == 0


def test_a_thread_that_did_not_enter_is_not_counted(meter):
    with meter.metering():
        thread = threading.Thread(target=torch.zeros, args=(128,))
        thread.start()
        thread.join(10)
    assert meter.allocations == 0
