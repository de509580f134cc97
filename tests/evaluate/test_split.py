"""What is for choosing and what for reporting never meets."""

from pathlib import Path

import pytest
from PIL import Image, ImageFont

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.evaluate import split
from cleanplate.evaluate.split import (
    SPLITS,
    choose_split,
    find_held_out_assets,
    halve_by_name,
    read_split,
)
from cleanplate.marks.assets import split_by_name


def test_the_splits_are_disjoint_halves_of_each_group():
    validation, test = (read_split(name) for name in SPLITS)
    assert not validation & test
    assert len(validation | test) == 140
    for group, count in (("bsds", 100), ("urban", 22), ("hires", 18)):
        halves = [sum(name.startswith(group) for name in half) for half in (validation, test)]
        assert halves == [count // 2, count // 2]


def test_the_committed_list_is_what_its_rule_gives():
    every = read_split("validation") | read_split("test")
    assert {name: frozenset(half) for name, half in halve_by_name(every).items()} == {
        name: read_split(name) for name in SPLITS
    }


def test_an_unknown_split_is_named():
    with pytest.raises(InvalidSettingError, match="split is 'training'"):
        read_split("training")


def test_photographs_are_chosen_by_their_names():
    paths = [Path("photos") / name for name in sorted(read_split("test"))[:3]] + [Path("photos/other.jpg")]
    assert choose_split(paths, "test") == tuple(paths[:3])
    assert choose_split(paths, None) == tuple(paths)
    with pytest.raises(UsageError, match="none of the 1 photographs is in the validation split"):
        choose_split(paths[3:], "validation")


def test_logos_of_the_splits_are_disjoint_and_unseen_by_training(tmp_path):
    for n in range(300):
        Image.new("RGBA", (2, 2)).save(tmp_path / f"logo-{n}.png")
    found = {
        name: {p.name for p in find_held_out_assets(None, tmp_path, None, name).logos} for name in SPLITS
    }
    both = {p.name for p in find_held_out_assets(None, tmp_path, None, None).logos}
    assert found["validation"]
    assert found["test"]
    assert not found["validation"] & found["test"]
    assert found["validation"] | found["test"] == both
    trained_on = split_by_name(0.1, inside=False)
    assert not any(trained_on(name) for name in both)


def test_a_script_that_one_half_lacks_comes_from_the_other(tmp_path, monkeypatch):
    data = ImageFont.load_default(20).font_bytes
    for n in range(200):
        (tmp_path / f"font-{n}.ttf").write_bytes(data)

    def sort_by_script(paths):  # one font of the validation half is taken for a Chinese one
        chinese = [p for p in paths if split._part_of("validation")(p.name)][:1]
        return {"latin": tuple(paths), "chinese": tuple(chinese)}

    monkeypatch.setattr("cleanplate.marks.assets._sort_by_script", sort_by_script)
    validation, test = (find_held_out_assets(tmp_path, None, None, name) for name in SPLITS)
    assert not set(validation.fonts["latin"]) & set(test.fonts["latin"])
    assert test.fonts["chinese"] == validation.fonts["chinese"] != ()
