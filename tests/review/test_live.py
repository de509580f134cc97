"""A page that follows a run: results that arrive, figures that move, and the pause button."""

import threading

import pytest

from cleanplate.cli.live import LivePage
from cleanplate.cli.serving import Bell
from cleanplate.engine.events import (
    Cleaned,
    Paused,
    Retried,
    RunStarted,
    SurveyFinished,
    SurveyStarted,
    Warned,
)
from cleanplate.engine.hold import Hold
from cleanplate.engine.run import repair_folder
from cleanplate.engine.stop import StopRequest
from cleanplate.review.desk import Desk
from cleanplate.review.live import LiveRun, NoRun
from cleanplate.review.refusal import RefusalError
from cleanplate.settings import RepairSettings
from tests.engine.simple import draw_photo
from tests.review.scene import (
    build,
    build_slowly,
    ids_by_name,
    open_client,
    read_events,
    wait_for_queue,
    wait_until,
)

COUNT = 6
SETTINGS = RepairSettings(threshold=0.01, batch_size=1)


class Following:
    """A run on a thread, a desk that follows it, a browser at the desk."""

    def __init__(self, folder):
        for number in range(COUNT):
            draw_photo(folder / "in" / f"{number}.png", seed=number)
        self.output = folder / "out"
        self.desk = Desk(self.output, SETTINGS, build=build_slowly)
        self.hold, self.stop = Hold(), StopRequest()
        self.run = LiveRun(self.desk, self.hold, self.stop)
        self.client = open_client(self.desk, self.run)
        self.summary = None
        self.thread = threading.Thread(target=self._work, args=(folder / "in",))

    def _work(self, inputs):
        self.summary = repair_folder(
            inputs,
            self.output,
            SETTINGS,
            pipeline=build_slowly(SETTINGS),
            subscribers=[self.run],
            stop=self.stop,
            hold=self.hold,
        )

    def finish(self):
        self.hold.release()
        if self.thread.is_alive():
            self.thread.join(60)
        self.run.end()
        self.desk.close()

    def list_states(self):
        """The run's states, as pages were told them."""
        return [data["state"] for kind, data in read_events(self.desk) if kind == "run"]

    def tell(self):
        return self.client.get("/api/run").json()


@pytest.fixture
def following(tmp_path):
    following = Following(tmp_path)
    yield following
    following.stop.request()
    following.finish()


def test_results_arrive_one_by_one(following):
    assert following.client.get("/").status_code == 200, "before anything is written"
    assert following.client.get("/api/photos").json() == {"sequence": 0, "photos": []}
    following.thread.start()
    following.thread.join(60)
    following.run.end()
    told = read_events(following.desk)
    photos = [data for kind, data in told if kind == "photo"]
    assert [photo["name"] for photo in photos] == [f"{number}.png" for number in range(COUNT)]
    assert photos[0]["pictures"]["after"].startswith("/pictures/")
    states = following.list_states()
    assert (states[0], states[-1]) == ("running", "finished")
    last = following.tell()
    assert (last["total"], last["done"], last["counts"]["repaired"]) == (COUNT, COUNT, COUNT)
    assert last["left_seconds"] == 0
    samples = [data for kind, data in told if kind == "sample"]
    assert samples
    assert {"seconds", "process_bytes"} <= set(samples[0])
    assert following.client.get("/api/samples").json()["samples"]
    page = following.client.get("/").text
    assert "0.png" in page


def test_a_survey_is_told_before_the_run_starts(following):
    following.run(SurveyStarted(photographs=COUNT))
    assert (following.tell()["surveyed"], following.tell()["total"]) == (COUNT, COUNT)
    following.run(SurveyFinished())
    assert following.tell()["surveyed"] == 0
    following.run(RunStarted(total=COUNT - 1, skipped=1))
    assert following.tell()["total"] == COUNT - 1


def test_the_pause_button_holds_the_engine(following):
    following.thread.start()
    wait_until(lambda: following.tell()["done"] >= 1)
    answer = following.client.post("/api/run/pause")
    assert answer.json()["state"] in ("pausing", "paused")
    wait_until(lambda: following.tell()["state"] == "paused")
    wait_until(lambda: "paused" in following.list_states())
    held_at = following.tell()["done"]
    assert held_at < COUNT
    assert following.client.post("/api/run/resume").json()["state"] == "running"
    following.thread.join(60)
    assert following.tell()["done"] == COUNT
    notes = [data["text"] for kind, data in read_events(following.desk) if kind == "note"]
    assert any(note.startswith("held by hand") for note in notes)
    assert following.tell()["pauses"] == 1
    assert following.client.post("/api/run/pause").status_code == 409


def test_a_stop_ends_a_pause(following):
    following.thread.start()
    wait_until(lambda: following.tell()["done"] >= 1)
    following.client.post("/api/run/pause")
    wait_until(lambda: following.tell()["state"] == "paused")
    following.stop.request()
    following.thread.join(60)
    assert following.summary.interrupted
    assert following.tell()["state"] == "interrupted"


def test_approving_works_at_once_and_work_waits_for_the_run(following):
    following.thread.start()
    wait_until(lambda: following.tell()["done"] >= 2)
    ids = ids_by_name(following.desk)
    client = following.client
    assert client.post(f"/api/photos/{ids['0.png']}/approve").json()["review"]["decision"] == "approved"
    assert client.post(f"/api/photos/{ids['1.png']}/keep").status_code == 202
    queue = client.get("/api/queue").json()
    assert (queue["held"], queue["waiting_count"]) == ("the run is going on", 1)
    following.thread.join(60)
    following.run.end()
    with following.desk.opened():
        assert wait_for_queue(following.desk)["finished"] == 1
    review = client.get(f"/api/photos/{ids['1.png']}").json()["review"]
    assert review["decision"] == "kept"


def test_what_else_happens_is_told(following):
    for event in (
        Paused(reason="system memory is at 91%", seconds=1.25),
        Cleaned(reason="25 photographs have passed", freed_bytes=5_000_000),
        Retried(stage="detect", batch=4, tile=None, next_batch=2, next_tile=None, cause="out of memory"),
        Warned(message="look out"),
    ):
        following.run(event)
    notes = [data for kind, data in read_events(following.desk) if kind == "note"]
    assert [note["kind"] for note in notes] == ["paused", "cleaned", "retried", "warned"]
    assert "1.2 s" in notes[0]["text"]
    assert notes[0]["lasted"] == 1.25
    assert "5" in notes[1]["text"]
    assert (following.tell()["pauses"], following.tell()["retries"]) == (1, 1)


def test_a_run_that_an_error_ended_has_failed(following):
    following.run.end()
    assert following.tell()["state"] == "failed"
    assert not following.run.is_live
    assert following.list_states()[-1] == "failed"


def test_without_a_run_there_is_nothing_to_pause(desk):
    run = NoRun(desk)
    assert run.to_json()["state"] == "none"
    for steer in (run.pause, run.resume):
        with pytest.raises(RefusalError):
            steer()
    assert open_client(desk).post("/api/run/pause").status_code == 409


def test_once_the_run_is_over_the_page_puts_right_with_what_the_run_used(tmp_path, monkeypatch):
    photo = draw_photo(tmp_path / "in" / "a.png")
    desk = Desk(tmp_path / "out", RepairSettings(), build=build)
    live, hold = LiveRun(desk, Hold(), StopRequest()), Hold()
    repair_folder([photo], tmp_path / "out", RepairSettings(threshold=0.02), pipeline=build(SETTINGS))
    monkeypatch.setattr(Bell, "wait", lambda _bell: None)
    LivePage(live, hold, desk).stay(print)
    assert desk.settings.threshold == 0.02
