"""Every allocation of a run fails, a run for each: once, and from it on. `make sweep`: the real networks."""

import os

import pytest
from benchmarks.light import draw_photo, make_light_pipeline

from cleanplate.settings import RepairSettings
from tests.sweep.harness import Sweep


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    """A sync is of no interest here, and there are thousands of them."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def photos(tmp_path):
    for number, mark_px in enumerate((20, 0, 14)):
        draw_photo(tmp_path / "in" / f"{number}.png", seed=number, mark_px=mark_px)
    return tmp_path / "in"


@pytest.mark.parametrize("optimize", [True, False], ids=["optimised", "plain"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_each_allocation_failing_in_turn(photos, tmp_path, optimize, lasting):
    sweep = Sweep(photos, tmp_path, make_light_pipeline(), RepairSettings(optimize=optimize))
    assert sweep.expected.counts["repaired"] == 2
    trials = list(sweep.run_all(lasting=lasting))
    assert [trial.at for trial in trials] == list(range(1, sweep.allocations + 2))
    *struck, undisturbed = trials
    assert (undisturbed.struck, undisturbed.named) == (0, 0)
    if lasting:
        assert struck[0].named == 3, "nothing can be allocated at all"
        assert all(trial.named for trial in struck)
    else:
        assert not any(trial.named for trial in struck), "one failure costs no photograph"
