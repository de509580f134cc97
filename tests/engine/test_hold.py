"""A run that is held waits, goes on when it is let go, and ends when it is to end."""

import threading
import time

import pytest

from cleanplate.engine.events import Paused, PhotoFinished
from cleanplate.engine.hold import Hold
from cleanplate.engine.run import repair_folder
from cleanplate.engine.stop import StopRequest
from cleanplate.settings import RepairSettings
from tests.engine.simple import MagentaPipeline, draw_folder


@pytest.mark.parametrize("optimize", [True, False])
def test_a_held_run_waits_for_as_long_as_it_is_held(tmp_path, optimize):
    hold, events, held = Hold(), [], threading.Event()
    settings = RepairSettings(threshold=0.01, optimize=optimize, batch_size=1)

    def listen(event):
        events.append(event)
        if isinstance(event, PhotoFinished) and not held.is_set():
            hold.ask()
            held.set()

    def let_go():
        held.wait(30)
        while not hold.reached:
            time.sleep(0.01)
        hold.release()

    helper = threading.Thread(target=let_go)
    helper.start()
    inputs = draw_folder(tmp_path / "in", 4)
    summary = repair_folder(
        inputs, tmp_path / "out", settings, pipeline=MagentaPipeline(), subscribers=[listen], hold=hold
    )
    helper.join()
    assert len(summary.outcomes) == 4
    (pause,) = [event for event in events if isinstance(event, Paused)]
    assert pause.reason == "held by hand"
    assert pause.seconds > 0
    assert not hold.reached


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
