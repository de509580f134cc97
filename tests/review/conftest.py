"""A folder that a run has been through, a desk over it, and a browser at that desk."""

import threading

import pytest

from tests.review.scene import draw_inputs, ids_by_name, open_client, open_desk, run_batch


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("cleanplate-")]
    assert not left, f"threads are still there: {left}"


@pytest.fixture
def inputs(tmp_path):
    return draw_inputs(tmp_path / "in")


@pytest.fixture
def output(inputs, tmp_path):
    return run_batch(inputs, tmp_path / "out")


@pytest.fixture
def desk(output):
    desk = open_desk(output)
    with desk.opened():
        yield desk


@pytest.fixture
def client(desk):
    return open_client(desk)


@pytest.fixture
def ids(desk):
    return ids_by_name(desk)
