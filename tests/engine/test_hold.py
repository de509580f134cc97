"""A run that is held waits, goes on when it is let go, and ends when it is to end."""

import threading
import time

import pytest

from cleanplate.engine.events import Paused, RunFinished
from cleanplate.engine.hold import Hold
from cleanplate.engine.run import repair_folder
from cleanplate.engine.stop import StopRequest
from cleanplate.errors import UsageError
from cleanplate.settings import RepairSettings
from tests.engine.simple import MagentaPipeline, draw_folder


class AskingPipeline(MagentaPipeline):
    """Asks that the run wait while it is at its first batch, in the thread that would wait."""

    def __init__(self, hold):
        super().__init__()
        self.hold = hold

    def repair(self, photos, settings, attempt):
        if not self.batches:
            self.hold.ask()
        return super().repair(photos, settings, attempt)


def let_go_once_reached(hold, told):
    """A helper that lets a run go on as soon as it waits; `told`: whether it ever did."""

    def let_go():
        while not hold.asked:
            time.sleep(0.01)
        told.append(hold.wait_until_reached(60))
        hold.release()

    helper = threading.Thread(target=let_go, daemon=True)
    helper.start()
    return helper


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("optimize", [True, False])
def test_a_held_run_waits_for_as_long_as_it_is_held(tmp_path, optimize):
    hold, events, told = Hold(), [], []
    settings = RepairSettings(threshold=0.01, optimize=optimize, batch_size=1)
    helper = let_go_once_reached(hold, told)
    inputs = draw_folder(tmp_path / "in", 4)
    summary = repair_folder(
        inputs,
        tmp_path / "out",
        settings,
        pipeline=AskingPipeline(hold),
        subscribers=[events.append],
        hold=hold,
    )
    helper.join(60)
    assert told == [True]
    assert len(summary.outcomes) == 4
    (pause,) = [event for event in events if isinstance(event, Paused)]
    assert pause.reason == "held by hand"
    assert pause.seconds > 0
    assert not hold.reached


@pytest.mark.parametrize("optimize", [True, False])
def test_who_asks_too_late_is_told_that_the_run_has_ended(tmp_path, optimize):
    """As with a disk so slow that everything is taken up before the first photograph is finished."""
    hold, told = Hold(), []

    def listen(event):
        if isinstance(event, RunFinished):
            hold.ask()

    helper = let_go_once_reached(hold, told)
    settings = RepairSettings(threshold=0.01, optimize=optimize, batch_size=1)
    repair_folder(
        draw_folder(tmp_path / "in", 2),
        tmp_path / "out",
        settings,
        pipeline=MagentaPipeline(),
        subscribers=[listen],
        hold=hold,
    )
    helper.join(50)
    assert not helper.is_alive(), "it waits for a run that is over"
    assert told == [False]


def test_who_waits_for_a_run_that_fails_is_told(tmp_path):
    hold = Hold()
    hold.ask()
    with pytest.raises(UsageError):
        repair_folder(tmp_path / "missing", tmp_path / "out", pipeline=MagentaPipeline(), hold=hold)
    assert not hold.wait_until_reached(60)


def test_waiting_for_a_run_to_wait_ends_when_the_wish_is_taken_back_or_time_is_up():
    hold = Hold()
    assert not hold.wait_until_reached(60), "nobody asked"
    hold.ask()
    assert not hold.wait_until_reached(0.01), "there is no run yet"
    with hold.over_a_run():
        timer = threading.Timer(0.05, hold.release)
        timer.start()
        assert not hold.wait_until_reached(60), "it was taken back"
        timer.join()


def test_a_stop_ends_the_wait(tmp_path):
    hold, stop = Hold(), StopRequest()
    hold.ask()
    threading.Timer(0.1, stop.request).start()
    inputs = draw_folder(tmp_path / "in", 2)
    summary = repair_folder(
        inputs, tmp_path / "out", RepairSettings(), pipeline=MagentaPipeline(), stop=stop, hold=hold
    )
    assert summary.interrupted
    assert summary.remaining == 2


def test_who_is_not_asked_does_not_wait():
    hold = Hold()
    assert hold.wait(lambda: False) == 0
    hold.ask()
    hold.release()
    assert hold.wait(lambda: False) == 0
    assert not hold.asked
