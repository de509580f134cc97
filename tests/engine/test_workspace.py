"""The state folder: swept, held, and names that never meet."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.engine.workspace import Workspace, mask_name
from cleanplate.errors import UsageError

PARTS = st.sampled_from(["a", "b.png", "a.png", "a.png_", "A.PNG", "c.jpg.png", "a.png__"])
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def are_compatible(first: str, second: str) -> bool:
    """Whether two different names can both be files of one folder."""
    one, other = PurePosixPath(first.casefold()), PurePosixPath(second.casefold())
    return one != other and one not in other.parents and other not in one.parents


@given(NAMES, NAMES)
def test_masks_of_results_that_can_stand_together_can_too(first, second):
    if are_compatible(first, second):
        assert are_compatible(mask_name(first), mask_name(second))


def test_what_a_killed_run_left_is_swept_away(tmp_path):
    workspace = Workspace(tmp_path / "out")
    (workspace.temporary / "below").mkdir(parents=True)
    (workspace.temporary / "below" / "torn.part").write_text("half")
    with workspace.opened():
        assert list(workspace.temporary.iterdir()) == []
        workspace.staged("a.jpg").write_text("unfinished")
    assert list(workspace.temporary.iterdir()) == []


def test_staged_names_differ_and_keep_the_suffix(tmp_path):
    workspace = Workspace(tmp_path)
    names = {workspace.staged("x/a.jpg"), workspace.staged("x/a.jpg")}
    assert len(names) == 2
    assert {name.suffix for name in names} == {".jpg"}


@pytest.mark.parametrize("blocked", [".cleanplate", ".cleanplate/tmp", ".cleanplate/journal.jsonl"])
def test_what_stands_in_the_way_of_the_state_is_said(tmp_path, blocked):
    output = tmp_path / "out"
    target = output / blocked
    target.parent.mkdir(parents=True)
    if blocked.endswith("jsonl"):
        target.mkdir()
    else:
        target.write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written to"), Workspace(output).opened():
        pytest.fail("opened")


def test_a_journal_that_cannot_be_read_is_said(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.journal.mkdir(parents=True)
    with pytest.raises(UsageError, match="journal cannot be read"):
        workspace.read_history()


def test_bytes_replace_a_file_whole(tmp_path):
    workspace = Workspace(tmp_path / "out")
    with workspace.opened():
        target = tmp_path / "out" / "below" / "a.bin"
        workspace.commit_bytes(b"first", target)
        workspace.commit_bytes(b"second", target)
        assert target.read_bytes() == b"second"
        assert list(workspace.temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 251 + ".jpg", "\u5c71" * 83 + ".jpg", "sub/" + "y" * 252])
def test_masks_of_results_with_long_names_have_names_that_fit(tmp_path, name):
    other = name[:-5] + "z" + name[-4:]
    for one in (name, other):
        (tmp_path / mask_name(one)).parent.mkdir(exist_ok=True)
        (tmp_path / mask_name(one)).touch()
    assert mask_name(name) != mask_name(other)
