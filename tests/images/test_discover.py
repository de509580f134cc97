from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanplate.errors import UnreadablePhotoError, UnsupportedPhotoError, UsageError
from cleanplate.images.discover import Discovery, discover, name_outputs
from cleanplate.settings import OutputFormat


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def find(
    *inputs: Path, out: Path, recursive: bool = False, limit: int | None = None, format: OutputFormat = "keep"
) -> Discovery:
    return discover(inputs, out, recursive=recursive, limit=limit, format=format)


def names(found: Discovery) -> list[tuple[str, str]]:
    return [(source.relative, source.output) for source in found.sources]


def test_a_folder_gives_its_images_in_name_order(tmp_path: Path) -> None:
    touch(
        tmp_path / "in", "b.PNG", "a.jpg", "note.txt", ".hidden.jpg", "sub/c.jpg", ".cleanplate/masks/a.png"
    )
    found = find(tmp_path / "in", out=tmp_path / "out")
    assert names(found) == [("a.jpg", "a.jpg"), ("b.PNG", "b.PNG")]
    assert found.problems == ()


def test_recursive_goes_into_folders_and_mirrors_them(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg", "sub/deep/c.webp", "x.jpg/y.png", ".git/z.png", "sub/.cleanplate/m.png")
    found = find(tmp_path / "in", out=tmp_path / "out", recursive=True)
    assert [name for name, _ in names(found)] == ["a.jpg", "sub/deep/c.webp", "x.jpg/y.png"]


def test_a_folder_called_like_a_photograph_is_a_problem_without_recursive(tmp_path: Path) -> None:
    touch(tmp_path / "in", "x.jpg/y.png", "z.jpg")
    found = find(tmp_path / "in", out=tmp_path / "out")
    assert [name for name, _ in names(found)] == ["z.jpg"]
    (problem,) = found.problems
    assert isinstance(problem, UnsupportedPhotoError)
    assert problem.path == tmp_path / "in" / "x.jpg"
    assert "--recursive" in problem.remedy


def test_a_folder_called_like_a_photograph_given_as_an_input_is_searched(tmp_path: Path) -> None:
    touch(tmp_path / "x.jpg", "y.png")
    assert names(find(tmp_path / "x.jpg", out=tmp_path / "out")) == [("y.png", "y.png")]


def test_a_file_given_by_name_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    touch(tmp_path / "in", "scan.dat", ".hidden.jpg")
    found = find(tmp_path / "in/scan.dat", tmp_path / "in/.hidden.jpg", out=tmp_path / "out")
    assert [name for name, _ in names(found)] == [".hidden.jpg", "scan.dat"]


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "real.jpg")
    touch(tmp_path / "in", "a.jpg")
    (tmp_path / "in" / "file.jpg").symlink_to(tmp_path / "elsewhere" / "real.jpg")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "in" / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = find(tmp_path / "in", out=tmp_path / "out", recursive=True)
    assert [name for name, _ in names(found)] == ["a.jpg", "file.jpg"]
    (problem,) = found.problems
    assert isinstance(problem, UnreadablePhotoError)
    assert "broken" in problem.cause


def test_a_broken_link_given_by_name_is_a_problem_and_not_a_missing_input(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = find(tmp_path / "broken.jpg", out=tmp_path / "out")
    assert found.sources == ()
    assert len(found.problems) == 1


def test_what_is_no_regular_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.jpg")
    (problem,) = find(tmp_path / "in", out=tmp_path / "out").problems
    assert "regular" in problem.cause


def test_a_folder_that_cannot_be_listed_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "in", "a.jpg", "locked/b.jpg")
    listing = Path.iterdir

    def refuse(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    found = find(tmp_path / "in", out=tmp_path / "out", recursive=True)
    assert [name for name, _ in names(found)] == ["a.jpg"]
    assert "Permission denied" in found.problems[0].cause


def test_missing_inputs_are_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        find(tmp_path / "nothing", out=tmp_path / "out")
    with pytest.raises(UsageError, match="no input"):
        find(out=tmp_path / "out")


def test_an_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    for out in (tmp_path / "in", tmp_path / "in" / ".." / "in", tmp_path / "link"):
        with pytest.raises(UsageError, match="is an input"):
            find(tmp_path / "in", out=out)
    with pytest.raises(UsageError, match="folder of an input"):
        find(tmp_path / "in" / "a.jpg", out=tmp_path / "in")
    with pytest.raises(UsageError, match="is a file"):
        find(tmp_path / "in", out=tmp_path / "in" / "a.jpg")


def test_an_output_inside_an_input_is_not_searched(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg", "out/a.jpg", "out/sub/b.jpg")
    found = find(tmp_path / "in", out=tmp_path / "in" / "out", recursive=True)
    assert names(found) == [("a.jpg", "a.jpg")]


def test_outputs_of_earlier_runs_are_passed_over_and_said(tmp_path: Path) -> None:
    touch(
        tmp_path / "in", "a.jpg", "old/a.jpg", "old/sub/b.jpg", "old/.cleanplate/journal.jsonl", "new/a.jpg"
    )
    touch(tmp_path / "in", "sub/c.jpg", "sub/old/c.jpg", "sub/old/.cleanplate/journal.jsonl")
    found = find(tmp_path / "in", out=tmp_path / "in" / "new", recursive=True)
    assert [name for name, _ in names(found)] == ["a.jpg", "sub/c.jpg"]
    assert found.earlier_outputs == (tmp_path / "in" / "old", tmp_path / "in" / "sub" / "old")
    (warning,) = found.warnings
    assert warning.startswith(f"{tmp_path / 'in' / 'old'} and 1 more: ")
    assert find(tmp_path / "in", out=tmp_path / "new").warnings == ()
    named = find(tmp_path / "in" / "old", out=tmp_path / "new", recursive=True)
    assert [name for name, _ in names(named)] == ["a.jpg", "sub/b.jpg"]
    assert named.warnings == ()


def test_masks_inside_an_input_are_no_photographs(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg", "mask.png", "masks/a.png")
    for masks, left in (("masks", ["a.jpg", "mask.png"]), ("mask.png", ["a.jpg", "masks/a.png"])):
        found = discover(
            [tmp_path / "in"],
            tmp_path / "out",
            recursive=True,
            limit=None,
            format="keep",
            masks=tmp_path / "in" / masks,
        )
        assert [name for name, _ in names(found)] == left


def test_a_result_never_falls_on_an_input(tmp_path: Path) -> None:
    touch(tmp_path, "out/two/a.jpg", "one/a.jpg")
    with pytest.raises(UsageError, match="fall on an input"):
        find(tmp_path / "one", tmp_path / "out/two", out=tmp_path / "out")


def test_a_result_never_falls_on_an_input_through_a_link_in_the_output(tmp_path: Path) -> None:
    touch(tmp_path, "in/sub/a.jpg", "out/other/b.jpg")
    (tmp_path / "out/sub").symlink_to(tmp_path / "in/sub", target_is_directory=True)
    with pytest.raises(UsageError, match="fall on an input"):
        find(tmp_path / "in", out=tmp_path / "out", recursive=True)


def test_a_linked_folder_in_the_output_that_holds_no_input_takes_results(tmp_path: Path) -> None:
    touch(tmp_path, "in/sub/a.jpg", "disk/b.jpg", "out/x")
    (tmp_path / "out/sub").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert names(find(tmp_path / "in", out=tmp_path / "out", recursive=True)) == [("sub/a.jpg", "sub/a.jpg")]


def test_links_in_a_circle_are_a_problem_each(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg")
    (tmp_path / "in/loop.jpg").symlink_to(tmp_path / "in/loop.jpg")
    (tmp_path / "in/one.jpg").symlink_to(tmp_path / "in/two.jpg")
    (tmp_path / "in/two.jpg").symlink_to(tmp_path / "in/one.jpg")
    found = find(tmp_path / "in", out=tmp_path / "out", recursive=True)
    assert names(found) == [("a.jpg", "a.jpg")]
    assert [problem.path.name for problem in found.problems] == ["loop.jpg", "one.jpg", "two.jpg"]


def test_what_may_not_be_looked_at_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "in", "a.jpg", "shut/b.jpg", "shut/deeper/c.jpg")
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.parent.name == "shut":
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    found = find(tmp_path / "in", out=tmp_path / "out", recursive=True)
    assert names(found) == [("a.jpg", "a.jpg")]
    assert [problem.path.name for problem in found.problems] == ["b.jpg", "deeper"]
    assert all("Permission denied" in problem.cause for problem in found.problems)


def test_the_limit_takes_the_first_and_moves_no_name(tmp_path: Path) -> None:
    touch(tmp_path / "in", "c.jpg", "a.jpg", "a.png", "b.jpg")
    whole = find(tmp_path / "in", out=tmp_path / "out", format="png")
    part = find(tmp_path / "in", out=tmp_path / "out", format="png", limit=2)
    assert names(part) == names(whole)[:2] == [("a.jpg", "a.jpg.png"), ("a.png", "a.png")]


def test_two_inputs_with_the_same_names_stay_apart(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.jpg", "two/a.jpg", "two/b.jpg", "deep/two/a.jpg")
    found = find(tmp_path / "one", tmp_path / "two", tmp_path / "deep/two", out=tmp_path / "out")
    assert names(found) == [
        ("a.jpg", "a.jpg"),
        ("b.jpg", "b.jpg"),
        ("two/a-2.jpg", "two/a-2.jpg"),
        ("two/a.jpg", "two/a.jpg"),
    ]


def test_the_same_file_given_twice_is_one(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg")
    assert (
        len(find(tmp_path / "in", tmp_path / "in/a.jpg", tmp_path / "in", out=tmp_path / "out").sources) == 1
    )


def test_converted_names_keep_a_suffix_that_is_right(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.JPEG", "b.png", "c.jpg")
    assert [o for _, o in names(find(tmp_path / "in", out=tmp_path / "out", format="jpeg"))] == [
        "a.JPEG",
        "b.jpg",
        "c.jpg",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2024.05.01", "2024.05.01.jpg"),
        ("v1.0/scan", "v1.0/scan.jpg"),
        ("a.b.PNG", "a.b.jpg"),
        ("copy.jpg.orig", "copy.jpg.orig.jpg"),
    ],
)
def test_only_a_suffix_of_pictures_is_replaced(name: str, expected: str) -> None:
    assert name_outputs([name], "jpeg") == {name: expected}


def test_names_that_differ_in_capitals_only_stay_apart() -> None:
    outputs = name_outputs(["A.jpg", "a.jpg", "SUB/x.jpg", "sub/x.jpg"], "keep")
    folded = [name.casefold() for name in outputs.values()]
    assert len(set(folded)) == 4
    assert outputs["A.jpg"] == "A.jpg"
    assert outputs["a.jpg"] == "a-2.jpg"


_PART = st.sampled_from(["a", "A", "b", "a-2", "ä", unicodedata.normalize("NFD", "ä"), "a.jpg", "ß", "SS"])
_NAME = st.builds(
    lambda folders, stem, suffix: "/".join([*folders, stem + suffix]),
    st.lists(_PART, max_size=2),
    _PART,
    st.sampled_from([".jpg", ".JPG", ".png", ".jpeg", ".webp", ""]),
)


@given(st.lists(_NAME, unique=True, max_size=12), st.sampled_from(["keep", "png", "jpeg", "webp"]))
def testname_outputs_never_collide_and_do_not_depend_on_chance(
    given: list[str], format: OutputFormat
) -> None:
    outputs = name_outputs(sorted(given), format)
    folded = [unicodedata.normalize("NFC", name).casefold() for name in outputs.values()]
    assert set(outputs) == set(given)
    assert len(set(folded)) == len(folded)
    as_folders = {"/".join(name.split("/")[:i]) for name in folded for i in range(1, name.count("/") + 1)}
    assert not as_folders & set(folded)
    assert outputs == name_outputs(sorted(given), format)
