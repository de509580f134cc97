"""`cleanplate detect`: masks under the photographs' names, which `repair --masks` takes back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cleanplate.cli import main
from cleanplate.detect.maskfiles import MaskFiles
from cleanplate.engine.maskwriter import name_masks
from cleanplate.images.discover import Source


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    picture = Image.fromarray(data.coffee()[:120, :160])
    for name in ("a.png", "b.jpg", "b.bmp", "trip/c.png"):
        picture.save(folder / name)
    return folder


def detect(photos: Path, *words: str) -> int:
    output = str(photos.parent / "masks")
    return main(["detect", str(photos), "-o", output, "--device", "cpu", "--quiet", "--recursive", *words])


def test_masks_are_black_and_white_pngs_under_the_photographs_names(photos: Path) -> None:
    assert detect(photos, "--box", "10,20,30,15") == 0
    masks = photos.parent / "masks"
    names = {path.relative_to(masks).as_posix() for path in masks.rglob("*") if path.is_file()}
    assert names == {"a.png", "b.jpg.png", "b.bmp.png", "trip/c.png"}
    mask = Image.open(masks / "trip" / "c.png")
    assert (mask.mode, mask.size) == ("L", (160, 120))
    expected = np.zeros((120, 160), np.uint8)
    expected[20:35, 10:40] = 255
    assert np.array_equal(np.asarray(mask), expected)


def test_repair_takes_them_back(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect(photos, "--box", "10,20,30,15") == 0
    words = ["--device", "cpu", "--recursive", "--inpaint", "opencv", "--json", "--quiet"]
    masks, out = photos.parent / "masks", photos.parent / "out"
    assert main(["repair", str(photos), "-o", str(out), "--masks", str(masks), *words[:-1]]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["repaired"] == 4
    before, after = (np.asarray(Image.open(folder / "a.png")) for folder in (photos, out))
    changed = np.any(before != after, axis=2)
    assert changed[20:35, 10:40].mean() > 0.9
    assert changed.sum() == changed[20:35, 10:40].sum()


def test_a_mask_that_was_drawn_on_is_not_written_over(photos: Path) -> None:
    assert detect(photos, "--box", "10,20,30,15") == 0
    assert detect(photos, "--box", "10,20,30,15") == 0  # the same again is no harm
    mask = photos.parent / "masks" / "a.png"
    Image.new("L", (160, 120), 255).save(mask)
    assert detect(photos, "--box", "10,20,30,15") == 1
    assert np.asarray(Image.open(mask)).all()
    assert detect(photos, "--box", "10,20,30,15", "--overwrite") == 0
    assert not np.asarray(Image.open(mask)).all()
    assert not list(mask.parent.glob(".*"))


def test_a_bad_photograph_is_one_failure(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "d.png").write_bytes(b"no image")
    assert detect(photos, "--box", "10,20,30,15") == 1
    assert (photos.parent / "masks" / "a.png").exists()
    assert "d.png" in capsys.readouterr().err


def test_nothing_found_is_a_black_mask(photos: Path) -> None:
    Image.new("RGB", (160, 120), (90, 110, 140)).save(photos / "a.png")
    assert detect(photos, "--limit", "1") == 0
    assert not np.asarray(Image.open(photos.parent / "masks" / "a.png")).any()


def test_its_options_are_those_of_finding(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["detect", "--help"])
    shown = capsys.readouterr().out
    assert "--anchor" in shown
    assert "--quality" not in shown
    assert "what is written" in shown


def test_photographs_of_one_name_in_folders_of_one_name_get_their_own_masks_back(tmp_path: Path) -> None:
    picture = Image.fromarray(data.coffee()[:120, :160])
    inputs = [tmp_path / card / "DCIM" for card in ("card1", "card2")]
    for folder in inputs:
        folder.mkdir(parents=True)
        picture.save(folder / "a.png")
    sources = [Source(inputs[0] / "a.png", "a.png", "a.png"), Source(inputs[1] / "a.png", "DCIM/a.png", "b")]
    named = name_masks(sources)
    masks = MaskFiles(tmp_path / "masks")
    for source in sources:
        file = masks.path / named[source.relative]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for source in sources:
        assert masks.find_file(source.path) == masks.path / named[source.relative]


def test_no_two_masks_get_one_name_where_a_photograph_is_called_as_anothers_mask(tmp_path: Path) -> None:
    names = ("photo.jpg", "photo.png", "photo.jpg.png", "photo.jpg.png.png", "other.jpg")
    named = name_masks([Source(tmp_path / name, name, name) for name in names])
    assert len({mask.casefold() for mask in named.values()}) == len(names)
    assert named["other.jpg"] == "other.png"
    masks = MaskFiles(tmp_path / "masks")
    masks.path.mkdir()
    for mask in named.values():
        (masks.path / mask).touch()
    for name in names:
        assert masks.find_file(tmp_path / name) == masks.path / named[name]


def test_a_photograph_with_a_long_name_gets_its_mask_back(photos: Path) -> None:
    long = photos / f"{'n' * 251}.png"
    (photos / "a.png").rename(long)
    assert detect(photos, "--box", "10,20,30,15") == 0
    words = ["--device", "cpu", "--recursive", "--inpaint", "opencv", "--quiet", "--save-masks"]
    masks = str(photos.parent / "masks")
    assert main(["repair", str(photos), "-o", str(photos.parent / "out"), "--masks", masks, *words]) == 0


def test_names_of_masks_never_lead_out_of_their_folder() -> None:
    sources = [Source(Path(path), path[1:], path[1:]) for path in ("/photos/a.jpg", "/x/photos/a.jpg")]
    assert not any(Path(name).is_absolute() for name in name_masks(sources).values())
    assert not any(
        Path(name).is_absolute() for name in name_masks([Source(Path("/a.jpg"), "a.jpg", "a")]).values()
    )
