"""Pictures on their way and live tensors together keep to one limit, and nobody waits for ever."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cleanplate.device.memory import HostMemory
from cleanplate.engine import run, work
from cleanplate.engine.conveyor import Conveyor
from cleanplate.engine.guard import Guard
from cleanplate.engine.owner import Answer
from cleanplate.engine.plan import Job
from cleanplate.engine.policy import choose_queue_bytes
from cleanplate.engine.run import repair_folder
from cleanplate.engine.schedule import HELD_BYTES_PER_PIXEL
from cleanplate.engine.sharedmark import look_through
from cleanplate.engine.shares import MemoryShares
from cleanplate.images.discover import Source
from cleanplate.models.memory import trace_peak_bytes
from cleanplate.models.request import Request
from cleanplate.settings import RepairSettings
from cleanplate.structures import Photo, Verdict

from .simple import MagentaPipeline, draw_folder, read_tree

WIDTH, HEIGHT = 96, 64
PHOTO_BYTES = WIDTH * HEIGHT * HELD_BYTES_PER_PIXEL


def make_network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1))
    return layers.eval().requires_grad_(False)


#: Of one photograph in the network below.
WORK_BYTES = trace_peak_bytes(make_network(), (1, 3, HEIGHT, WIDTH))


class NetworkedPipeline(MagentaPipeline):
    """Puts every photograph through a network first."""

    def __init__(self):
        super().__init__()
        self.network = make_network()

    def repair(self, photos, settings, attempt):
        answers = attempt(
            Request(
                stage="look",
                network=self.network,
                items=photos,
                shape=lambda batch, _tile: (batch, 3, HEIGHT, WIDTH),
                run=self.look,
            )
        )
        assert len(answers) == len(photos)
        done = super().repair(photos, settings, attempt)
        return [
            answer if isinstance(answer, Exception) else repair
            for answer, repair in zip(answers, done, strict=True)
        ]

    def look(self, items, _tile):
        with torch.no_grad():
            batch = torch.stack(
                [torch.from_numpy(photo.rgb.copy()).permute(2, 0, 1).float() for photo in items]
            )
            done = self.network(batch)
        time.sleep(0.02)  # for readers to come in
        return [float(part.sum()) for part in done]


@pytest.fixture
def seen(monkeypatch):
    """(live tensors, pictures on their way) at each allocation of a run, read from both independently."""
    pairs, conveyors = [], []
    real_allocate = HostMemory.__init__

    def make_memory(self, *arguments, **named):
        real_allocate(self, *arguments, **named)
        real = self.meter._allocate

        def allocate(size):
            real(size)
            pairs.append((self.meter._live_bytes, conveyors[-1].held_bytes))

        self.meter._allocate = allocate

    class Watched(Conveyor):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            conveyors.append(self)

    monkeypatch.setattr(HostMemory, "__init__", make_memory)
    monkeypatch.setattr(run, "Conveyor", Watched)
    monkeypatch.setattr(Guard, "before_batch", lambda _: None)  # how full the machine is does not matter here
    return pairs


def repair(photos, output, limit, pipeline=None, **settings):
    settings = RepairSettings(memory_limit=limit, device="cpu", **settings)
    return repair_folder(photos, output, settings, pipeline=pipeline or NetworkedPipeline())


@pytest.mark.parametrize("batch_size", [1, 2])
def test_tensors_and_pictures_together_stay_within_the_limit(tmp_path, seen, batch_size):
    """The queue alone may take a quarter, which beside the network's work would be too much."""
    photos = draw_folder(tmp_path / "in", 16)
    limit = WORK_BYTES + 2 * PHOTO_BYTES
    assert choose_queue_bytes(RepairSettings(memory_limit=limit)) + WORK_BYTES > limit
    summary = repair(photos, tmp_path / "out", limit, batch_size=batch_size)
    assert summary.exit_code == 0, summary.failures
    assert max(live for live, _ in seen) == WORK_BYTES
    assert max(live + pictures for live, pictures in seen) <= limit
    assert WORK_BYTES < summary.to_json()["memory"]["metered_peak_bytes"] <= limit


def test_work_that_needs_all_that_is_left_has_what_was_read_ahead_leave(tmp_path, seen, monkeypatch):
    photos = draw_folder(tmp_path / "in", 9)
    limit = WORK_BYTES + PHOTO_BYTES + 1000  # one photograph and its work; the queue alone would hold three
    assert choose_queue_bytes(RepairSettings(memory_limit=limit)) >= 3 * PHOTO_BYTES
    read, calls = work.read, []

    def counting_read(path, **named):
        calls.append(path.name)
        return read(path, **named)

    monkeypatch.setattr(work, "read", counting_read)
    summary = repair(photos, tmp_path / "out", limit, batch_size=1)
    assert summary.exit_code == 0, summary.failures
    assert len(read_tree(tmp_path / "out")) == 9
    assert max(live + pictures for live, pictures in seen) <= limit
    assert len(calls) < 9 + 4, "they come and go with every photograph"


def test_what_does_not_fit_beside_its_own_photograph_fails_by_name_and_hangs_nobody(tmp_path, seen):
    photos = draw_folder(tmp_path / "in", 4)
    summary = repair(photos, tmp_path / "out", WORK_BYTES + PHOTO_BYTES // 2, batch_size=1)
    assert [outcome.verdict for outcome in summary.outcomes] == [Verdict.FAILED] * 4
    assert all("--memory-limit" in outcome.remedy for outcome in summary.outcomes)
    assert max(live + pictures for live, pictures in seen) <= WORK_BYTES + PHOTO_BYTES // 2


def test_without_a_limit_nobody_waits(tmp_path, seen):
    assert repair(draw_folder(tmp_path / "in", 4), tmp_path / "out", None).exit_code == 0
    assert seen


def make_jobs(tmp_path, count):
    return [Job(number, Source(tmp_path / str(number), str(number), str(number))) for number in range(count)]


def in_a_thread(call):
    done = []
    thread = threading.Thread(target=lambda: done.append(call()), daemon=True)
    thread.start()
    return thread, done


def test_a_picture_waits_until_the_work_has_ended(tmp_path):
    shares = MemoryShares(1000)
    conveyor = Conveyor(500, shares)
    one, two = make_jobs(tmp_path, 2)
    conveyor.admit([one], [300])
    with shares.working(600, lambda: 0):
        thread, done = in_a_thread(lambda: conveyor.admit([two], [200]))
        thread.join(0.2)
        assert thread.is_alive()
        assert conveyor.held_bytes == 300
    thread.join(10)
    assert done == [True]
    assert conveyor.held_bytes == 500


def test_what_a_survey_holds_counts_while_it_looks():
    shares, seen = MemoryShares(1000), []

    class Owner:
        def before_batch(self):
            seen.append(shares.queued_bytes)

        def repair(self, photos):
            return [Answer(ValueError(photo.path.name), {}) for photo in photos]

    photos = [Photo(Path(f"{n}.png"), np.zeros((2, 5, 3), np.uint8), None) for n in range(3)]
    assert look_through(Owner(), photos, shares) == [None] * 3
    assert set(seen) == {3 * 2 * 5 * 3}
    assert shares.queued_bytes == 0


def test_one_photograph_always_passes(tmp_path):
    shares = MemoryShares(1000)
    conveyor = Conveyor(250, shares)
    with shares.working(999, lambda: 0):
        assert conveyor.admit(make_jobs(tmp_path, 1), [5000])
    assert not shares.allow(1)


def test_what_is_dropped_is_read_again_in_order_and_frees_its_bytes_at_once(tmp_path):
    shares = MemoryShares(1000)
    conveyor = Conveyor(1000, shares)
    jobs = make_jobs(tmp_path, 4)
    for job in jobs[:2]:
        conveyor.admit([job], [100])
        conveyor.put_loaded(conveyor.next_to_load(), job.number)
    working_on = conveyor.next_batch()
    conveyor.admit([jobs[2]], [100])
    reading = conveyor.next_to_load()
    conveyor.admit([jobs[3]], [100])
    conveyor.close_entrance()
    assert conveyor.held_bytes == 400
    with shares.working(850, lambda: 0):
        pass
    assert shares.make_room()
    assert conveyor.held_bytes == 200, "its own, and the one that is just being read"
    conveyor.put_loaded(reading, "too late")
    assert conveyor.held_bytes == 100
    thread, done = in_a_thread(conveyor.next_to_load)
    thread.join(0.2)
    assert thread.is_alive(), "the room is kept for the work"
    conveyor.put_done(working_on, [])
    conveyor.put_stored(100)
    order = []
    thread.join(10)
    place = done[0]
    while place is not None:
        order.append(place.job.number)
        conveyor.put_loaded(place, place.job.number)
        batch = conveyor.next_batch()
        conveyor.put_stored(100)
        assert batch.take() == [order[-1]]
        place = conveyor.next_to_load()
    assert order == [1, 2, 3]
    assert conveyor.next_batch() is None
    assert conveyor.held_bytes == 0


def test_readers_stop_while_the_owner_waits_for_memory(tmp_path):
    conveyor = Conveyor(1000)
    one, two, three = make_jobs(tmp_path, 3)
    conveyor.admit([one], [100])
    conveyor.admit([two], [100])
    conveyor.next_to_load()
    with conveyor.holding_back():
        feeder, admitted = in_a_thread(lambda: conveyor.admit([three], [100]))
        reader, begun = in_a_thread(conveyor.next_to_load)
        feeder.join(0.2)
        assert feeder.is_alive()
        assert reader.is_alive()
        assert conveyor.held_bytes == 200
    feeder.join(10)
    reader.join(10)
    assert admitted == [True]
    assert begun[0].job is two


def test_two_writers_give_back_at_once_what_they_held():
    conveyor = Conveyor(200, MemoryShares(None))
    conveyor.shares.queue(30)
    writers = [threading.Thread(target=conveyor.put_stored, args=(nbytes,)) for nbytes in (10, 20)]
    with conveyor.shares.changed:  # as the feeder holds it while it looks for room
        for writer in writers:
            writer.start()
        time.sleep(0.1)
    for writer in writers:
        writer.join()
    assert conveyor.held_bytes == 0
