"""Where the policy is chosen."""

import time

import pytest
from benchmarks.light import draw_photo, make_light_pipeline

from cleanplate.engine.guard import Guard
from cleanplate.engine.policy import (
    MOST_QUEUE_BYTES,
    PlainPolicy,
    choose_batch_size,
    choose_policy,
    choose_queue_bytes,
)
from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings

from .simple import MagentaPipeline, draw_folder, read_tree


def choose(settings):
    return choose_policy(settings, emit=lambda _: None, stopping=lambda: True)


def test_the_guard_watches_unless_the_user_wants_it_plain():
    assert isinstance(choose(RepairSettings(optimize=False)), PlainPolicy)
    assert isinstance(choose(RepairSettings(device="cpu")), Guard)


def test_queues_take_a_part_of_what_there_is_to_work_in():
    assert choose_queue_bytes(RepairSettings(memory_limit=4000)) == 1000
    assert 0 < choose_queue_bytes(RepairSettings()) <= MOST_QUEUE_BYTES


@pytest.mark.parametrize(
    ("together", "given"),
    [
        (1, {"masks": "masks", "inpaint": "patchmatch"}),
        (5, {"masks": "masks"}),
        (1, {"anchor": ("bottom-right:20%x8%",), "inpaint": "lama"}),
        (5, {"inpaint": "lama"}),
        (5, {"masks": "masks", "inpaint": "iopaint:lama"}),
    ],
)
def test_photographs_that_share_nothing_go_one_by_one(together, given):
    assert choose_batch_size(RepairSettings(device="cpu", batch_size=5, **given)) == together


def test_with_given_marks_a_result_is_written_while_the_next_photograph_is_worked_on(tmp_path):
    photos = draw_folder(tmp_path / "in", 4)
    together = []

    def count_written():
        return sum(file.is_file() for file in (tmp_path / "out").iterdir())

    class Watching(MagentaPipeline):
        def repair(self, photos, settings, attempt):
            latest = time.monotonic() + 20
            while count_written() < len(together) and time.monotonic() < latest:
                time.sleep(0.01)
            assert count_written() == len(together), "all before this one are written"
            together.append(len(photos))
            return super().repair(photos, settings, attempt)

    given = {"anchor": ("bottom-right:20%x8%",), "inpaint": "patchmatch"}
    settings = RepairSettings(device="cpu", batch_size=4, **given)
    summary = repair_folder(photos, tmp_path / "out", settings, pipeline=Watching())
    assert summary.exit_code == 0
    assert together == [1] * 4
    assert all(photo.batch == 1 for photo in summary.outcomes)


def test_a_guarded_run_gives_the_same_results(tmp_path, monkeypatch):
    monkeypatch.setattr("cleanplate.engine.pauses.LONGEST_WAIT_SECONDS", 0.0)  # however full this machine is
    photos = draw_folder(tmp_path / "in", 6)
    plain = RepairSettings(optimize=False)
    repair_folder(photos, tmp_path / "plain", plain, pipeline=MagentaPipeline())
    guarded = RepairSettings(device="cpu", batch_size=3)
    summary = repair_folder(photos, tmp_path / "guarded", guarded, pipeline=MagentaPipeline())
    assert summary.exit_code == 0
    assert read_tree(tmp_path / "guarded") == read_tree(tmp_path / "plain")
    assert summary.usage.metered_peak_bytes is not None


def test_in_steady_state_no_batch_allocates_anything(tmp_path, monkeypatch):
    monkeypatch.setattr("cleanplate.engine.pauses.LONGEST_WAIT_SECONDS", 0.0)
    folders = [tmp_path / name for name in ("few", "many")]
    allocated = []
    for folder, count in zip(folders, (3, 15), strict=True):
        for number in range(count):
            draw_photo(folder / "in" / f"{number:02}.png", seed=number % 3)
        settings = RepairSettings(device="cpu", batch_size=3)
        summary = repair_folder(folder / "in", folder / "out", settings, pipeline=make_light_pipeline())
        assert summary.counts["repaired"] == count
        allocated.append(summary.usage.staging_allocated_bytes)
        samples = summary.to_json()["memory"]
    assert allocated[0] == allocated[1] > 0, "what the first batch needed was enough for all"
    assert samples["staging_allocated_bytes_per_photograph"] == allocated[1] / 15
    assert samples["staging_reused_bytes"] > 5 * allocated[1]


def test_a_limit_under_what_a_whole_photograph_takes_is_kept_in_tiles(tmp_path, monkeypatch):
    monkeypatch.setattr("cleanplate.engine.pauses.LONGEST_WAIT_SECONDS", 0.0)
    draw_photo(tmp_path / "in" / "a.png", seed=1, width=1024, height=768, mark_px=120)
    summaries = []
    for name, limit in (("free", None), ("limited", 24_000_000)):
        settings = RepairSettings(device="cpu", memory_limit=limit)
        summaries.append(
            repair_folder(tmp_path / "in", tmp_path / name, settings, pipeline=make_light_pipeline())
        )
    free, limited = (summary.usage.metered_peak_bytes for summary in summaries)
    assert free > 24_000_000 >= limited
    pictures = [read_tree(tmp_path / name) for name in ("free", "limited")]
    assert [summary.counts["repaired"] for summary in summaries] == [1, 1]
    assert pictures[0] == pictures[1]
