"""Marked photographs: the same seed gives the same picture, and alpha, matte and colour fit together."""

import numpy as np
import pytest
from skimage import data

from cleanplate.images.read import read
from cleanplate.marks import KINDS, Assets, sample_marked
from cleanplate.marks import sample as recipe
from cleanplate.marks.sample import FREE_KIND, choose_opacity, decode_jpeg, encode_jpeg, read_steps
from cleanplate.structures import Mark

FIELDS = ("marked", "clean", "alpha", "matte", "colour")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[:300, :400])


def draw(photo, seed, **fixed):
    return sample_marked(photo, np.random.default_rng(seed), Assets(), **fixed)


@pytest.mark.parametrize("kind", [*KINDS, FREE_KIND])
def test_every_kind_is_drawn(photo, kind):
    for seed in range(6):
        sample = draw(photo, seed, kind=kind)
        assert sample.kind == kind
        assert sample.marked.shape == photo.shape
        assert sample.marked.dtype == np.uint8
        assert np.array_equal(sample.clean, photo)
        assert 0.15 <= sample.opacity <= 1
        assert sample.alpha.max() > 0.02, f"seed {seed} draws nothing"
        for name, planes in (("alpha", 0), ("matte", 0), ("colour", 3)):
            plane = getattr(sample, name)
            assert plane.dtype == np.float32
            assert plane.shape == (photo.shape[:2] if planes == 0 else photo.shape)
            assert plane.min() >= 0
            assert plane.max() <= 1 + 2e-3  # the colour of a trace of alpha is a quotient of tiny numbers


def test_the_same_seed_gives_the_same_picture_and_another_another(photo):
    first, again, other = draw(photo, 5), draw(photo, 5), draw(photo, 6)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.jpeg == again.jpeg
    assert not np.array_equal(first.marked, other.marked)


def test_without_jpeg_the_marked_picture_is_the_formula(photo):
    found = [draw(photo, seed) for seed in range(12)]
    plain = [sample for sample in found if sample.jpeg_quality is None]
    assert plain
    for sample in plain:
        alpha = sample.alpha[..., None]
        wanted = (photo / 255) * (1 - alpha) + sample.colour * alpha
        assert np.abs(sample.marked / 255 - wanted).max() <= 0.5 / 255 + 1e-4
        assert sample.jpeg is None


def test_alpha_is_matte_times_opacity_where_there_is_one_mark(photo):
    checked = 0
    for seed in range(8):
        sample = draw(photo, seed, kind="tiled", opacity=0.4)
        if sample.alpha.max() <= 0.4 + 1e-4:  # no further mark on top
            np.testing.assert_allclose(sample.alpha, 0.4 * sample.matte, atol=1e-5)
            checked += 1
        assert np.array_equal(sample.matte > 1e-4, sample.alpha > 1e-4 * 0.4) or sample.alpha.max() > 0.4
    assert checked >= 3


def test_a_clean_photograph_carries_nothing(photo):
    sample = draw(photo, 1, kind="clean")
    assert sample.kind == "clean"
    assert sample.opacity == 0
    assert not sample.alpha.any()
    assert not sample.matte.any()
    assert np.abs(sample.marked.astype(int) - photo).mean() < 8  # JPEG at most


def test_fixed_values_are_kept(photo):
    sample = draw(photo, 3, kind="logo", opacity=0.5, jpeg_quality=80)
    assert (sample.kind, sample.opacity, sample.jpeg_quality) == ("logo", 0.5, 80)
    np.testing.assert_array_equal(decode_jpeg(sample.jpeg), sample.marked)


def test_small_and_narrow_photographs_are_marked_too():
    rng = np.random.default_rng(0)
    for shape in ((40, 200, 3), (200, 40, 3), (64, 64, 3)):
        photo = rng.integers(0, 256, shape, dtype=np.uint8)
        for seed, kind in enumerate(KINDS):
            assert draw(photo, seed, kind=kind).marked.shape == shape


def test_plates_lie_under_lettering_or_round_what_is_cut_out(photo, monkeypatch):
    covered = {}
    for share in (0.0, 1.0):
        monkeypatch.setattr(recipe, "PLATE_SHARE", share)
        samples = [draw(photo, seed, kind="both", opacity=0.8) for seed in range(40)]
        covered[share] = np.mean([(sample.alpha > 0.02).mean() for sample in samples])
    assert covered[1.0] > 1.5 * covered[0.0]


def test_some_marks_reach_over_the_edge(photo, monkeypatch):
    at_edge = {}
    for share in (0.0, 1.0):
        monkeypatch.setattr(recipe, "CUT_OFF_SHARE", share)
        alphas = [draw(photo, seed, kind="stamp").alpha for seed in range(40)]
        at_edge[share] = sum(
            max(a[0].max(), a[-1].max(), a[:, 0].max(), a[:, -1].max()) > 0.3 for a in alphas
        )
    assert at_edge[0.0] <= 2  # one that is wider than the photograph
    assert at_edge[1.0] >= 15


def test_opacities_are_those_that_people_use():
    rng = np.random.default_rng(0)
    drawn = {kind: [choose_opacity(rng, kind) for _ in range(200)] for kind in KINDS}
    assert all(0.15 <= value <= 1 for values in drawn.values() for value in values)
    assert min(drawn["stamp"]) >= 0.6
    assert max(drawn["tiled"]) <= 0.6
    assert 0.02 < np.mean([value == 1 for value in drawn["text"]]) < 0.3


def test_jpeg_keeps_what_its_quality_says(photo):
    rough, fine = (decode_jpeg(encode_jpeg(photo, q)) for q in (20, 97))
    errors = [np.abs(p.astype(int) - photo).mean() for p in (rough, fine)]
    assert errors[0] > 2 * errors[1]
    full = decode_jpeg(encode_jpeg(photo, 97, full_chroma=True))
    assert np.abs(full.astype(int) - photo).mean() < errors[1]


def test_a_given_mark_is_drawn_alone_at_random_places_sizes_and_opacities():
    alpha = np.zeros((40, 120), np.float32)
    alpha[5:35, 5:115] = 0.4
    mark = Mark(alpha=alpha, rgb=np.full((40, 120, 3), (1.0, 0.0, 0.5), np.float32))
    assets = Assets(mark=mark)
    clean = np.full((200, 300, 3), 90, np.uint8)
    samples = [sample_marked(clean, np.random.default_rng(seed), assets) for seed in range(12)]
    assert {sample.kind for sample in samples} == {"given"}
    assert len({round(sample.opacity, 2) for sample in samples}) > 6
    for sample in samples:
        assert sample.alpha.max() == pytest.approx(sample.opacity, abs=0.02)
        np.testing.assert_allclose(sample.colour[sample.alpha > 0.1].mean(axis=0), (1, 0, 0.5), atol=0.02)
    widths = {np.ptp(np.nonzero(sample.alpha > 0)[1]) for sample in samples}
    assert len(widths) > 6
    assert max(widths) <= 300


def test_a_given_mark_leaves_room_for_others_and_for_clean_photographs():
    mark = Mark(alpha=np.ones((20, 20), np.float32), rgb=np.ones((20, 20, 3), np.float32))
    clean = np.full((150, 200, 3), 90, np.uint8)
    assets = Assets(mark=mark, mark_share=0.5)
    kinds = [sample_marked(clean, np.random.default_rng(seed), assets).kind for seed in range(30)]
    assert 8 < kinds.count("given") < 22
    assert sample_marked(clean, np.random.default_rng(0), assets, kind="clean").kind == "clean"
    assert sample_marked(clean, np.random.default_rng(0), assets, kind="text").kind == "text"


def test_a_files_tables_are_read_as_a_run_reads_them(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for full_chroma in (False, True):
        coded = encode_jpeg(picture, 60, full_chroma=full_chroma)
        path = tmp_path / "photo.jpg"
        path.write_bytes(coded)
        steps, own = read_steps(coded), read(path, max_megapixels=1).quantisation
        assert np.array_equal(steps.luma, own.luma)
        assert np.array_equal(steps.chroma, own.chroma)
        assert steps.halved == own.halved == (not full_chroma,) * 2
