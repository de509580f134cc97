"""No test may hang: a thread that waits for ever is shown with all stacks, and ends the run."""

import faulthandler
import threading
from collections.abc import Iterator

import pytest

from cleanplate.engine import run
from cleanplate.engine.policy import PlainPolicy


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(240, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("cleanplate-")]
    assert not left, f"threads are still there: {left}"


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without the guard: it would pause by how full the memory of the machine happens to be."""
    monkeypatch.setattr(run, "choose_policy", lambda *_, **__: PlainPolicy())
