"""Events become the files that another process watches."""

import json
from pathlib import Path

import pytest

from cleanplate.cli import main
from cleanplate.engine.events import (
    Cleaned,
    MemorySampled,
    Paused,
    PhotoFinished,
    Retried,
    RunFinished,
    RunStarted,
    SurveyFinished,
    SurveyStarted,
)
from cleanplate.engine.recorder import RunRecorder
from cleanplate.engine.summary import RunSummary
from cleanplate.errors import DeviceLostError
from cleanplate.monitor.records import read_samples, read_status
from cleanplate.structures import Outcome, Verdict

RETRIED = Retried(stage="fill", batch=2, tile=None, next_batch=1, next_tile=None, cause="OutOfMemoryError")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def finished(name: str, verdict=Verdict.REPAIRED) -> PhotoFinished:
    return PhotoFinished(
        outcome=Outcome(source=Path(name), relative=name, verdict=verdict, seconds={"read": 0.5})
    )


def sampled(resident: int) -> MemorySampled:
    return MemorySampled(resident_bytes=resident, peak_resident_bytes=resident, available_bytes=9)


def test_a_run_from_start_to_end(tmp_path, clock):
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(RunStarted(total=3, skipped=1))
    assert read_status(tmp_path).state == "running"
    for event in (
        finished("a.jpg"),
        finished("b.jpg"),
        finished("c.jpg", Verdict.FAILED),
        RETRIED,
        Paused(reason="x", seconds=1.0),
        Cleaned(reason="x"),
    ):
        recorder(event)
    assert read_status(tmp_path).done == 0, "written once a second"
    clock.now += 1.0
    recorder(sampled(5))
    status = read_status(tmp_path)
    assert (status.total, status.skipped, status.done, status.last) == (3, 1, 3, "c.jpg")
    assert status.images == {"repaired": 2, "failed": 1}
    assert status.seconds == {"read": 1.5}
    assert (status.out_of_memory, status.pauses, status.cleanings) == (1, 1, 1)
    recorder(RunFinished(summary=RunSummary(outcomes=(), interrupted=True)))
    assert read_status(tmp_path).state == "interrupted"


def test_samples_are_thinned_and_begin_anew(tmp_path, clock):
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(RunStarted(total=1, skipped=0))
    for _ in range(8):
        recorder(sampled(7))
        clock.now += 0.25
    assert read_samples(tmp_path) == [
        {"seconds": second, "process_bytes": 7, "system_available_bytes": 9} for second in (100.0, 101.0)
    ]
    RunRecorder(tmp_path, clock=clock)(RunStarted(total=1, skipped=0))
    assert read_samples(tmp_path) == []


def test_a_clock_that_is_set_back_stops_neither_status_nor_samples(tmp_path, clock):
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(RunStarted(total=2, skipped=0))
    recorder(sampled(1))
    clock.now -= 3600.0
    recorder(finished("a.jpg"))
    recorder(sampled(2))
    assert read_status(tmp_path).done == 1
    assert [sample["process_bytes"] for sample in read_samples(tmp_path)] == [1, 2]
    clock.now += 0.5
    recorder(finished("b.jpg"))
    assert read_status(tmp_path).done == 1, "still once a second"


@pytest.mark.parametrize(
    ("error", "state"), [(DeviceLostError("gone"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_run_that_an_error_ends_says_how_it_ended(tmp_path, clock, error, state):
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(RunStarted(total=2, skipped=0))
    recorder(finished("a.jpg"))
    with pytest.raises(type(error)), recorder:
        raise error
    assert (read_status(tmp_path).state, read_status(tmp_path).done) == (state, 1)
    clock.now += 9.0
    recorder(finished("b.jpg"))
    assert read_status(tmp_path).done == 1, "the folder may be another run's by now"


def test_one_that_ended_well_or_never_began_says_no_more(tmp_path, clock):
    with pytest.raises(DeviceLostError), RunRecorder(tmp_path, clock=clock):
        raise DeviceLostError("before any work")
    assert list(tmp_path.iterdir()) == []
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(RunStarted(total=0, skipped=0))
    recorder(RunFinished(summary=RunSummary(outcomes=())))
    with pytest.raises(KeyboardInterrupt), recorder:
        raise KeyboardInterrupt
    assert read_status(tmp_path).state == "finished"


def test_a_survey_is_told_before_the_run_starts(tmp_path, clock, capsys):
    before = RunRecorder(tmp_path, clock=clock)
    for event in (RunStarted(total=8, skipped=0), sampled(1)):
        before(event)
    assert read_samples(tmp_path)
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(SurveyStarted(photographs=9))
    assert read_samples(tmp_path) == [], "of the run before"
    assert (read_status(tmp_path).surveyed, read_status(tmp_path).total) == (9, 9)
    assert main(["monitor", str(tmp_path), "--once"]) == 0
    assert "looking through 9 photographs for a mark that they share" in capsys.readouterr().out
    recorder(sampled(2))
    recorder(SurveyFinished())
    assert read_status(tmp_path).surveyed == 0, "also where no run follows"
    recorder(RunStarted(total=7, skipped=2))
    assert (read_status(tmp_path).surveyed, read_status(tmp_path).total) == (0, 7)
    assert [sample["process_bytes"] for sample in read_samples(tmp_path)] == [2], "the survey's stay"


def test_what_the_card_does_is_shown_to_whoever_watches_from_elsewhere(tmp_path, clock, capsys):
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(RunStarted(total=1, skipped=0))
    for temperature, slow in ((55.0, False), (83.0, True)):
        recorder(
            MemorySampled(
                resident_bytes=7,
                peak_resident_bytes=7,
                available_bytes=9,
                gpu_allocated_bytes=2_000_000_000,
                gpu_reserved_bytes=3_000_000_000,
                gpu_total_bytes=8_000_000_000,
                gpu_free_bytes=4_000_000_000,
                gpu_utilisation_share=0.97,
                gpu_temperature_celsius=temperature,
                gpu_power_watts=250.0,
                gpu_throttled=slow,
            )
        )
        clock.now += 1.0
    recorder(RunFinished(summary=RunSummary(outcomes=())))
    assert main(["monitor", str(tmp_path), "--once"]) == 0
    rows = {line[:17].strip(): line[17:].split() for line in capsys.readouterr().out.splitlines()[2:]}
    assert rows["GPU temperature"][:4] == ["83", "°C", "83", "°C"]
    assert rows["GPU power"][:2] == ["250", "W"]
    assert rows["GPU busy"][:2] == ["97", "%"]
    assert rows["GPU slowed down"][0] == "yes"
    assert rows["GPU free"][:2] == ["4", "GB"]
    assert main(["monitor", str(tmp_path), "--once", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert (figures["gpu_temperature_celsius"], figures["gpu_throttled"]) == (83.0, 1.0)


def test_a_dry_run_writes_nothing(tmp_path, clock):
    recorder = RunRecorder(tmp_path, clock=clock)
    recorder(RunStarted(total=1, skipped=0, dry_run=True))
    recorder(sampled(1))
    recorder(RunFinished(summary=RunSummary(outcomes=())))
    assert list(tmp_path.iterdir()) == []
