"""Overlapped work: whoever dies, nobody waits for ever; and what is on its way stays within bounds."""

import _thread
import gc
import json
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cleanplate.device.memory import StagingUse
from cleanplate.engine import run, schedule, work
from cleanplate.engine.conveyor import AbandonedError, Conveyor
from cleanplate.engine.plan import Job
from cleanplate.engine.policy import QUEUE_SHARE, PlainPolicy
from cleanplate.engine.run import repair_folder
from cleanplate.engine.schedule import HELD_BYTES_PER_PIXEL, cut_batches
from cleanplate.engine.work import Failed, Workbench
from cleanplate.errors import DeviceLostError
from cleanplate.images.discover import Source
from cleanplate.settings import RepairSettings

from .simple import MagentaPipeline, draw_folder, leftovers, read_tree


class Death(BaseException):
    """What nothing may catch: the end of a thread."""


def repair_in_a_thread(photos, output, **named):
    """The run's error, or None; fails when it does not come back."""
    caught = []

    def call():
        try:
            repair_folder(photos, output, **{"pipeline": MagentaPipeline(), **named})
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "the run hangs"
    return caught[0] if caught else None


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("stage", ["load", "repair", "store"])
@pytest.mark.parametrize("at_call", [1, 3])
def test_a_dying_thread_ends_the_run_with_its_error(tmp_path, monkeypatch, stage, at_call):
    photos = draw_folder(tmp_path / "in", 12)
    original = getattr(Workbench, stage)
    calls = []

    def die(self, *arguments):
        calls.append(stage)
        if len(calls) == at_call:
            raise Death(stage)
        return original(self, *arguments)

    monkeypatch.setattr(Workbench, stage, die)
    error = repair_in_a_thread(photos, tmp_path / "out", settings=RepairSettings(batch_size=2))
    assert isinstance(error, Death)
    monkeypatch.undo()
    monkeypatch.setattr(run, "choose_policy", lambda *_, **__: PlainPolicy())
    assert repair_folder(photos, tmp_path / "out", pipeline=MagentaPipeline()).exit_code == 0
    assert len(read_tree(tmp_path / "out")) == 12
    assert leftovers(tmp_path / "out") == []


@pytest.mark.usefixtures("unguarded")
def test_a_pipeline_that_leaves_the_program_does_not_hang_it(tmp_path):
    class Leaving(MagentaPipeline):
        def repair_one(self, *_):
            raise Death

    assert isinstance(
        repair_in_a_thread(draw_folder(tmp_path / "in", 5), tmp_path / "out", pipeline=Leaving()), Death
    )


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("optimize", [True, False])
def test_a_lost_device_ends_the_run_instead_of_failing_every_photograph(tmp_path, optimize):
    class Lost(MagentaPipeline):
        def repair_one(self, *_):
            raise DeviceLostError("gone")

    photos = draw_folder(tmp_path / "in", 3)
    with pytest.raises(DeviceLostError, match="gone"):
        repair_folder(photos, tmp_path / "out", RepairSettings(optimize=optimize), pipeline=Lost())


@pytest.mark.usefixtures("unguarded")
def test_a_thread_that_cannot_be_started_ends_the_others(tmp_path, monkeypatch):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "cleanplate-writer-0":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        repair_folder(draw_folder(tmp_path / "in", 3), tmp_path / "out", pipeline=MagentaPipeline())
    wait_for_threads_to_leave()


@pytest.fixture
def abandoned(monkeypatch):
    """Set when the caller has given the work up."""
    event, abandon = threading.Event(), Conveyor.abandon

    def tell(conveyor, error):
        abandon(conveyor, error)
        event.set()

    monkeypatch.setattr(Conveyor, "abandon", tell)
    return event


@pytest.mark.usefixtures("unguarded")
def test_ctrl_c_without_a_handler_waits_for_what_is_in_hand(tmp_path, abandoned):
    photos = draw_folder(tmp_path / "in", 6)
    heard = []

    class Interrupted(MagentaPipeline):
        def repair_one(self, photo, settings):
            if photo.path.name == "photo-02.png":
                _thread.interrupt_main()
                assert abandoned.wait(30)
                time.sleep(0.5)
                heard.append("done")
            return super().repair_one(photo, settings)

    with pytest.raises(KeyboardInterrupt):
        repair_folder(photos, tmp_path / "out", RepairSettings(batch_size=2), pipeline=Interrupted())
    assert heard == ["done"]
    assert [thread for thread in threading.enumerate() if is_of_the_schedule(thread)] == []
    summary = repair_folder(
        photos, tmp_path / "out", RepairSettings(batch_size=2), pipeline=MagentaPipeline()
    )
    assert summary.exit_code == 0
    assert len(read_tree(tmp_path / "out")) == 6


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("again", [True, False])
def test_a_second_ctrl_c_leaves_at_once_and_the_wait_has_an_end(tmp_path, monkeypatch, abandoned, again):
    monkeypatch.setattr(schedule, "_IN_HAND_S", 60.0 if again else 0.2)
    left = threading.Event()

    class Interrupted(MagentaPipeline):
        def repair_one(self, photo, settings):
            _thread.interrupt_main()
            assert abandoned.wait(30)
            if again:
                _thread.interrupt_main()
            assert left.wait(30), "the caller waits for the device"
            return super().repair_one(photo, settings)

    with pytest.raises(KeyboardInterrupt):
        repair_folder(draw_folder(tmp_path / "in", 1), tmp_path / "out", pipeline=Interrupted())
    left.set()
    wait_for_threads_to_leave()


def is_of_the_schedule(thread):
    return thread.name.startswith(
        ("cleanplate-feeder", "cleanplate-reader", "cleanplate-owner", "cleanplate-writer")
    )


def wait_for_threads_to_leave():
    for thread in threading.enumerate():
        if thread.name.startswith("cleanplate-"):
            thread.join(10)


def test_the_policy_hears_of_every_batch_and_photograph(tmp_path, monkeypatch):
    heard = []

    class Listening(PlainPolicy):
        peak_bytes = 12345
        staging = StagingUse(allocated_bytes=50, reused_bytes=70)

        def before_batch(self):
            heard.append("batch")

        def after_photos(self, count):
            heard.append(count)

    monkeypatch.setattr(run, "choose_policy", lambda *_, **__: Listening())
    photos = draw_folder(tmp_path / "in", 5)
    summary = repair_folder(
        photos, tmp_path / "out", RepairSettings(batch_size=2), pipeline=MagentaPipeline()
    )
    assert heard == ["batch", 2, "batch", 2, "batch", 1, "batch"]
    figures = summary.to_json()["memory"]
    assert figures["metered_peak_bytes"] == 12345
    assert figures["staging_allocated_bytes_per_photograph"] == 10
    assert figures["staging_reused_bytes"] == 70
    status = json.loads((tmp_path / "out" / ".cleanplate" / "status.json").read_text())
    assert status["metered_peak_bytes"] == 12345


def test_while_the_policy_waits_nothing_is_read(tmp_path, monkeypatch):
    photos = draw_folder(tmp_path / "in", 12)
    read, begun, waits = work.read, [], []

    def counting_read(*arguments, **named):
        begun.append(time.monotonic())
        time.sleep(0.06)
        return read(*arguments, **named)

    class Waiting(PlainPolicy):
        def before_batch(self):
            began = time.monotonic()
            time.sleep(0.15)
            waits.append((began, time.monotonic()))

    monkeypatch.setattr(run, "choose_policy", lambda *_, **__: Waiting())
    monkeypatch.setattr(work, "read", counting_read)
    summary = repair_folder(
        photos, tmp_path / "out", RepairSettings(batch_size=2), pipeline=MagentaPipeline()
    )
    assert summary.counts["repaired"] == 6
    assert len(waits) == 7
    just_begun_s = 0.05  # a reader that had taken its photograph up before
    inside = [at for at in begun for began, ended in waits if began + just_begun_s < at < ended]
    assert not inside


@pytest.mark.usefixtures("unguarded")
def test_pictures_on_their_way_stay_within_their_bytes(tmp_path, monkeypatch):
    photos = draw_folder(tmp_path / "in", 24)
    read, store = work.read, Workbench.store
    pictures: list[weakref.ref] = []
    counts = []

    def count_pictures():
        return sum(picture() is not None for picture in pictures)

    def remembering_read(*arguments, **named):
        photo = read(*arguments, **named)
        pictures.append(weakref.ref(photo.rgb))
        return photo

    def slow_store(self, item):
        time.sleep(0.005)
        counts.append(count_pictures())
        store(self, item)

    monkeypatch.setattr(work, "read", remembering_read)
    monkeypatch.setattr(Workbench, "store", slow_store)
    room_for = 5
    queue_bytes = room_for * 96 * 64 * HELD_BYTES_PER_PIXEL
    settings = RepairSettings(batch_size=2, memory_limit=int(queue_bytes / QUEUE_SHARE) + 4)
    repair_folder(photos, tmp_path / "out", settings, pipeline=MagentaPipeline())
    # A thread between two steps may hold what it has just passed on a moment longer.
    assert 2 <= max(counts) <= room_for + 2
    gc.collect()
    assert count_pictures() == 0


def jobs_of(tmp_path, count, size=(10, 10)):
    folder = tmp_path / "jobs"
    folder.mkdir()
    jobs = []
    for number in range(count):
        path = folder / f"{number}.bmp"
        Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path)
        jobs.append(Job(number, Source(path, path.name, path.name)))
    return jobs


def test_batches_follow_the_places_in_the_full_list(tmp_path):
    jobs = jobs_of(tmp_path, 7)
    left = [job for job in jobs if job.number not in (0, 4, 5)]
    batches = [
        [job.number for job in batch] for batch, _ in cut_batches(left, RepairSettings(batch_size=3), 10**9)
    ]
    assert batches == [[1, 2], [3], [6]]


def test_an_estimate_never_passes_what_may_be_read(tmp_path):
    jobs = jobs_of(tmp_path, 1, size=(400, 300))
    ((_, sizes),) = cut_batches(jobs, RepairSettings(max_megapixels=0.01), 10**9)
    assert sizes == [10_000 * HELD_BYTES_PER_PIXEL]


def test_everyone_who_waits_at_the_conveyor_leaves_when_it_is_abandoned():
    conveyor = Conveyor(100)
    left = []

    def wait(how):
        with pytest.raises(AbandonedError):
            how()
        left.append(how)

    waits = (conveyor.next_to_load, conveyor.next_batch, conveyor.next_to_store)
    threads = [threading.Thread(target=wait, args=(how,)) for how in waits]
    for thread in threads:
        thread.start()
    first = ValueError("first")
    conveyor.abandon(first)
    conveyor.abandon(ValueError("second"))
    for thread in threads:
        thread.join(10)
    assert len(left) == 3
    assert conveyor.error is first


def test_one_photograph_larger_than_the_limit_goes_alone(tmp_path):
    conveyor = Conveyor(100)
    jobs = jobs_of(tmp_path, 2)
    assert conveyor.admit(jobs[:1], [1000])
    assert conveyor.held_bytes == 1000
    conveyor.close_exit()
    assert not conveyor.admit(jobs[1:], [1000])


def test_large_photographs_are_not_read_far_ahead(tmp_path):
    conveyor = Conveyor(10_000)
    jobs = jobs_of(tmp_path, 3)
    assert conveyor.admit(jobs[:1], [1000], 100)  # it would wait alone
    admitted = threading.Thread(target=conveyor.admit, args=(jobs[1:2], [60], 100))
    admitted.start()
    admitted.join(0.2)
    assert admitted.is_alive()
    conveyor.put_loaded(conveyor.next_to_load(), Failed(Path("a"), "a", ValueError()))
    conveyor.next_batch()
    admitted.join(10)
    assert not admitted.is_alive()
    assert conveyor.admit(jobs[2:], [40], 100)  # small ones together
