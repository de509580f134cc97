"""The virtual accelerator: a budget, snapshots, failures at will."""

import gc

import pytest
import torch

from cleanplate.device.virtual import FailingAllocation, VirtualAccelerator


def allocate(accelerator: VirtualAccelerator, count: int) -> list[torch.Tensor | str]:
    """So many tensors of 512 bytes, or the names of the errors."""
    made: list[torch.Tensor | str] = []
    with accelerator.metering():
        for _ in range(count):
            try:
                made.append(torch.zeros(128))
            except RuntimeError as error:
                made.append(type(error).__name__)
    return made


def test_its_figures_follow_its_work():
    accelerator = VirtualAccelerator(2048, system_used_share=0.25)
    assert accelerator.read().used_share == 0
    made = allocate(accelerator, 3)
    snapshot = accelerator.read()
    assert (snapshot.allocated_bytes, snapshot.reserved_bytes) == (1536, 1536)
    assert (snapshot.free_bytes, snapshot.total_bytes, snapshot.idle_bytes) == (512, 2048, 0)
    assert snapshot.used_share == 0.75
    assert snapshot.system_used_share == 0.25
    made.clear()
    assert accelerator.read().free_bytes == 2048
    assert accelerator.read_peak() == 1536
    accelerator.reset_peak()
    assert accelerator.read_peak() == 0


def test_it_is_full_where_it_says():
    made = allocate(VirtualAccelerator(1024), 3)
    assert [type(item) for item in made] == [torch.Tensor, torch.Tensor, str]
    assert made[2] == "OutOfMemoryError"


@pytest.mark.parametrize(("lasting", "expected"), [(False, [3]), (True, [3, 4, 5])])
def test_failure_at_the_nth_allocation(lasting, expected):
    fault = FailingAllocation(at=3, lasting=lasting)
    made = allocate(VirtualAccelerator(1 << 20, fault=fault), 5)
    assert [i for i, item in enumerate(made, 1) if isinstance(item, str)] == expected
    assert fault.struck == len(expected)


def test_failures_of_another_kind():
    fault = FailingAllocation(
        at=1, error=lambda size: RuntimeError(f"cuFFT error: CUFFT_ALLOC_FAILED {size}")
    )
    with (
        pytest.raises(RuntimeError, match="CUFFT_ALLOC_FAILED 512"),
        VirtualAccelerator(1 << 20, fault=fault).metering(),
    ):
        torch.zeros(128)


def test_a_failure_leaves_nothing_alive():
    accelerator = VirtualAccelerator(1 << 20, fault=FailingAllocation(at=4))
    network = torch.nn.Sequential(*[torch.nn.Conv2d(1, 1, 3) for _ in range(6)])
    gc.disable()
    try:
        with accelerator.metering(), torch.no_grad():
            failed = False
            try:
                network(torch.zeros(1, 1, 64, 64))
            except torch.OutOfMemoryError:
                failed = True
        assert failed
        assert accelerator.meter.live_bytes == 0
    finally:
        gc.enable()


def test_releases_are_counted():
    accelerator = VirtualAccelerator(1024)
    accelerator.release()
    assert accelerator.releases == 1
