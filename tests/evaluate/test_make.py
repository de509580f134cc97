"""Drawing triples: repeatable, at the photograph's own size, with their share of clean ones."""

import cv2
import numpy as np
import pytest
from skimage import data

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.evaluate.make import MakeOptions, find_photos, make_triples
from cleanplate.evaluate.triples import find_triples, read_triple
from cleanplate.marks import Assets


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    cv2.imwrite(str(folder / "astronaut.png"), data.astronaut()[:300, :, ::-1])
    cv2.imwrite(str(folder / "coffee.jpg"), data.coffee()[..., ::-1])
    cv2.imwrite(str(folder / "small.png"), data.astronaut()[:100, :100])
    return find_photos(folder)


def test_the_same_arguments_give_the_same_files(photos, tmp_path):
    for name in ("first", "again", "other"):
        made = make_triples(
            photos, Assets(), MakeOptions(output=tmp_path / name, count=4, seed=name == "other")
        )
        assert len(made) == 4
    first, again, other = (
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("first", "again", "other")
    )
    assert first == again
    assert first != other


def test_triples_have_their_photographs_size_and_share_of_clean_ones(photos, tmp_path):
    reported = []
    options = MakeOptions(output=tmp_path, count=8, clean_share=0.25, mosaic_share=0)
    made = make_triples(photos, Assets(), options, reported.append)
    assert reported == made
    assert list(find_triples(tmp_path)) == sorted(made, key=lambda files: files.name)
    triples = [read_triple(files) for files in made]
    assert [triple.is_clean for triple in triples] == [False, False, False, True] * 2
    sizes = {"astronaut": (300, 512), "coffee": (400, 600)}
    for triple in triples:
        assert triple.opacity.shape == sizes[triple.name.split("-")[1]]
        blended = triple.truth_u8 * (1 - triple.opacity[..., None])
        unmarked = ~triple.inside
        assert np.abs(triple.marked_u8.astype(float) - blended)[unmarked].mean() < 8  # JPEG at most


def test_without_a_count_every_photograph_is_marked_once(photos, tmp_path):
    made = make_triples(photos, Assets(), MakeOptions(output=tmp_path, clean_share=0.0, mosaic_share=0.0))
    assert sorted(files.name.split("-")[1] for files in made) == ["astronaut", "coffee"]


def test_small_photographs_get_large_ones_beside_them(photos, tmp_path):
    made = make_triples(photos, Assets(), MakeOptions(output=tmp_path / "auto", count=4, clean_share=0.5))
    assert [files.name.endswith("-mosaic") for files in made] == [False, True, False, False]
    triple = read_triple(made[1])
    assert max(triple.opacity.shape) >= 960
    assert triple.is_clean
    every = make_triples(photos, Assets(), MakeOptions(output=tmp_path / "all", count=2, mosaic_share=1))
    assert all(files.name.endswith("-mosaic") for files in every)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_of_mosaics_out_of_range_is_named(share, tmp_path):
    with pytest.raises(InvalidSettingError, match="mosaic_share is"):
        MakeOptions(output=tmp_path, mosaic_share=share)


def test_a_folder_with_triples_is_not_mixed_with_others(photos, tmp_path):
    make_triples(photos, Assets(), MakeOptions(output=tmp_path, count=1))
    with pytest.raises(UsageError, match="has triples already"):
        make_triples(photos, Assets(), MakeOptions(output=tmp_path, count=1))


def test_photographs_that_cannot_be_used_are_told(photos, tmp_path):
    small = [photo for photo in photos if photo.stem == "small"]
    with pytest.raises(UsageError, match="none of the 1 photographs has a long side of 480"):
        make_triples(small, Assets(), MakeOptions(output=tmp_path / "out"))
    (tmp_path / "bad.jpg").write_bytes(b"no photograph")
    with pytest.raises(UsageError, match=r"bad\.jpg: cannot be read as a photograph"):
        make_triples([tmp_path / "bad.jpg"], Assets(), MakeOptions(output=tmp_path / "out"))


def test_folders_without_photographs_are_named(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        find_photos(tmp_path / "missing")
    with pytest.raises(UsageError, match="no photographs are there"):
        find_photos(tmp_path)


@pytest.mark.parametrize(("name", "value"), [("count", 0), ("clean_share", 1.5), ("seed", -1)])
def test_options_out_of_range_are_named(tmp_path, name, value):
    with pytest.raises(InvalidSettingError, match=f"{name} is"):
        MakeOptions(output=tmp_path, **{name: value})


def test_a_photograph_that_turns_out_damaged_leaves_nothing_half_drawn(photos, tmp_path):
    whole = next(photo for photo in photos if photo.stem == "astronaut").read_bytes()
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(whole[:60])
    sound = [photo for photo in photos if photo.stem != "small"]
    output = tmp_path / "out"
    output.mkdir()
    (output / "0000-astronaut.txt").write_text("somebody's own")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"damaged\.png: is not a picture .*; mend or remove it"):
            make_triples([*sound, damaged], Assets(), MakeOptions(output=output, count=6, mosaic_share=0))
        assert [path.name for path in output.iterdir()] == ["0000-astronaut.txt"]
