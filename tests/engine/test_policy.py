"""Where the policy is chosen."""

from cleanplate.engine.guard import Guard
from cleanplate.engine.policy import MOST_QUEUE_BYTES, PlainPolicy, choose_policy, choose_queue_bytes
from cleanplate.engine.run import repair_folder
from cleanplate.settings import RepairSettings

from .simple import MagentaPipeline, draw_folder, read_tree


def choose(settings):
    return choose_policy(settings, emit=lambda _: None, queued_bytes=lambda: 0, stopping=lambda: True)


def test_the_guard_watches_unless_the_user_wants_it_plain():
    assert isinstance(choose(RepairSettings(optimize=False)), PlainPolicy)
    assert isinstance(choose(RepairSettings(device="cpu")), Guard)


def test_queues_take_a_part_of_what_there_is_to_work_in():
    assert choose_queue_bytes(RepairSettings(memory_limit=4000)) == 1000
    assert 0 < choose_queue_bytes(RepairSettings()) <= MOST_QUEUE_BYTES


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
