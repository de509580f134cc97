"""Pauses with a pretended machine, clock and sleep."""

from dataclasses import replace

import pytest
import torch

from cleanplate.device.memory import MemorySnapshot
from cleanplate.engine.events import Cleaned, Paused
from cleanplate.engine.pauses import Pauses, describe_cleaning

GB = 1_000_000_000
EASY = MemorySnapshot(
    device="cuda:0",
    allocated_bytes=1 * GB,
    reserved_bytes=1 * GB,
    free_bytes=7 * GB,
    total_bytes=10 * GB,
    system_available_bytes=8 * GB,
    system_total_bytes=10 * GB,
    process_bytes=1 * GB,
)


class Machine:
    """Memory, clock and sleep. Free memory is a function of the time; release(): what cleaning does to it."""

    def __init__(self, snapshot=EASY, system_free=None, after_release=None):
        self.device = torch.device("cuda:0")
        self.now = 0.0
        self.snapshot = snapshot
        self.system_free = system_free
        self.after_release = after_release
        self.releases = 0
        self.events = []
        self.stopping = False

    def read(self):
        if self.system_free is None:
            return self.snapshot
        return replace(self.snapshot, system_available_bytes=int(self.system_free(self.now) * 10 * GB))

    def release(self, *, thorough=True):
        assert thorough
        self.releases += 1
        if self.after_release is not None:
            self.snapshot = self.after_release

    def sleep(self, seconds):
        self.now += seconds

    def pauses(self, interval=25):
        return Pauses(
            self,
            interval,
            self.events.append,
            clock=lambda: self.now,
            sleep=self.sleep,
            stopping=lambda: self.stopping,
        )

    def waits(self):
        return [event.seconds for event in self.events if isinstance(event, Paused)]


def test_enough_memory_no_pause():
    machine = Machine()
    assert not machine.pauses().before_batch()
    assert (machine.events, machine.releases, machine.now) == ([], 0, 0.0)


def test_cleaning_may_be_enough():
    full = replace(EASY, allocated_bytes=1 * GB, reserved_bytes=2 * GB, free_bytes=0)
    machine = Machine(full, after_release=EASY)
    assert not machine.pauses().before_batch()
    assert machine.events == [Cleaned(reason="GPU memory is at 90%, over 90%", freed_bytes=1 * GB)]
    assert machine.now == 0.0


def test_what_torch_holds_idle_is_not_pressure():
    machine = Machine(replace(EASY, allocated_bytes=1 * GB, reserved_bytes=9 * GB, free_bytes=0))
    assert not machine.pauses().before_batch()
    assert machine.releases == 0


def test_it_waits_until_well_below_the_limit():
    # 0.15 free, one more hundredth a second: 0.2 is the limit, 0.25 ends the wait
    machine = Machine(system_free=lambda now: 0.15 + now / 100)
    assert machine.pauses().before_batch()
    assert machine.waits() == [pytest.approx(10.5, abs=0.6)]
    assert machine.events[-1].reason == "system memory is at 85%, over 80%"


def test_it_never_waits_over_thirty_seconds():
    machine = Machine(system_free=lambda now: 0.01 + now / 1000 * 2)
    machine.pauses().before_batch()
    assert machine.waits() == [30.0]
    assert "over 90%" in machine.events[-1].reason


def test_it_does_not_wait_for_what_does_not_come():
    machine = Machine(system_free=lambda _: 0.15)
    machine.pauses().before_batch()
    assert machine.waits() == [5.0]


def test_a_wish_to_stop_ends_the_wait():
    machine = Machine(system_free=lambda _: 0.15)
    machine.stopping = True
    machine.pauses().before_batch()
    assert machine.waits() == [0.0]


def run_photos(machine, count, pauses):
    """Which photographs, from 0, a pause came before."""
    paused = []
    for photo in range(count):
        before = len(machine.waits())
        pauses.before_batch()
        if len(machine.waits()) > before:
            paused.append(photo)
        pauses.after_photos(1)
    return paused


def test_a_machine_that_always_stands_high_does_not_crawl():
    machine = Machine(system_free=lambda _: 0.15)
    assert run_photos(machine, 200, machine.pauses()) == [0, 25, 75, 175]


def test_the_same_cause_rests_for_25_photographs_when_waiting_helped():
    # free memory comes back in each wait and is gone again by the next batch
    machine = Machine(system_free=lambda now: 0.15 if now % 10 == 0 else 0.5)
    pauses = machine.pauses()

    def sleep(seconds):
        machine.now += seconds

    pauses.sleep = sleep
    paused = []
    for photo in range(60):
        machine.now = 10.0 * photo
        before = len(machine.waits())
        pauses.before_batch()
        if len(machine.waits()) > before:
            paused.append(photo)
        pauses.after_photos(1)
    assert paused == [0, 25, 50]


def test_a_worse_state_is_another_cause():
    free = [0.15]
    machine = Machine(system_free=lambda _: free[0])
    pauses = machine.pauses()
    pauses.before_batch()
    pauses.before_batch()
    assert len(machine.waits()) == 1
    free[0] = 0.05
    pauses.before_batch()
    assert len(machine.waits()) == 2
    free[0] = 0.15
    pauses.before_batch()
    assert len(machine.waits()) == 2


def test_cleaning_comes_every_interval_if_it_can_gain_something():
    idle = replace(EASY, allocated_bytes=1 * GB, reserved_bytes=4 * GB)
    machine = Machine(idle)
    pauses = machine.pauses(interval=10)
    for _ in range(25):
        pauses.after_photos(1)
    assert machine.events == [Cleaned(reason="10 photographs have passed", freed_bytes=0)] * 2


def test_no_cleaning_without_gain():
    machine = Machine()
    pauses = machine.pauses(interval=10)
    pauses.after_photos(100)
    assert machine.releases == 0


def test_a_processor_is_cleaned_when_the_process_has_grown():
    host = replace(EASY, device="cpu", reserved_bytes=None)
    machine = Machine(host, after_release=host)
    pauses = machine.pauses(interval=10)
    pauses.after_photos(10)
    assert machine.releases == 0
    machine.snapshot = replace(host, process_bytes=2 * GB)
    pauses.after_photos(10)
    assert machine.events == [Cleaned(reason="10 photographs have passed", freed_bytes=1 * GB)]
    assert describe_cleaning(machine.events[0]).endswith("1 GB freed")


def test_a_machine_without_figures_never_pauses():
    machine = Machine(MemorySnapshot(device="virtual"))
    pauses = machine.pauses(interval=1)
    assert not pauses.before_batch()
    pauses.after_photos(1)
    pauses.clean("asked for")
    assert machine.events == [Cleaned(reason="asked for", freed_bytes=None)]


def test_whoever_takes_its_place_goes_on_being_quiet():
    machine = Machine(system_free=lambda _: 0.15)
    first = machine.pauses()
    first.before_batch()
    first.after_photos(10)
    assert first.quiet == {("system", 0.8): (15, 50)}
    second = Pauses(
        machine, 25, machine.events.append, clock=lambda: machine.now, sleep=machine.sleep, quiet=first.quiet
    )
    second.after_photos(14)
    second.before_batch()
    assert len(machine.waits()) == 1
    second.after_photos(1)
    second.before_batch()
    assert len(machine.waits()) == 2
    assert second.quiet == {("system", 0.8): (50, 100)}
