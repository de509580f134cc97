"""Thread settings."""

import os
import subprocess
import sys

import psutil
import pytest
import torch

from cleanplate.device import threads
from cleanplate.device.threads import LARGE_PAGES, configure_threads, count_cores, read_threads


@pytest.fixture(autouse=True)
def restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cores(monkeypatch):
    def pretend(count: int) -> None:
        monkeypatch.setattr(threads, "count_cores", lambda: count)

    return pretend


@pytest.mark.parametrize(
    ("core_count", "wanted", "environment", "expected"),
    [
        (2, None, "", 2),
        (2, 8, "", 2),
        (2, 1, "", 1),
        (4, None, "1", 1),
        (2, None, "16", 2),
        (2, None, "x", 2),
    ],
)
def test_never_more_threads_than_cores(cores, monkeypatch, core_count, wanted, environment, expected):
    cores(core_count)
    monkeypatch.setenv("OMP_NUM_THREADS", environment)
    settings = configure_threads(wanted)
    assert (settings.threads, settings.cores) == (expected, core_count)
    assert read_threads() == settings


@pytest.mark.parametrize(("physical", "quota", "expected"), [(64, 1, 1), (1, 8, 1), (None, 1, 1), (64, 0, 1)])
def test_quota_bounds_cores(monkeypatch, physical, quota, expected):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: physical)  # noqa: ARG005  # its name is the keyword
    monkeypatch.setattr(threads, "read_core_limit", lambda: quota)
    assert count_cores() == expected


def test_idle_threads_sleep_when_set_in_time():
    script = (
        "import os; os.environ.pop('OMP_WAIT_POLICY', None)\n"
        "from cleanplate.device.threads import configure_threads\n"
        "print(configure_threads(1).wait_policy)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "PASSIVE"


def test_too_late_changes_nothing(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert configure_threads(1).wait_policy is None


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_large_pages_are_asked_for_unless_the_user_has_said_otherwise(monkeypatch, given, expected):
    monkeypatch.setenv(LARGE_PAGES, given or "")
    if given is None:
        monkeypatch.delenv(LARGE_PAGES)
    configure_threads(1)
    assert os.environ[LARGE_PAGES] == expected


def test_onednn_is_told_to_keep_less_before_it_is_there():
    script = (
        "import os; os.environ.pop('ONEDNN_PRIMITIVE_CACHE_CAPACITY', None)\n"
        "from cleanplate.device.threads import configure_threads\n"
        "configure_threads(1)\n"
        "print(os.environ['ONEDNN_PRIMITIVE_CACHE_CAPACITY'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(threads.PRIMITIVES_KEPT)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
@pytest.mark.parametrize("given", [None, "4"])
def test_threads_share_an_arena_unless_the_user_says_otherwise(monkeypatch, given):
    told = []
    monkeypatch.setattr(threads, "_share_one_arena", lambda: told.append(True))
    monkeypatch.delenv(threads.ARENAS, raising=False)
    if given is not None:
        monkeypatch.setenv(threads.ARENAS, given)
    configure_threads(1)
    assert bool(told) is (given is None)
