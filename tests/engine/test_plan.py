"""What is done with every photograph is decided before any work."""

import pytest

from cleanplate.engine.journal import Entry, History
from cleanplate.engine.plan import make_plan
from cleanplate.engine.records import Receipt, read_stamp
from cleanplate.engine.workspace import Workspace
from cleanplate.images.discover import Source
from cleanplate.structures import Outcome, Verdict


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    path.write_bytes(b"a photograph")
    return Source(path, "a.png", "below/a.png")


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "out")


def write_result(workspace, source, content=b"a result"):
    target = workspace.destination(source.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def entry_of(workspace, source, key="key"):
    outcome = Outcome(
        source=source.path,
        relative=source.relative,
        verdict=Verdict.CLEAN,
        output=source.output,
        settings_key=key,
    )
    return Entry(outcome, Receipt(read_stamp(source.path), read_stamp(workspace.destination(source.output))))


def plan(source, workspace, history, *, key="key", overwrite=False):
    return make_plan([source], workspace, history, key=key, overwrite=overwrite)


def test_a_new_photograph_is_a_job_that_replaces_nothing(photo, workspace):
    (job,) = plan(photo, workspace, History()).jobs
    assert (job.number, job.may_replace, job.set_aside) == (0, False, False)


def test_a_finished_one_is_passed_over_and_one_of_another_key_replaced(photo, workspace):
    write_result(workspace, photo)
    history = History({photo.output: entry_of(workspace, photo)})
    assert plan(photo, workspace, history).finished == (history.results[photo.output].outcome,)
    (job,) = plan(photo, workspace, history, key="other").jobs
    assert (job.may_replace, job.set_aside) == (True, False)


def test_a_result_changed_by_someone_is_set_aside_unless_overwriting(photo, workspace):
    target = write_result(workspace, photo)
    history = History({photo.output: entry_of(workspace, photo)})
    target.write_bytes(b"a retouched result")
    assert plan(photo, workspace, history).jobs[0].set_aside
    assert not plan(photo, workspace, history, overwrite=True).jobs[0].set_aside


def test_a_result_announced_before_a_crash_is_ours(photo, workspace):
    target = write_result(workspace, photo)
    announced = History(announced={photo.output: {read_stamp(target).sha256}})
    assert plan(photo, workspace, announced).jobs[0].may_replace
    other = History(announced={photo.output: {"00" * 32}})
    (refusal,) = plan(photo, workspace, other).refusals
    assert "was not written by cleanplate" in refusal.error.cause


def test_a_newer_result_announced_before_a_crash_is_not_set_aside(photo, workspace):
    target = write_result(workspace, photo)
    history = History({photo.output: entry_of(workspace, photo)})
    target.write_bytes(b"a newer result")
    history.announced[photo.output] = {read_stamp(target).sha256}
    (job,) = plan(photo, workspace, history).jobs
    assert (job.may_replace, job.set_aside) == (True, False)


def test_a_file_where_a_folder_should_be_is_refused(photo, workspace):
    workspace.output.mkdir()
    (workspace.output / "below").write_text("a file")
    (refusal,) = plan(photo, workspace, History(), overwrite=True).refusals
    assert "where its result's folder should be" in refusal.error.cause


def test_a_broken_link_under_the_results_name_is_someone_elses(photo, workspace):
    target = workspace.destination(photo.output)
    target.parent.mkdir(parents=True)
    target.symlink_to("nowhere")
    assert plan(photo, workspace, History()).refusals
    assert plan(photo, workspace, History(), overwrite=True).jobs


def test_a_photograph_is_the_same_however_its_path_is_spelled(photo, workspace, tmp_path):
    write_result(workspace, photo)
    history = History({photo.output: entry_of(workspace, photo)})
    photo.path.write_bytes(b"a photograph that was changed")
    (tmp_path / "linked").symlink_to(tmp_path / "in")
    for path in (tmp_path / "in" / ".." / "in" / "a.png", tmp_path / "linked" / "a.png"):
        (job,) = plan(Source(path, photo.relative, photo.output), workspace, history).jobs
        assert job.may_replace


def test_a_name_goes_to_the_photograph_that_has_it_now(photo, workspace):
    """`a.jpg` was stored as `a.png`; since there is an `a.png` beside it, it is stored as `a.jpg.png`."""
    write_result(workspace, photo)
    earlier = Source(photo.path.with_name("a.jpg"), "a.jpg", photo.output)
    earlier.path.write_bytes(b"the photograph that was there first")
    history = History({photo.output: entry_of(workspace, earlier)})
    moved = Source(earlier.path, earlier.relative, "below/a.jpg.png")
    made = make_plan([moved, photo], workspace, history, key="key", overwrite=False)
    assert [job.source for job in made.jobs] == [moved, photo]
    (refusal,) = plan(photo, workspace, history).refusals  # where it is not done again, its result stays
    assert "the result of another photograph" in refusal.error.cause


def test_what_is_finished_is_where_its_folder_was_moved_to(photo, workspace, tmp_path):
    write_result(workspace, photo)
    history = History({photo.output: entry_of(workspace, photo)})
    photo.path.parent.rename(tmp_path / "moved")
    now = Source(tmp_path / "moved" / "a.png", photo.relative, photo.output)
    (outcome,) = plan(now, workspace, history).finished
    assert outcome.source == now.path
