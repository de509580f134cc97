"""Jobs that wait are on disk."""

import json

import pytest

from cleanplate.review.queue import Action, Job, State
from cleanplate.review.waiting import WaitingFile


def make_job(name, **wish):
    return Job(id=name * 16, name=f"{name}.jpg", action=Action.AGAIN, **wish)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "waiting.jsonl"


@pytest.fixture
def file(path):
    file = WaitingFile(path)
    yield file
    file.close()


def test_what_was_queued_and_has_not_ended_waits_in_order(path, file):
    wishes = [make_job("a"), make_job("b", method="lama", threshold=0.1, mask=True, alike=True)]
    wishes.append(make_job("c"))
    file.add([Job(**{**wishes[0].to_json(), "job": 7, "state": State.RUNNING, "stage": "read"}), *wishes[1:]])
    file.end(wishes[:1])
    assert WaitingFile(path).read() == wishes[1:]
    file.add([make_job("a", mask=True)])
    assert WaitingFile(path).read() == [*wishes[1:], make_job("a", mask=True)]


def test_it_is_written_anew(path, file):
    for _ in range(20):
        file.add([make_job("a")])
        file.end([make_job("a")])
    file.rewrite([make_job("b")])
    assert len(path.read_text().splitlines()) == 1
    file.add([make_job("c")])
    assert [job.name for job in WaitingFile(path).read()] == ["b.jpg", "c.jpg"]


def test_lines_of_another_version_are_passed_over(path, file):
    strange = [
        {},
        {"kind": "queued"},
        {"kind": "queued", "id": "x", "name": "x", "action": "fly"},
        {"kind": 3},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in strange) + "{torn")
    file.add([make_job("a")])
    assert [job.name for job in WaitingFile(path).read()] == ["a.jpg"]


def test_where_nothing_was_ever_queued(file):
    assert file.read() == []
