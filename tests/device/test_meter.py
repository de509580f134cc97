"""Counting live bytes, against sums made by hand."""

import gc
import threading

import pytest
import torch

from cleanplate.device.meter import StorageMeter, call_alike, repeating
from cleanplate.models.nets.chooser import INPUT_PLANES, Chooser
from cleanplate.models.nets.finder import Finder
from cleanplate.models.nets.restorer import Restorer

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


def read_counts(meter):
    return meter.live_bytes, meter.peak_bytes, meter.total_bytes, meter.allocations


@pytest.mark.parametrize(
    ("network", "shape"),
    [(Finder(), (1, 3, 64, 96)), (Restorer(), (2, 4, 64, 64)), (Chooser(), (1, INPUT_PLANES, 32, 32))],
    ids=["finder", "restorer", "chooser"],
)
def test_a_network_seen_before_counts_as_if_each_operation_were_metered(network, shape):
    x = torch.rand(shape)
    singly, together = StorageMeter(), StorageMeter()
    with torch.no_grad():
        for _ in range(3):
            with singly.metering():
                kept = network(x)
            with together.metering():
                kept_too = call_alike(network, x)
    assert read_counts(together) == read_counts(singly)
    del kept, kept_too
    assert together.live_bytes == 0


def test_another_shape_or_type_is_metered_anew(meter):
    network = torch.nn.Softplus()
    peaks = []
    for x in (torch.rand(256), torch.rand(512), torch.rand(256).double(), torch.rand(256)):
        with torch.no_grad(), meter.metering():
            call_alike(network, x)
        meter.reset_peak()
        with torch.no_grad(), meter.metering():
            call_alike(network, x)
        peaks.append(meter.peak_bytes)
    assert peaks == [KIB, 2 * KIB, 2 * KIB, KIB]


def test_a_network_seen_before_keeps_to_the_budget():
    network, x = Finder(), torch.rand(1, 3, 64, 64)
    meter = StorageMeter()
    with torch.no_grad(), meter.metering():
        call_alike(network, x)
    needed = meter.peak_bytes
    for budget, fits in ((needed, True), (needed - 512, False)):
        meter.budget_bytes = budget
        with torch.no_grad(), meter.metering():
            if fits:
                call_alike(network, x)
            else:
                with pytest.raises(torch.OutOfMemoryError):
                    call_alike(network, x)
        assert meter.live_bytes == 0


def test_where_failures_are_arranged_each_operation_counts():
    seen = []
    meter = StorageMeter(fault=lambda _number, size: seen.append(size))
    network = torch.nn.Sequential(torch.nn.Softplus(), torch.nn.Softplus())
    with torch.no_grad(), meter.metering():
        for number in range(2):
            call_alike(network, torch.zeros(256))
            with repeating(number > 0):
                torch.zeros(128)
    assert seen == [KIB, KIB, KIB, 512] * 2


def test_after_an_error_in_a_repetition_operations_are_metered_again(meter):
    with meter.metering():
        with pytest.raises(RuntimeError, match="size"), repeating():
            torch.zeros(256) + torch.zeros(255)
        x = torch.zeros(256)
    assert (meter.live_bytes, meter.allocations) == (KIB, 1)
    with meter.metering():
        x.add_(torch.ones(256))
    assert (meter.peak_bytes, meter.allocations) == (2 * KIB, 2)


def test_a_repetition_inside_a_nested_meter_is_not_counted_there_alone():
    outer, inner = StorageMeter(), StorageMeter()
    with outer.metering(), inner.metering():
        with repeating():
            x = torch.zeros(256)
        with repeating(), repeating(False):
            y = torch.zeros(256)
    assert (outer.allocations, inner.allocations) == (2, 0)
    del x, y


def test_storage_that_grows_in_place_is_counted(meter):
    with meter.metering():
        x = torch.zeros(256)
        x.resize_(1024)
    assert meter.live_bytes == 4 * KIB
    del x
