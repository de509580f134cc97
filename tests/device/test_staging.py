"""Batches on their way: memory used again, pinned copies on a stream of their own (with a stand-in)."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from cleanplate.device.memory import StagingUse
from cleanplate.device.meter import StorageMeter
from cleanplate.device.staging import (
    BlockPool,
    CudaStaging,
    HostStaging,
    allocate_block,
    find_staging,
    make_staging,
    staging_through,
)

MIB = 1 << 20


def test_a_block_is_used_again_for_its_size_class():
    pool = BlockPool(10 * MIB)
    with pool.borrow(MIB) as first:
        place = first.data_ptr()
    with pool.borrow(MIB - 1000) as second:
        assert second.data_ptr() == place
    with pool.borrow(2 * MIB) as third:
        assert third.data_ptr() != place
    assert pool.use == StagingUse(allocated_bytes=3 * MIB, reused_bytes=MIB)


def test_two_at_once_get_two_blocks():
    pool = BlockPool(10 * MIB)
    with pool.borrow(MIB) as one, pool.borrow(MIB) as other:
        assert one.data_ptr() != other.data_ptr()
    assert pool.idle_bytes == 2 * MIB


def test_a_pool_keeps_no_more_than_it_may_and_drops_the_oldest():
    pool = BlockPool(3 * MIB)
    for size in (MIB, 2 * MIB, 2 * MIB + MIB // 2):
        with pool.borrow(size):
            pass
    assert pool.idle_bytes == 2 * MIB + MIB // 2
    pool.clear()
    assert pool.idle_bytes == 0


def test_a_block_comes_back_when_the_work_fails():
    pool = BlockPool(MIB)
    with pytest.raises(KeyError), pool.borrow(MIB):
        raise KeyError
    assert pool.idle_bytes == MIB


@pytest.mark.parametrize("size_bytes", [1, 65_537, 3 * MIB + 5, 123_456_789])
def test_a_block_is_at_most_an_eighth_too_large(size_bytes):
    asked = []
    pool = BlockPool(0, lambda size: asked.append(size) or torch.empty(0, dtype=torch.uint8))
    with pool.borrow(size_bytes):
        pass
    assert size_bytes <= asked[0] <= max(1 << 16, size_bytes * 1.125 + 1)


def lay_numbers(place, part):
    part[...] = place + 1


def test_on_the_host_the_network_reads_where_the_picture_was_laid():
    staging = HostStaging(MIB)
    with staging.upload((2, 4, 5, 3), torch.float32, lay_numbers) as batch:
        assert batch.shape == (2, 4, 5, 3)
        assert batch[:, 0, 0, 0].tolist() == [1, 2]
        place = batch.data_ptr()
    with staging.upload((2, 4, 5, 3), torch.float32, lay_numbers) as batch:
        assert batch.data_ptr() == place
    assert staging.use.allocated_bytes == staging.use.reused_bytes > 0
    staging.clear()


def test_blocks_are_metered_and_nothing_is_left():
    meter, staging = StorageMeter(), HostStaging(MIB)
    with meter.metering():
        for _ in range(3):
            with staging.upload((1, 256, 256, 3), torch.float32, lay_numbers) as batch:
                del batch
                assert meter.live_bytes == meter.peak_bytes
    assert meter.allocations == 1
    assert meter.live_bytes > 0, "kept for the next one"
    staging.clear()
    assert meter.live_bytes == 0


class Streams:
    """What of torch.cuda staging needs; writes down what is asked of whom."""

    def __init__(self):
        self.said = []
        self.active = "work"

    def Stream(self, device):  # noqa: N802  # torch's name
        self.said.append(f"make a stream on {device}")
        return OneStream("copy", self.said)

    def current_stream(self, device):  # noqa: ARG002  # torch's
        return OneStream("work", self.said)

    @contextmanager
    def stream(self, stream):
        before, self.active = self.active, stream.name
        yield
        self.active = before


class OneStream:
    def __init__(self, name, said):
        self.name, self.said = name, said

    def wait_stream(self, other):
        self.said.append(f"{self.name} waits for {other.name}")

    def synchronize(self):
        self.said.append(f"the host waits for {self.name}")


def test_on_a_card_pictures_go_over_one_by_one_on_a_stream_of_their_own():
    cuda, pinned = Streams(), []

    def allocate(size_bytes):
        pinned.append(size_bytes)
        return allocate_block(size_bytes)

    def lay(place, part):
        assert cuda.active == "work"
        cuda.said.append(f"lay {place}")
        lay_numbers(place, part)

    staging = CudaStaging(torch.device("cpu"), MIB, cuda=cuda, allocate=allocate)
    for _ in range(2):
        with staging.upload((2, 8, 8, 3), torch.uint8, lay) as batch:
            assert batch[:, 0, 0, 0].tolist() == [1, 2]
            cuda.said.append("the network runs")
    once = [
        "copy waits for work",
        "lay 0",
        "lay 1",
        "work waits for copy",
        "the network runs",
        "the host waits for copy",
    ]
    assert cuda.said == ["make a stream on cpu", *once, *once]
    assert len(pinned) == 1, "pinned once"


def test_a_block_is_not_given_away_while_a_copy_reads_it():
    cuda = Streams()
    staging = CudaStaging(torch.device("cpu"), MIB, cuda=cuda, allocate=allocate_block)
    with pytest.raises(ZeroDivisionError), staging.upload((1, 8, 8, 3), torch.uint8, lambda *_: 1 // 0):
        pass
    assert cuda.said[-1] == "the host waits for copy"


def test_results_come_back_through_the_same_memory_with_one_wait():
    cuda = Streams()
    staging = CudaStaging(torch.device("cpu"), MIB, cuda=cuda, allocate=allocate_block)
    batch = torch.rand(2, 3, 8, 8)
    for _ in range(2):
        with staging.download(batch) as values:
            assert np.array_equal(values, batch.numpy())
    assert cuda.said == ["the host waits for work"] * 2
    assert staging.use.reused_bytes == staging.use.allocated_bytes
    staging.clear()


def test_the_device_decides_which_way_a_batch_takes():
    assert isinstance(make_staging(torch.device("cpu")), HostStaging)
    card = make_staging(torch.device("cuda", 1), MIB)
    assert isinstance(card, CudaStaging)
    with staging_through(card):
        assert find_staging("cuda:1") is card
        assert find_staging("cpu") is not card
