"""The feed, the queue and the masks, each on its own."""

import asyncio
import io
import threading

import numpy as np
import pytest
from PIL import Image

from cleanplate.review import feed as feed_module
from cleanplate.review.feed import Feed
from cleanplate.review.masks import decode_mask, encode_mask, read_mask
from cleanplate.review.queue import MOST_WAITING, Action, Job, JobFailedError, JobQueue, State
from cleanplate.review.refusal import RefusalError
from tests.review.scene import wait_until


def listen(feed, after=None, most=100):
    """What one listener gets until the feed closes."""

    async def gather():
        texts = []
        async for text in feed.listen(after):
            texts.append(text)
            if len(texts) == most:
                break
        return texts

    return asyncio.run(gather())


def test_a_listener_gets_what_came_after_the_number_that_it_knows():
    feed = Feed()
    for number in range(4):
        feed.publish("photo", {"n": number, "name": "line\nbreak \u2028"})
    feed.close()
    hello, *events, bye = listen(feed, after=2)
    assert hello == 'event: hello\ndata: {"sequence": 2, "missed": false}\n\n'
    assert [event.splitlines()[0] for event in events] == ["id: 3", "id: 4"]
    assert all(len(event.splitlines()) == 4 for event in events), "a break in a name breaks no event"
    assert bye == "event: bye\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("after", "missed"), [(None, "false"), (6, "false"), (4, "false"), (3, "true"), (99, "true")]
)
def test_who_was_away_too_long_is_told(after, missed):
    feed = Feed(kept=2)
    for number in range(6):
        feed.publish("photo", {"n": number})
    feed.close()
    told = listen(feed, after)
    assert f'"missed": {missed}' in told[0]
    assert len(told) == 2 + (2 if after == 4 else 0)


def test_a_listener_that_falls_behind_starts_anew_instead_of_piling_up():
    feed = Feed(kept=3)

    async def fall_behind():
        stream = feed.listen()
        assert "hello" in await anext(stream)
        for number in range(10):
            feed.publish("photo", {"n": number})
        feed.close()
        return [text async for text in stream]

    told = asyncio.run(fall_behind())
    assert '"missed": true' in told[0]
    assert "bye" in told[-1]
    assert len(told) == 2


def test_listeners_hear_at_once_from_any_thread_and_are_forgotten_when_they_leave(monkeypatch):
    monkeypatch.setattr(feed_module, "ALIVE_SECONDS", 0.05)
    feed = Feed()
    timer = threading.Timer(0.15, lambda: feed.publish("note", {}))
    timer.start()
    told = []

    async def hear():
        async for text in feed.listen():
            told.append(text)
            if "note" in text:
                return

    asyncio.run(hear())
    timer.join()
    assert ": still here\n\n" in told
    assert "note" in told[-1]
    feed.publish("note", {})  # nobody is left to wake
    feed.close()


class Work:
    """Jobs that end when they are told to."""

    def __init__(self):
        self.done, self.told, self.go = [], [], threading.Event()
        self.queue = JobQueue(self.do, self.told.append)

    def do(self, job, tell_stage):
        tell_stage("repair")
        assert self.go.wait(20)
        if job.name == "bad":
            raise JobFailedError("it is bad", "make it good")
        self.done.append(job.name)


@pytest.fixture
def work():
    work = Work()
    yield work
    work.go.set()
    work.queue.close()


def make_job(name):
    return Job(id=name, name=name, action=Action.AGAIN)


def test_jobs_are_done_in_order_and_one_that_fails_stops_none(work):
    work.go.set()
    work.queue.add([make_job(name) for name in ("a", "bad", "b")])
    wait_until(lambda: work.done == ["a", "b"] and not work.queue.is_busy("b"))
    figures = work.queue.to_json()
    assert (figures["finished"], figures["failed"], figures["total"]) == (2, 1, 3)
    ends = {job.name: (job.state, job.cause) for job in work.told if job.state in (State.DONE, State.FAILED)}
    assert ends == {"a": ("done", None), "bad": ("failed", "it is bad"), "b": ("done", None)}


def test_all_jobs_of_one_wish_are_queued_or_none(work):
    work.queue.add([make_job("a")])
    with pytest.raises(RefusalError, match="waits or runs"):
        work.queue.add([make_job("b"), make_job("a")])
    with pytest.raises(RefusalError):
        work.queue.add([make_job("c"), make_job("c")])
    assert not work.queue.is_busy("b")
    with pytest.raises(RefusalError, match="would wait"):
        work.queue.add([make_job(str(number)) for number in range(MOST_WAITING + 1)])


def test_a_held_queue_begins_nothing_and_says_why(work):
    work.go.set()
    work.queue.hold("the run is going on")
    work.queue.add([make_job("a")])
    figures = work.queue.to_json()
    assert (figures["waiting_count"], figures["running"], figures["held"]) == (1, None, "the run is going on")
    assert work.queue.find("a").state == "waiting"
    work.queue.release()
    wait_until(lambda: work.done == ["a"])
    wait_until(lambda: work.queue.find("a") is None)


def test_a_long_queue_is_told_in_part(work):
    work.queue.hold("not yet")
    work.queue.add([make_job(str(number)) for number in range(250)])
    figures = work.queue.to_json()
    assert (len(figures["waiting"]), figures["waiting_count"]) == (100, 250)
    assert len(work.queue.cancel()) == 250


def make_png(mode, value, size=(4, 3)):
    target = io.BytesIO()
    Image.new(mode, size, value).save(target, "PNG")
    return target.getvalue()


@pytest.mark.parametrize(
    ("mode", "value", "marked"),
    [
        ("L", 255, True),
        ("L", 127, False),
        ("1", 1, True),
        ("RGB", (255, 255, 255), True),
        ("RGB", (255, 0, 0), False),
        ("RGBA", (255, 255, 255, 255), True),
        ("RGBA", (255, 255, 255, 100), False),
        ("LA", (255, 255), True),
        ("LA", (255, 0), False),
        ("I;16", 65535, True),
        ("I;16", 300, False),
    ],
)
def test_masks_of_every_kind_of_png(mode, value, marked):
    assert decode_mask(make_png(mode, value), 4, 3).tolist() == [[marked] * 4] * 3


def test_a_mask_comes_back_as_it_was_saved():
    mask = np.random.default_rng(0).random((30, 50)) > 0.5
    assert np.array_equal(read_mask(encode_mask(mask)), mask)
    for damaged in (b"", encode_mask(mask)[:40]):
        with pytest.raises(RefusalError, match="damaged"):
            read_mask(damaged)


def test_a_bomb_is_refused_by_its_header():
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4, "big") * 2
    with pytest.raises(RefusalError, match="100000 x 100000"):
        decode_mask(head + b"\x08\0\0\0\0", 96, 64)
