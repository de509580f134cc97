"""No run may leave a thread behind."""

import threading
from collections.abc import Iterator

import pytest

from cleanplate.engine import run
from cleanplate.engine.policy import PlainPolicy


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("cleanplate-")]
    assert not left, f"threads are still there: {left}"


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without the guard: it would pause by how full the memory of the machine happens to be."""
    monkeypatch.setattr(run, "choose_policy", lambda *_, **__: PlainPolicy())
