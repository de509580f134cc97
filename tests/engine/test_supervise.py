"""The owner of the device in a process of its own: the same results, and what happens there ends no run."""

import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from cleanplate.device import memory, selection
from cleanplate.device.memory import MemorySnapshot
from cleanplate.engine.child import _limit_memory
from cleanplate.engine.events import Paused, Warned
from cleanplate.engine.owner import LocalOwner
from cleanplate.engine.pauses import QUIET_PHOTOS
from cleanplate.engine.policy import FREE_SHARE, PlainPolicy
from cleanplate.engine.supervise import CALM_BATCHES, TRANSFER, SupervisedOwner
from cleanplate.engine.worker import Worker
from cleanplate.errors import (
    DeviceLostError,
    InvalidSettingError,
    ModelError,
    RepairFailedError,
    UsageError,
)
from cleanplate.settings import RepairSettings
from cleanplate.structures import Verdict

from . import troubled
from .troubled import make_photo

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = RepairSettings(batch_size=4, optimize=False)
#: Enough for a machine that is busy with other things, and what each hang costs.
LIMIT_SECONDS = 2.0


def supervise(make_pipeline=troubled.make_troubled, settings=SETTINGS, **options):
    options = {"make_policy": troubled.make_plain, "limit_seconds": LIMIT_SECONDS, **options}
    return SupervisedOwner(settings, make_pipeline=make_pipeline, **options)


def is_gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until_gone(pid, seconds=20.0):
    end = time.monotonic() + seconds
    while not is_gone(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return is_gone(pid)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files go; at the end nothing is left there, and no process."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield folder
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    # Python's own helper for spawned processes stays as long as this one.
    left = [child for child in left if "resource_tracker" not in " ".join(child.cmdline())]
    assert left == []
    assert list(folder.iterdir()) == []


def assert_same(one, other):
    assert (one.verdict, one.regions, one.rounds) == (other.verdict, other.regions, other.rounds)
    assert (one.first.boxes, one.first.share) == (other.first.boxes, other.first.share)
    for mine, yours in [
        (one.rgb, other.rgb),
        (one.changed, other.changed),
        (one.first.mask, other.first.mask),
        (one.first.probability, other.first.probability),
    ]:
        assert mine.dtype == yours.dtype
        assert np.array_equal(mine, yours)


def test_results_are_those_of_an_owner_in_this_process(tmp_path):
    photos = [make_photo(tmp_path, f"fine-{number}", number) for number in range(5)]
    photos[1] = make_photo(tmp_path, "clean")
    expected = LocalOwner(troubled.make_wide(SETTINGS), SETTINGS, PlainPolicy()).repair(photos)
    with supervise(troubled.make_wide) as owner:
        assert owner.fingerprint == "magenta-1"
        first, second = owner.repair(photos), owner.repair(photos[:1])
    for answer, wanted in zip([*first, *second], [*expected, expected[0]], strict=True):
        assert_same(answer.result, wanted.result)
        assert answer.seconds.keys() == {*wanted.seconds, TRANSFER}
    assert first[1].result.verdict is Verdict.CLEAN
    assert first[1].result.rgb is photos[1].rgb


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        ("leaving", "ended with code 7"),
        ("killed", "was killed"),
        ("crashing", "was ended by SIG|ended with code 0x"),
        ("lost", "lost the device .*an illegal memory access"),
    ],
)
def test_who_ends_two_children_is_set_aside_and_the_others_are_repaired(tmp_path, trouble, cause):
    photos = [make_photo(tmp_path, name) for name in ("fine-1", trouble, "fine-2")]
    events = []
    with supervise(emit=events.append) as owner:
        answers = owner.repair(photos)
    bad = answers[1].result
    assert isinstance(bad, RepairFailedError)
    assert bad.path == photos[1].path
    assert re.search(f"two processes in a row ended while they worked on it: .*{cause}", bad.cause)
    assert "--device cpu" in bad.remedy
    assert [answers[at].result.verdict for at in (0, 2)] == [Verdict.REPAIRED] * 2
    assert [bool(re.search(cause, event.message)) for event in events] == [True, True]


def test_who_hangs_is_found_with_stacks_in_the_log_and_its_own_children_ended(tmp_path, caplog):
    photos = [make_photo(tmp_path, name) for name in ("fine", "hanging")]
    with caplog.at_level(logging.INFO, "cleanplate"), supervise() as owner:
        fine, bad = owner.repair(photos)
    assert fine.result.verdict is Verdict.REPAIRED
    assert "made no progress for 2 seconds" in bad.result.cause
    assert "be_hanging" in caplog.text
    grandchildren = [int(pid) for pid in re.findall(r"grandchild (\d+)", caplog.text)]
    assert len(grandchildren) == 2
    assert all(wait_until_gone(pid) for pid in grandchildren)


def test_a_hang_in_which_python_stands_still_too_ends(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "cleanplate"), supervise(limit_seconds=1.0) as owner:
        (bad,) = owner.repair([make_photo(tmp_path, "frozen")])
    assert "made no progress for 1 seconds" in bad.result.cause
    assert "be_frozen" in caplog.text


def test_an_accident_costs_no_photograph(tmp_path):
    photos = [make_photo(tmp_path, name) for name in ("once-1", "fine", "once-2")]
    with supervise(settings=RepairSettings(batch_size=1, optimize=False)) as owner:
        answers = owner.repair(photos)
    assert [answer.result.verdict for answer in answers] == [Verdict.REPAIRED] * 3


def test_slow_is_not_stuck(tmp_path):
    began = time.monotonic()
    with supervise(troubled.make_slow, limit_seconds=1.5) as owner:
        (answer,) = owner.repair([make_photo(tmp_path, "fine")])
    assert answer.result.verdict is Verdict.REPAIRED
    assert time.monotonic() - began > 12 * troubled.NAP_SECONDS > 1.5


def test_a_child_killed_between_batches_is_replaced(tmp_path):
    photo = make_photo(tmp_path, "fine")
    events = []
    with supervise(emit=events.append) as owner:
        owner.repair([photo])
        for ask in (owner.before_batch, lambda: None):
            first = owner.pid
            psutil.Process(first).kill()
            assert wait_until_gone(first)
            ask()
            (answer,) = owner.repair([photo])
            assert answer.result.verdict is Verdict.REPAIRED
            assert owner.pid != first
    assert len([event for event in events if isinstance(event, Warned)]) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_who_asks_gets_an_answer_even_where_burying_a_child_goes_wrong(tmp_path, monkeypatch):
    bury = Worker._bury

    def fail(self):
        bury(self)
        raise RuntimeError("it cannot be buried")

    monkeypatch.setattr(Worker, "_bury", fail)
    events = []
    with supervise(emit=events.append) as owner:
        psutil.Process(owner.pid).kill()
        (answer,) = owner.repair([make_photo(tmp_path, "fine")])
    assert answer.result.verdict is Verdict.REPAIRED
    assert "is lost" in events[0].message


def test_errors_travel_and_what_cannot_says_the_same(tmp_path):
    with supervise() as owner:
        first = owner.pid
        (answer,) = owner.repair([make_photo(tmp_path, "wrong")])
        assert owner.pid == first
    assert type(answer.result) is RuntimeError
    assert str(answer.result) == "UntravelledError: this and that"


def test_when_every_photograph_ends_the_child_the_run_ends(tmp_path):
    photos = [make_photo(tmp_path, f"leaving-{number}") for number in range(6)]
    owner = supervise(settings=RepairSettings(batch_size=6, optimize=False))
    with owner, pytest.raises(DeviceLostError, match=r"5 photographs in a row .*ended with code 7.*doctor"):
        owner.repair(photos)


@pytest.mark.parametrize(
    ("make_pipeline", "error", "words"),
    [
        (troubled.refuse_model, ModelError, "finder.pt: damaged; train it again"),
        (troubled.refuse_setting, InvalidSettingError, "device is 'cuda:7'"),
        (troubled.fail_to_start, RuntimeError, "CUDA error: out of memory"),
        (troubled.die_at_start, DeviceLostError, "ended with code 9 while it was starting"),
    ],
)
def test_what_a_child_cannot_start_for_is_raised_here(make_pipeline, error, words):
    with pytest.raises(error, match=words), supervise(make_pipeline):
        pass


def test_what_cannot_be_handed_over_is_refused():
    with pytest.raises(UsageError, match="--no-supervise"), supervise(lambda _: None):
        pass


def test_the_policy_hears_of_the_parent_and_the_parent_of_the_policy(tmp_path):
    events, stopping = [], []
    owner = supervise(
        settings=RepairSettings(memory_limit=800_000_000, device="cpu"),
        make_policy=troubled.make_telling,
        emit=events.append,
        queued_bytes=lambda: 17,
        stopping=lambda: stopping.append(1) or len(stopping) > 2,
        limit_seconds=30.0,
    )
    with owner:
        owner.before_batch()
        owner.repair([make_photo(tmp_path, "fine")])
        assert owner.peak_bytes == 800_000_000
        assert owner.read_usage().cpu_seconds > 0
        psutil.Process(owner.pid).kill()
        owner.repair([make_photo(tmp_path, "fine")])
        assert owner.peak_bytes == 800_000_000
    assert [event.reason for event in events if isinstance(event, Paused)] == ["17 queued"]


def test_a_child_that_dies_leaves_no_temporary_folder(tmp_path, temporary, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(temporary))
    with supervise() as owner:
        (answer,) = owner.repair([make_photo(tmp_path, "littering")])
        assert isinstance(answer.result, RepairFailedError)
        assert not list(temporary.glob("cleanplate-iopaint-*"))


def end_child(owner):
    psutil.Process(owner.pid).kill()
    wait_until_gone(owner.pid)
    owner.before_batch()  # where its death is noticed


def test_each_new_child_gets_half_of_what_pictures_leave_and_half_the_batch(tmp_path, caplog):
    photos = [make_photo(tmp_path, f"fine-{number}") for number in range(4)]
    events = []
    owner = supervise(
        troubled.make_counting,
        RepairSettings(batch_size=4, memory_limit=1000, device="cpu"),
        make_policy=troubled.make_limited,
        emit=events.append,
        queued_bytes=lambda: 200,
    )
    with caplog.at_level(logging.WARNING, "cleanplate"), owner:
        for _ in range(5):
            owner.repair(photos)
            end_child(owner)
        owner.repair(photos)
    limits = [event.message for event in events if event.message.startswith("limit")]
    assert limits == [f"limit {200 + left}" for left in (800, 400, 200, 100, 100, 100)]
    together = [int(size) for size in re.findall(r"together (\d+)", caplog.text)]
    assert together == [4, 2, 2, *[1] * 16]
    assert sum("half the batch and half the memory" in event.message for event in events) == 5


def test_a_halved_batch_grows_back_after_calm(tmp_path, caplog):
    photos = [make_photo(tmp_path, f"fine-{number}") for number in range(2)]
    settings = RepairSettings(batch_size=2, optimize=False)
    with caplog.at_level(logging.WARNING, "cleanplate"), supervise(troubled.make_counting, settings) as owner:
        end_child(owner)
        for _ in range(CALM_BATCHES // 2 + 1):
            owner.repair(photos)
    together = [int(size) for size in re.findall(r"together (\d+)", caplog.text)]
    assert together == [*[1] * CALM_BATCHES, 2]


@pytest.mark.parametrize(("device", "left"), [("cpu", 10 + 45), ("cuda", 50)])
def test_pictures_lie_in_the_memory_of_a_processor_only(monkeypatch, device, left):
    monkeypatch.setattr(selection, "resolve_device", lambda _: torch.device(device))
    settings = RepairSettings(memory_limit=100)
    assert _limit_memory(settings, 0.5, 10).memory_limit == left
    assert _limit_memory(settings, 1.0, 10) is settings
    assert _limit_memory(RepairSettings(memory_limit=100, optimize=False), 0.5).memory_limit == 100


def test_without_a_limit_the_new_child_gets_half_of_what_it_would_have_taken(monkeypatch):
    free = MemorySnapshot(device="cpu", free_bytes=1000)
    monkeypatch.setattr(memory, "read_memory", lambda *_, **__: free)
    assert _limit_memory(RepairSettings(device="cpu"), 0.5).memory_limit == FREE_SHARE * 1000 / 2


def test_a_new_child_is_as_quiet_after_a_pause_as_the_old_one(tmp_path):
    events = []
    owner = supervise(
        settings=RepairSettings(device="cpu"),
        make_policy=troubled.make_pressed,
        emit=events.append,
        stopping=lambda: True,
        limit_seconds=30.0,
    )
    with owner:
        owner.before_batch()
        for _ in range(3):
            owner.repair([make_photo(tmp_path, "fine")])
            end_child(owner)
            owner.before_batch()
        assert owner._quiet["system", 0.8][0] == QUIET_PHOTOS - 3
    assert sum(isinstance(event, Paused) for event in events) == 1


def test_leaving_in_the_middle_leaves_nothing(tmp_path):
    """As after a second thread's error: the owner is closed while it waits for the child."""
    photo, caught = make_photo(tmp_path, "hanging"), []

    def work():
        try:
            owner.repair([photo])
        except DeviceLostError as error:
            caught.append(str(error))

    with supervise(limit_seconds=100.0) as owner:
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(0.5)
    thread.join(20)
    assert caught == ["the run has ended"]


@pytest.mark.parametrize("name", ["hanging", "none"])
def test_a_killed_parent_leaves_no_child(tmp_path, temporary, name):
    """In the middle of work, and between batches."""
    command = [sys.executable, "-m", "tests.engine.orphan", str(tmp_path), name]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    environment |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == (2 if name == "hanging" else 1)
    assert all(wait_until_gone(pid) for pid in pids)
