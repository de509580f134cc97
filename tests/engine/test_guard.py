"""The guard on the virtual accelerator: what fits, what shrinks, what fails alone."""

import gc
from dataclasses import replace

import pytest
import torch
from torch import nn

from cleanplate.device.notebook import Notebook
from cleanplate.device.staging import find_staging
from cleanplate.device.virtual import FailingAllocation, VirtualAccelerator
from cleanplate.engine.events import Retried
from cleanplate.engine.guard import Guard
from cleanplate.engine.shares import MemoryShares
from cleanplate.errors import DeviceLostError, TooLittleMemoryError
from cleanplate.models import memory
from cleanplate.models.request import Request, plainly
from cleanplate.settings import RepairSettings

EDGE = 64
GIB = 1 << 30


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return (
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
        .eval()
        .requires_grad_(False)
    )


class Work:
    """A request's parts, and what was asked of them."""

    def __init__(self, count=5, tiles=(), stage="restore", network=None):
        self.network = network or make_network()
        self.inputs = [torch.rand(1, EDGE, EDGE) for _ in range(count)]
        self.runs = []
        self.request = Request(
            stage=stage,
            network=self.network,
            items=self.inputs,
            shape=lambda batch, tile: (batch, 1, tile or EDGE, tile or EDGE),
            run=self.run,
            tiles=tiles,
        )

    def run(self, items, tile):
        self.runs.append((len(items), tile))
        batch = torch.stack(list(items)) + 0
        if tile is None:
            return [y.clone() for y in self.network(batch)]
        parts = [self.network(part) for part in batch.split(tile, dim=-1)]
        return list(torch.cat(parts, dim=-1))

    def peak_bytes(self, batch: int) -> int:
        """By hand: the first activation and its ReLU, four channels each, and the input."""
        return (1 + 4 + 4) * 4 * EDGE * EDGE * batch


def make_guard(device, events=None, **settings) -> Guard:
    return Guard(RepairSettings(**settings), device, emit=(events if events is not None else []).append)


def assert_right(work: Work, results) -> None:
    for expected, result in zip(plainly(work.request), results, strict=True):
        assert torch.allclose(expected, result, atol=1e-6)


@pytest.mark.parametrize(("share_of_five", "batch"), [(10.0, 5), (0.79, 3), (0.59, 2), (0.39, 1)])
def test_the_largest_batch_that_fits_is_admitted(share_of_five, batch):
    work = Work()
    budget = int(work.peak_bytes(5) * share_of_five)
    guard = make_guard(VirtualAccelerator(GIB), memory_limit=budget)
    results = guard.attempt(work.request)
    assert work.runs[0] == (batch, None)
    assert guard.out_of_memory_count == 0
    assert guard.peak_bytes > 0
    assert_right(work, results)


def test_only_a_share_of_what_is_free_is_used():
    work = Work()
    accelerator = VirtualAccelerator(int(work.peak_bytes(5) * 1.2))
    make_guard(accelerator).attempt(work.request)
    assert work.runs[0] == (3, None)


@pytest.mark.parametrize(("quickest_items", "batches"), [(5, [5]), (3.5, [3, 2]), (0.5, [1] * 5)])
def test_batches_are_no_larger_than_what_is_quickest(quickest_items, batches):
    work = Work(tiles=(32,))
    quickest = int(quickest_items * work.peak_bytes(1))
    results = make_guard(VirtualAccelerator(GIB, quickest_bytes=quickest)).attempt(work.request)
    assert work.runs == [(batch, None) for batch in batches]
    assert_right(work, results)


def test_what_is_quickest_needs_one_prediction_for_many_shapes(monkeypatch):
    traced = spy_on_traces(monkeypatch)
    network = make_network()
    guard = make_guard(VirtualAccelerator(GIB, quickest_bytes=Work().peak_bytes(2)))
    for count in (8, 3, 6):
        guard.attempt(Work(count=count, network=network).request)
    assert (1, 1, 512, 512) in traced
    assert len(traced) <= 3, "the round item, and a round batch for each size that is run"


def test_where_there_is_room_one_prediction_does_for_all_single_pieces(monkeypatch):
    traced = spy_on_traces(monkeypatch)
    network = make_network()
    guard = make_guard(VirtualAccelerator(64 * GIB))
    for size in (40, 64, 600, 1300):
        request = replace(Work(count=1, network=network).request, shape=lambda _b, _t, s=size: (1, 1, s, s))
        assert guard.admission.fits(request, guard_size(1), guard.admission.read_budget())
    assert traced == [(1, 1, 2048, 2048)]


def test_what_is_quickest_without_a_traceable_network_goes_by_what_was_measured():
    class Measured:
        bytes_per_pixel = 10

    runs = []
    request = Request(
        stage="fill",
        network=Measured(),
        items=[1, 2, 3, 4],
        shape=lambda batch, _: (batch, 3, 10, 10),
        run=lambda items, _: runs.append(len(items)) or list(items),
    )
    make_guard(VirtualAccelerator(GIB, quickest_bytes=2000)).attempt(request)
    assert runs == [2, 2]


def test_a_single_item_goes_into_tiles():
    work = Work(count=2, tiles=(32, 16))
    guard = make_guard(VirtualAccelerator(GIB), memory_limit=work.peak_bytes(1) // 3)
    guard.attempt(work.request)
    assert work.runs == [(1, 32), (1, 32)]


def test_no_items_no_work():
    work = Work(count=0)
    assert make_guard(VirtualAccelerator(GIB)).attempt(work.request) == []
    assert work.runs == []


def test_queued_pictures_count_against_the_limit_of_a_processor():
    work = Work()
    limit = work.peak_bytes(6)
    shares = MemoryShares(limit)
    shares.queue(limit - work.peak_bytes(3))
    guard = Guard(
        RepairSettings(memory_limit=limit),
        torch.device("cpu"),
        shares=shares,
    )
    guard.attempt(work.request)
    assert work.runs[0] == (3, None)
    assert guard.peak_bytes <= limit


def run_with_fault(fault: FailingAllocation) -> None:
    """One run; it ends right or named, and with nothing alive although garbage collection is off."""
    accelerator, events = VirtualAccelerator(GIB, fault=fault), []
    work = Work(count=3, tiles=(32,))
    gc.disable()
    try:
        results = make_guard(accelerator, events).attempt(work.request)
        kept = sum(isinstance(result, torch.Tensor) for result in results)
        assert accelerator.meter.live_bytes <= kept * EDGE * EDGE * 4
    finally:
        gc.enable()
    assert bool(fault.struck) == bool(events)
    assert all(isinstance(event, Retried) for event in events)
    for whole, result in zip(plainly(work.request), results, strict=True):
        if isinstance(result, TooLittleMemoryError):
            assert fault.lasting
        else:
            # The stand-in's tiles have no overlap: compare where their seam has no influence.
            assert torch.allclose(whole[..., :30], result[..., :30], atol=1e-4)
    del results, result
    assert accelerator.meter.live_bytes == 0


@pytest.mark.parametrize("lasting", [False, True])
def test_every_allocation_failing_ends_right_or_named(lasting):
    for at in range(1, 100):
        fault = FailingAllocation(at=at, lasting=lasting)
        run_with_fault(fault)
        if not fault.struck:
            break
    assert 5 < at < 99


def test_batches_shrink_then_tiles_then_the_item_fails_alone():
    accelerator = VirtualAccelerator(GIB, fault=FailingAllocation(at=1, lasting=True))
    events = []
    work = Work(count=3, tiles=(32,))
    results = make_guard(accelerator, events).attempt(work.request)
    assert work.runs == [(3, None), (2, None), (1, None), *6 * [(1, 32)]]  # the smallest twice for each
    assert [(e.batch, e.tile, e.next_batch, e.next_tile) for e in events[:5]] == [
        (3, None, 2, None),
        (2, None, 1, None),
        (1, None, 1, 32),
        (1, 32, 1, 32),
        (1, 32, 0, None),
    ]
    for result in results:
        assert isinstance(result, TooLittleMemoryError)
        assert (
            "memory ran out at the smallest size (stage restore, one at a time, in tiles of 32"
            in result.cause
        )
        assert "--memory-limit" in result.remedy


def test_a_single_failure_at_the_smallest_size_costs_no_item():
    """What was short of memory for a moment is tried once more; only then is it given up."""
    events = []
    work = Work(count=1)
    results = make_guard(VirtualAccelerator(GIB, fault=FailingAllocation(at=1)), events).attempt(work.request)
    assert work.runs == [(1, None)] * 2
    assert not isinstance(results[0], Exception)
    assert [(e.batch, e.next_batch) for e in events] == [(1, 1)]


def test_a_rest_smaller_than_the_batch_is_not_tried_twice():
    work = Work(count=4)
    accelerator = VirtualAccelerator(GIB, fault=FailingAllocation(at=2))
    guard = make_guard(accelerator, memory_limit=work.peak_bytes(3))
    results = guard.attempt(work.request)
    assert work.runs == [(2, None), (1, None), (1, None), (1, None), (1, None)]
    assert_right(work, results)


@pytest.mark.parametrize(
    ("message", "runs"),
    [
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", [4, 4]),
        ("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`", [4, 4]),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 7 bytes.", [4, 2, 2]),
    ],
)
def test_one_retry_at_the_same_size_only_outside_the_allocator(message, runs):
    fault = FailingAllocation(at=2, error=lambda _: RuntimeError(message))
    accelerator = VirtualAccelerator(GIB, fault=fault)
    work = Work(count=4)
    make_guard(accelerator).attempt(work.request)
    assert [batch for batch, _ in work.runs] == runs
    assert accelerator.releases == 1


def test_outside_the_allocator_it_shrinks_the_second_time():
    error = RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED")
    fault = FailingAllocation(at=1, lasting=True, error=lambda _: error)
    work = Work(count=2)
    make_guard(VirtualAccelerator(GIB, fault=fault)).attempt(work.request)
    assert [batch for batch, _ in work.runs] == [2, 2, 1, 1, 1, 1]


def test_a_lowered_size_is_remembered_and_grows_back_after_calm():
    network = make_network()
    accelerator = VirtualAccelerator(GIB, fault=FailingAllocation(at=1))
    guard = make_guard(accelerator)
    first = Work(count=4, network=network)
    guard.attempt(first.request)
    assert first.runs == [(4, None), (2, None), (2, None)]
    later = Work(count=4, network=network)
    guard.attempt(later.request)
    assert later.runs == [(2, None), (2, None)]
    for _ in range(6):
        guard.attempt(Work(count=4, network=network).request)
    grown = Work(count=4, network=network)
    guard.attempt(grown.request)
    assert grown.runs == [(4, None)]


def test_another_stage_keeps_its_size():
    guard = make_guard(VirtualAccelerator(GIB, fault=FailingAllocation(at=1)))
    guard.attempt(Work(count=4).request)
    other = Work(count=4, stage="detect")
    guard.attempt(other.request)
    assert other.runs == [(4, None)]


def test_a_bug_goes_through():
    guard = make_guard(VirtualAccelerator(GIB))
    work = Work()
    work.inputs[3] = torch.rand(2, 3, 3)
    with pytest.raises(RuntimeError, match="equal size"):
        guard.attempt(work.request)
    assert guard.out_of_memory_count == 0


def test_a_lost_device_is_said_to_be_lost():
    fault = FailingAllocation(
        at=1, error=lambda _: RuntimeError("CUDA error: unspecified launch failure\nmore words")
    )
    with pytest.raises(DeviceLostError, match="unspecified launch failure; the process must be") as caught:
        make_guard(VirtualAccelerator(GIB, fault=fault)).attempt(Work().request)
    assert caught.value.__context__ is None, "nothing holds the failed run's frames"


def test_a_wrong_number_of_results_is_a_bug():
    request = Request(
        stage="fill", network=None, items=[1, 2], shape=lambda *_: (1, 1, 1, 1), run=lambda *_: []
    )
    with pytest.raises(ValueError, match="stage fill gave 0 results for 2 items"):
        make_guard(VirtualAccelerator(GIB)).attempt(request)


def test_work_without_a_network_is_admitted_by_its_bytes():
    runs = []
    request = Request(
        stage="fill",
        network=None,
        items=[1, 2, 3, 4],
        shape=lambda *_: (1, 1, 1, 1),
        run=lambda items, _: runs.append(len(items)) or list(items),
        item_bytes=1000,
    )
    assert make_guard(VirtualAccelerator(GIB), memory_limit=2500).attempt(request) == [1, 2, 3, 4]
    assert runs == [2, 2]


def test_a_network_about_which_nothing_is_known_is_taken_for_a_large_one():
    runs = []
    request = Request(
        stage="fill",
        network=object(),
        items=[1, 2],
        shape=lambda batch, _: (batch, 3, 100, 100),
        run=lambda items, _: runs.append(len(items)) or list(items),
    )
    make_guard(VirtualAccelerator(GIB), memory_limit=15_000_000).attempt(request)
    assert runs == [1, 1]


def test_hopeless_work_on_the_host_is_not_begun():
    work = Work(count=2)
    accelerator = VirtualAccelerator(work.peak_bytes(1) // 2)
    results = make_guard(accelerator).attempt(work.request)
    assert work.runs == []
    assert all("more than is free" in str(result) for result in results)
    assert accelerator.releases == 2


class PretendedCard(VirtualAccelerator):
    """A card that reserves twice what the meter sees."""

    def __init__(self, total_bytes, **options):
        super().__init__(total_bytes, **options)
        self.device = torch.device("cuda:0")

    def read_peak(self):
        return 2 * super().read_peak()


def test_on_a_card_the_first_run_of_a_network_is_measured():
    card = PretendedCard(GIB)
    guard = make_guard(card)
    work = Work(count=2)
    before = guard.admission.predict_cost(work.request, guard_size(2))
    guard.attempt(work.request)
    after = guard.admission.predict_cost(work.request, guard_size(2))
    assert before == pytest.approx(1.3 * work.peak_bytes(2), rel=0.01)
    assert 1.9 * work.peak_bytes(2) <= after <= 3 * work.peak_bytes(2)
    assert card.releases == 1
    guard.attempt(work.request)
    assert card.releases == 1, "measured once"


def measure_on(card, notes) -> tuple[Guard, float]:
    """A guard of a new process on a card, after one piece of work, and the factor that it began with."""
    guard = Guard(RepairSettings(), card, notes=notes)
    work = Work(count=2)
    before = guard.admission.predict_cost(work.request, guard_size(2)) / work.peak_bytes(2)
    guard.attempt(work.request)
    return guard, before


def test_the_factor_of_a_card_and_a_network_is_remembered_for_the_next_process(tmp_path):
    path = tmp_path / "memory.json"
    card = PretendedCard(GIB)
    card.identity = "card 1, torch 2"
    _, before = measure_on(card, Notebook(path))
    assert before == pytest.approx(1.3, rel=0.01)
    assert card.releases == 1

    again = PretendedCard(GIB)
    again.identity = "card 1, torch 2"
    _, before = measure_on(again, Notebook(path))
    assert 1.9 <= before <= 3
    assert again.releases == 0, "it is not measured again"

    other = PretendedCard(GIB)
    other.identity = "card 2, torch 2"
    _, before = measure_on(other, Notebook(path))
    assert before == pytest.approx(1.3, rel=0.01)
    assert other.releases == 1


def test_a_factor_under_which_memory_ran_out_is_measured_again(tmp_path):
    path = tmp_path / "memory.json"
    for fault in (None, FailingAllocation(at=1)):
        card = PretendedCard(GIB, fault=fault)
        card.identity = "card 1"
        guard, _ = measure_on(card, Notebook(path))
    assert guard.out_of_memory_count == 1
    assert card.releases == 2, "once after the failure, once to measure"


def test_a_prediction_is_remembered_for_the_next_process(tmp_path, monkeypatch):
    path = tmp_path / "memory.json"
    costs = []
    traced = spy_on_traces(monkeypatch)
    for _ in range(2):
        guard = Guard(RepairSettings(), VirtualAccelerator(GIB), notes=Notebook(path))
        costs.append(guard.admission.predict_cost(Work(count=2).request, guard_size(2)))
    assert costs[0] == costs[1]
    assert len(traced) == 1


def test_batches_go_through_memory_that_is_used_again_until_the_run_ends():
    accelerator = VirtualAccelerator(GIB)
    guard = make_guard(accelerator)

    def run(items, _tile):
        with find_staging("cpu").upload((len(items), 256, 256, 3), torch.float32, lambda *_: None):
            return list(items)

    request = Request(stage="detect", network=None, items=[1, 2], shape=lambda *_: (1, 1, 1, 1), run=run)
    for _ in range(4):
        guard.attempt(request)
    assert guard.staging.reused_bytes == 3 * guard.staging.allocated_bytes > 0
    assert accelerator.meter.allocations == 1
    guard.close()
    assert accelerator.meter.live_bytes == 0


def guard_size(batch):
    from cleanplate.engine.admission import Size

    return Size(batch, None)


def test_after_a_pause_it_begins_small_and_grows_back():
    accelerator = VirtualAccelerator(GIB, system_used_share=0.85)
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    guard = Guard(RepairSettings(), accelerator, clock=lambda: now[0], sleep=sleep)
    guard.before_batch()
    network = make_network()
    work = Work(count=8, network=network)
    guard.attempt(work.request)
    assert work.runs == [(1, None)] * 8
    later = Work(count=8, network=network)
    guard.attempt(later.request)
    assert later.runs[0][0] > 1


def test_photographs_and_cleaning_are_passed_on():
    accelerator, events = VirtualAccelerator(GIB), []
    guard = make_guard(accelerator, events, pause_interval=2)
    guard.after_photos(2)
    guard.clean("going idle")
    assert [event.reason for event in events] == ["going idle"]
    assert accelerator.releases == 1


def spy_on_traces(monkeypatch) -> list[tuple[int, ...]]:
    """The shapes that are run on `meta` from now on."""
    traced = []
    real = memory._run_on_meta
    monkeypatch.setattr(
        memory, "_run_on_meta", lambda net, shape, dtype: traced.append(shape) or real(net, shape, dtype)
    )
    return traced


def test_many_shapes_need_few_predictions(monkeypatch):
    guard = make_guard(VirtualAccelerator(GIB))
    network = make_network()
    traced = spy_on_traces(monkeypatch)
    for count in (3, 1, 2, 4):
        guard.attempt(Work(count=count, network=network).request)
    assert traced == [(4, 1, 512, 512)], "a round shape bounds all of them"
    guard.attempt(Work(count=5, network=network).request)
    assert traced == [(4, 1, 512, 512), (8, 1, 512, 512)]


def test_where_a_round_shape_does_not_fit_the_shape_itself_is_predicted(monkeypatch):
    work = Work(count=4)
    guard = make_guard(VirtualAccelerator(GIB), memory_limit=work.peak_bytes(4))
    traced = spy_on_traces(monkeypatch)
    guard.attempt(work.request)
    assert traced == [(4, 1, 512, 512), (4, 1, EDGE, EDGE)]
    assert work.runs == [(4, None)]


class OneSizeNet(nn.Module):
    """Takes pictures of one size only, as an exported network may."""

    def forward(self, x):
        if x.shape[-1] != EDGE:
            raise RuntimeError("this network takes 64 pixels")
        return x * 2


def test_a_network_that_takes_no_round_shape_is_predicted_at_its_own(monkeypatch):
    work = Work(count=2, network=OneSizeNet())
    guard = make_guard(VirtualAccelerator(GIB), memory_limit=2 * EDGE * EDGE * 4 * 3)
    traced = spy_on_traces(monkeypatch)
    for _ in range(2):
        assert_right(work, guard.attempt(work.request))
    assert traced == [(2, 1, 512, 512), (2, 1, EDGE, EDGE)]
