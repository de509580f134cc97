"""Folders that share a mark are drawn repeatably, and scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cleanplate.cli import main
from cleanplate.errors import InvalidSettingError
from cleanplate.evaluate.folders import FolderOptions, draw_folder, find_inside
from cleanplate.evaluate.triples import read_picture
from cleanplate.marks import Assets


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


@pytest.mark.parametrize("wrong", [{"count": 0}, {"kind": "stamp"}, {"place": "there"}])
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


def test_options_of_other_uses_are_refused(sources, capsys):
    folder = str(sources[0].parent)
    assert main(["evaluate", folder, "--counts", "8"]) == 2
    assert "--counts" in capsys.readouterr().err
    assert main(["evaluate", folder, "--folder", "--sheet", "a.png"]) == 2
    assert "--sheet" in capsys.readouterr().err
    assert main(["evaluate", folder, "more", "--folder"]) == 2
