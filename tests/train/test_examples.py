"""Examples: shapes, ranges, and that a seed decides them."""

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from cleanplate.errors import UsageError
from cleanplate.marks import Assets
from cleanplate.marks.sample import FREE_KIND, sample_marked
from cleanplate.structures import Mark
from cleanplate.train import examples, finder
from cleanplate.train.examples import (
    Examples,
    ExampleSource,
    find_photos,
    load_photo,
    make_chooser_examples,
    make_finder_examples,
    make_restorer_examples,
    make_small_examples,
    recolour,
    split_photos,
)
from cleanplate.train.found import WAYS
from tests.train.conftest import draw_photo, write_photos


def test_finder_crops_have_their_shapes_and_ranges(source):
    for seed in range(8):
        crops = make_finder_examples(source, np.random.default_rng(seed))
        assert len(crops) == 2
        for crop in crops:
            assert {name: tuple(plane.shape) for name, plane in crop.items()} == {
                "image": (3, 64, 64),
                "target": (1, 64, 64),
                "weight": (1, 64, 64),
            }
            assert all(plane.dtype == torch.float32 for plane in crop.values())
            assert 0 <= crop["image"].min() <= crop["image"].max() <= 1
            assert set(crop["target"].unique().tolist()) <= {0.0, 1.0}
            assert set(crop["weight"].unique().tolist()) <= {torch.tensor(0.2).item(), 1.0}


def test_finder_crops_come_smaller_where_the_photograph_is_large(tmp_path):
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), draw_photo(0, 300, 400))
    large = ExampleSource(photos=(path,), assets=Assets(), crop_px=64, per_photo=1)
    crops = [make_finder_examples(large, np.random.default_rng(seed))[0] for seed in range(6)]
    assert all(crop["image"].shape == (3, 64, 64) for crop in crops)


def test_crops_of_mosaics_show_several_photographs(tmp_path):
    paths = []
    for level in (30, 90, 150, 210):
        paths.append(tmp_path / f"{level}.png")
        cv2.imwrite(str(paths[-1]), np.full((240, 320, 3), level, np.uint8))
    source = ExampleSource(photos=tuple(paths), assets=Assets(), crop_px=320, per_photo=1, clean_share=1.0)

    def count_joins(mosaic_share: float) -> int:
        """Crops of which a large part is far lighter than another."""
        crops = [
            crop
            for seed in range(4)
            for crop in make_finder_examples(
                replace(source, mosaic_share=mosaic_share, scene_text_share=0.0), np.random.default_rng(seed)
            )
        ]
        assert all(crop["image"].shape == (3, 320, 320) for crop in crops)
        return sum(float(np.ptp(np.quantile(crop["image"].numpy(), (0.1, 0.9)))) > 0.15 for crop in crops)

    assert count_joins(0.0) == 0
    assert count_joins(1.0) >= 4  # and more crops, for a mosaic is larger


def test_restorer_crops_fit_the_formula(source):
    marked = 0
    for seed in range(8):
        for crop in make_restorer_examples(source, np.random.default_rng(seed)):
            assert crop["image"].shape == (4, 64, 64)
            assert crop["matte"].shape == crop["alpha"].shape == (1, 64, 64)
            assert crop["colour"].shape == crop["clean"].shape == (3, 64, 64)
            assert 0 <= crop.pop("way") < WAYS
            assert all(plane.dtype == torch.float32 for plane in crop.values())
            assert all(plane.min() >= -1e-6 and plane.max() <= 1.002 for plane in crop.values())
            blended = crop["clean"] * (1 - crop["alpha"]) + crop["colour"] * crop["alpha"]
            assert (blended - crop["image"][:3]).abs().mean() < 0.06  # JPEG lies between
            marked += bool(crop["alpha"].max() > 0.1)
    assert marked >= 6


def test_chooser_crops_are_pieces_of_the_file(source):
    """What is fitted is fitted at the file's size, by the file's tables."""
    shares = []
    for seed in range(8):
        for crop in make_chooser_examples(source, np.random.default_rng(seed)):
            assert crop["image"].shape == (4, 64, 64)
            assert crop["clean"].shape == (3, 64, 64)
            assert 0 <= crop["way"] < WAYS
            assert crop["enlarged"] == 2.0  # of photographs of a hundred pixels
            assert crop["halved"].any() <= crop["steps"].any()
            assert (crop["corner"] >= 0).all()
            levels = 255 * crop["image"][:3]
            assert (levels - levels.round()).abs().max() < 1e-4
            shares.append(float(crop["image"][3].mean()))
    assert max(shares) > 0.05


def test_a_restorer_sees_crops_of_small_photographs_enlarged(tmp_path):
    """As a run shows them: a crop of so many pixels holds half as much of a small photograph each way."""
    blocks = np.kron(np.indices((16, 16)).sum(0) % 2, np.ones((32, 32)))  # edges 32 pixels apart
    picture = np.repeat((255 * blocks[..., None]).astype(np.uint8), 3, axis=2)
    lengths = {}
    for times in (1, 4):
        path = tmp_path / f"{times}.png"
        cv2.imwrite(str(path), np.tile(picture, (times, times, 1)))
        source = ExampleSource(
            photos=(path,), assets=Assets(), crop_px=256, per_photo=1, clean_share=1.0, scene_text_share=0.0
        )
        joins = [
            float((np.abs(np.diff(crop["clean"][0].numpy() > 0.5)) > 0).mean())
            for seed in range(6)
            for crop in make_restorer_examples(source, np.random.default_rng(seed))
        ]
        lengths[times] = 1 / np.median(joins)
    assert lengths[1] > 1.5 * lengths[4]


def test_most_crops_show_the_mark(source):
    kept = ExampleSource(photos=source.photos, assets=Assets(), crop_px=64, per_photo=4, clean_share=0.0)
    shown = [
        bool(crop["target"].any())
        for seed in range(10)
        for crop in make_finder_examples(kept, np.random.default_rng(seed))
    ]
    assert np.mean(shown) > 0.6


def test_clean_photographs_have_no_target(source):
    clean = ExampleSource(photos=source.photos, assets=Assets(), crop_px=64, clean_share=1.0)
    for crop in make_finder_examples(clean, np.random.default_rng(0)):
        assert not crop["target"].any()
        assert (crop["weight"] == 1).all()


def test_a_seed_decides_the_stream(source):
    def first(seed: int) -> list[torch.Tensor]:
        stream = iter(Examples(source, make_finder_examples, seed))
        return [example["image"] for example in islice(stream, 5)]

    assert all(torch.equal(a, b) for a, b in zip(first(1), first(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first(1), first(2), strict=True))


def test_workers_draw_different_examples(source, monkeypatch):
    drawn = []
    for number in range(2):
        monkeypatch.setattr(
            examples, "get_worker_info", lambda n=number: SimpleNamespace(id=n, num_workers=2)
        )
        stream = iter(Examples(source, make_finder_examples, 1))
        drawn.append([example["image"] for example in islice(stream, 3)])
    assert not any(torch.equal(a, b) for a in drawn[0] for b in drawn[1])


def test_photographs_are_found_by_name_below_a_folder(tmp_path):
    write_photos(tmp_path / "b", 2)
    write_photos(tmp_path / "a", 1)
    (tmp_path / "notes.txt").write_text("no photograph")
    assert [p.relative_to(tmp_path).as_posix() for p in find_photos(tmp_path)] == [
        "a/photo-00.jpg", "b/photo-00.jpg", "b/photo-01.jpg",
    ]  # fmt: skip


def test_every_tenth_photograph_is_held_out(tmp_path):
    write_photos(tmp_path / "photos", 12)
    kept, held_out = split_photos(tmp_path / "photos")
    assert [p.stem for p in held_out] == ["photo-00", "photo-10"]
    assert len(kept) == 10
    assert not set(kept) & set(held_out)


def test_a_folder_to_validate_on_is_taken_as_it_is(tmp_path):
    photos, others = write_photos(tmp_path / "photos", 3), write_photos(tmp_path / "others", 2)
    assert split_photos(tmp_path / "photos", tmp_path / "others") == (photos, others)


def test_folders_without_photographs_are_named(tmp_path):
    write_photos(tmp_path / "one", 1)
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="none: no photographs are there"):
        split_photos(tmp_path / "none")
    with pytest.raises(UsageError, match="none: no photographs are there"):
        split_photos(tmp_path / "one", tmp_path / "none")
    with pytest.raises(UsageError, match="too few to hold one out"):
        split_photos(tmp_path / "one")


def test_a_loaded_photograph_is_within_its_limits(photos):
    for seed in range(10):
        loaded = load_photo(photos[0], np.random.default_rng(seed), longest=180, shortest=100)
        assert loaded.dtype == np.uint8
        assert loaded.flags.c_contiguous
        assert max(loaded.shape[:2]) <= 181
        assert min(loaded.shape[:2]) >= 100


def test_a_small_photograph_is_enlarged_to_the_crop(photos):
    assert min(load_photo(photos[0], np.random.default_rng(0), 1000, shortest=256).shape[:2]) >= 256


@pytest.mark.parametrize("content", [b"", b"no photograph"])
def test_a_file_that_is_no_photograph_is_named(tmp_path, content):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(UsageError, match=r"bad\.jpg: cannot be decoded"):
        load_photo(tmp_path / "bad.jpg", np.random.default_rng(0), 200)


def test_the_finder_sees_a_small_photograph_as_a_run_shows_it(tmp_path):
    """Marked at its own size and then enlarged; and large crops of it are few, being nearly the same."""
    path = tmp_path / "small.png"
    cv2.imwrite(str(path), np.full((200, 300, 3), 90, np.uint8))
    drawn = []

    def watch(clean, *arguments, **named):
        drawn.append(min(clean.shape[:2]))
        return sample_marked(clean, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "sample_marked", watch)
        for edge, count in ((128, 4), (256, 4), (384, 2), (512, 1)):
            source = ExampleSource(photos=(path,), assets=Assets(), crop_px=edge, per_photo=4)
            crops = make_finder_examples(source, np.random.default_rng(3))
            assert [crop["image"].shape for crop in crops] == [(3, edge, edge)] * count
            assert min(edge, 128) <= drawn.pop() <= max(257, 200 * 1.25)


def test_the_finder_is_to_be_asked_about_most_crops(source):
    crops = [c for seed in range(20) for c in make_restorer_examples(source, np.random.default_rng(seed))]
    ways = [int(crop["way"]) for crop in crops]
    assert 0.4 < sum(way > 0 for way in ways) / len(ways) < 0.8


def test_some_marks_are_free_logos_but_none_where_a_mark_is_given(source, monkeypatch):
    kinds = []
    monkeypatch.setattr(
        examples,
        "sample_marked",
        lambda clean, rng, assets, kind: kinds.append(kind) or sample_marked(clean, rng, assets, kind=kind),
    )
    given = replace(
        source,
        assets=replace(
            source.assets, mark=Mark(alpha=np.ones((8, 20), np.float32), rgb=np.ones((8, 20, 3), np.float32))
        ),
    )
    for wanted, chosen in ((True, source), (False, given)):
        kinds.clear()
        for seed in range(60):
            make_finder_examples(chosen, np.random.default_rng(seed))
        assert (FREE_KIND in kinds) is wanted
        assert {"clean", None} < set(kinds) | {FREE_KIND}


def test_small_pictures_are_shown_whole_under_one_logo(source):
    marked = replace(source, clean_share=0.0)
    areas = []
    for seed in range(16):
        (crop,) = make_small_examples(marked, np.random.default_rng(seed))
        assert crop["image"].shape == (3, 64, 64)
        assert crop["target"].shape == crop["weight"].shape == (1, 64, 64)
        assert 0 <= crop["image"].min() <= crop["image"].max() <= 1
        areas.append(float(crop["target"].mean()))
    assert min(areas) < 0.05 < 0.2 < max(areas)
    clean = replace(source, clean_share=1.0)
    (crop,) = make_small_examples(clean, np.random.default_rng(0))
    assert crop["target"].max() == 0


def test_the_finder_learns_from_small_pictures_too_but_not_for_one_mark(source, monkeypatch):
    monkeypatch.setattr(finder, "make_small_examples", lambda *_: ["small"])
    monkeypatch.setattr(finder, "make_finder_examples", lambda *_: ["crop"])
    mark = Mark(alpha=np.ones((8, 20), np.float32), rgb=np.ones((8, 20, 3), np.float32))
    given = replace(source, assets=replace(source.assets, mark=mark))
    for chosen, shares in ((source, (0.1, 0.3)), (given, (0.0, 0.0))):
        drawn = [finder.make_examples(chosen, np.random.default_rng(seed)) for seed in range(200)]
        assert shares[0] <= drawn.count(["small", "small"]) / len(drawn) <= shares[1]


def test_a_recoloured_photograph_keeps_its_scene():
    photo = draw_photo(0, 80, 120)[..., ::-1].copy()
    for seed in range(8):
        recoloured = recolour(photo, np.random.default_rng(seed))
        assert recoloured.shape == photo.shape
        assert recoloured.dtype == np.uint8
        assert not np.array_equal(recoloured, photo)
        assert np.corrcoef(recoloured.mean(2).ravel(), photo.mean(2).ravel())[0, 1] > 0.9


def test_of_a_long_thin_photograph_the_middle_is_taken(tmp_path):
    rgb = np.full((2, 600, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "divider.png"), rgb)
    loaded = load_photo(tmp_path / "divider.png", np.random.default_rng(0), 1300)
    assert min(loaded.shape[:2]) >= 256
    assert max(loaded.shape[:2]) <= 8 * min(loaded.shape[:2])


def test_crops_larger_than_a_mosaic_have_their_size(tmp_path):
    photos = write_photos(tmp_path, 3)
    source = ExampleSource(photos=tuple(photos), assets=Assets(), crop_px=768, mosaic_share=1.0)
    for example in make_chooser_examples(source, np.random.default_rng(0)):
        assert example["image"].shape[-2:] == (768, 768)


def test_damaged_photographs_are_passed_over_and_named(source, tmp_path, caplog):
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"\xff\xd8\xff\xe0")
    some = replace(source, photos=(*source.photos, damaged))
    crops = list(islice(Examples(some, make_finder_examples, seed=3), 30))
    assert len(crops) == 30
    assert any("damaged.jpg: cannot be decoded" in message for message in caplog.messages)
    with pytest.raises(UsageError, match=r"damaged\.jpg: cannot be decoded"):
        next(iter(Examples(replace(source, photos=(damaged,)), make_finder_examples, seed=3)))
