"""Folders that share a mark are drawn repeatably, and scored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cleanplate.cli import main
from cleanplate.errors import InvalidSettingError
from cleanplate.evaluate.folder_score import Places, count_places
from cleanplate.evaluate.folders import FolderOptions, draw_folder, find_inside
from cleanplate.evaluate.triples import read_picture
from cleanplate.marks import Assets
from cleanplate.structures import Placement


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Path]:
    folder: Path = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        Image.fromarray(getattr(data, name)()[..., :3]).save(folder / f"{name}.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("place", ["same", "anchored", "jittered", "scaled"])
@pytest.mark.parametrize("kind", ["logo", "tiled"])
def test_a_folder_is_the_same_each_time_and_marked_where_it_says(sources, tmp_path, place, kind):
    options = FolderOptions(count=5, kind=kind, place=place, opacity=0.6, quality=95, seed=3)
    one = draw_folder(sources, Assets(), options, tmp_path / "one")
    other = draw_folder(sources, Assets(), options, tmp_path / "other")
    assert [p.path.read_bytes() for p in one.photos] == [p.path.read_bytes() for p in other.photos]
    assert one.originals == 4
    assert [photo.placement is None for photo in one.photos] == [False] * 4 + [True]
    for photo in one.photos:
        truth, marked = photo.read_truth(), read_picture(photo.path)
        assert truth.shape == marked.shape
        inside = find_inside(photo, one.mark)
        error = np.abs(truth.astype(int) - marked).mean(axis=2)
        assert error[~inside].mean() < 6
        if photo.placement is not None:
            assert error[inside].mean() > 2 * error[~inside].mean()


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"kind": "stamp"},
        {"place": "there"},
        {"opacity": 40},
        {"quality": 0},
        {"clean_share": 1},
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(InvalidSettingError):
        FolderOptions(**{"count": 3, **wrong})


def test_a_folder_is_scored(sources, capsys):
    arguments = ["evaluate", str(sources[0].parent), "--folder", "--counts", "8", "--opacities", "0.5"]
    assert main([*arguments, "--kinds", "logo", "--json"]) == 0
    (score,) = json.loads(capsys.readouterr().out)
    assert score["marked"] == 7
    assert score["clean"] == 1
    assert score["decibels"]["exact"] > score["decibels"]["input"]
    assert score["true_mark"]["placed"] <= score["true_mark"]["found"] <= 7
    assert score["found"] == (score["estimate"] is not None)


def test_places_are_compared_from_the_corner_of_the_mark_that_was_looked_for():
    there = [Placement(10 * n, 5, 2.0) for n in range(5)]
    exact = [(place, replace(place, left=place.left + 0.4)) for place in there]
    assert count_places(exact, own_corner=True) == Places(5, 5)
    cut = [(place, replace(place, left=place.left - 6, top=place.top - 2)) for place in there]
    assert count_places(cut, own_corner=True) == Places(5, 0)
    assert count_places(cut, own_corner=False) == Places(5, 5)
    off = (there[0], replace(there[0], left=there[0].left - 6.6, top=there[0].top - 2))
    assert count_places([*cut, off, (there[0], None)], own_corner=False) == Places(6, 5)
    assert count_places([(there[0], None)], own_corner=False) == Places(0, 0)


def test_options_of_other_uses_are_refused(sources, capsys):
    folder = str(sources[0].parent)
    assert main(["evaluate", folder, "--counts", "8"]) == 2
    assert "--counts" in capsys.readouterr().err
    assert main(["evaluate", folder, "--folder", "--sheet", "a.png"]) == 2
    assert "--sheet" in capsys.readouterr().err
    assert main(["evaluate", folder, "more", "--folder"]) == 2
