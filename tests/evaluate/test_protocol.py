"""The papers' recipes and figures."""

import io
import json
import math

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from skimage import data

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.evaluate.protocol import (
    PROTOCOLS,
    draw_clwd,
    draw_logo_h,
    find_protocol,
    give_colour,
    make_protocol_triples,
    read_mask,
)
from cleanplate.evaluate.protocol_score import (
    NOT_THEIRS,
    draw_protocol_table,
    measure,
    protocol_to_json,
    score_protocol,
    score_protocol_folder,
    summarise_protocol,
)
from cleanplate.evaluate.triples import find_mask, find_triples, read_triple
from cleanplate.marks import Assets
from cleanplate.settings import RepairSettings
from tests.evaluate.conftest import Oracle

PHOTO = data.astronaut()[:300]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "astronaut.png"
    cv2.imwrite(str(path), PHOTO[..., ::-1])
    return (path,)


@pytest.fixture(params=list(PROTOCOLS))
def drawn(request, photos, tmp_path):
    """(protocol, its triples)."""
    protocol = find_protocol(request.param)
    folder = tmp_path / "set"
    make_protocol_triples(protocol, photos, Assets(), folder, count=2, seed=5)
    return protocol, find_triples(folder)


@pytest.mark.parametrize("seed", range(8))
def test_clwd_is_drawn_as_its_recipe_says(seed):
    sample = draw_clwd(PHOTO, np.random.default_rng(seed), Assets(), lossless=True)
    photo = sample.photo
    assert photo.marked.shape == (256, 256, 3)
    assert 0.3 <= photo.opacity <= 0.7
    assert photo.alpha.max() <= photo.opacity + 1e-6
    rows, columns = np.nonzero(photo.alpha)
    assert (np.ptp(rows) < 256, np.ptp(columns) < 256) == (True, True)
    clean = photo.clean / 255
    blended = clean * (1 - photo.alpha[..., None]) + photo.colour * photo.alpha[..., None]
    assert np.abs(photo.marked / 255 - blended).max() < 0.003
    np.testing.assert_array_equal(sample.mask, np.abs(blended - clean).sum(axis=2) > 15 / 255)


def test_clwd_stores_both_pictures_as_jpeg():
    plain = draw_clwd(PHOTO, np.random.default_rng(1), Assets(), lossless=True).photo
    stored = draw_clwd(PHOTO, np.random.default_rng(1), Assets()).photo
    assert (plain.jpeg, stored.jpeg_quality) == (None, 75)
    for one, other in ((plain.clean, stored.clean), (plain.marked, stored.marked)):
        difference = np.abs(one.astype(int) - other).mean()
        assert 0 < difference < 8


@pytest.mark.parametrize("seed", range(6))
def test_logo_h_marks_are_heavy_and_square(seed):
    sample = draw_logo_h(PHOTO, np.random.default_rng(seed), Assets())
    photo = sample.photo
    assert 0.6 <= photo.opacity <= 0.85
    assert photo.jpeg is None
    rows, columns = np.nonzero(photo.alpha > 0)
    longest = max(np.ptp(rows), np.ptp(columns)) + 1
    assert 0.4 * 256 - 3 <= longest <= 0.8 * 256 + 3
    assert sample.mask.any()
    assert photo.alpha[sample.mask].min() > 0.5 * photo.opacity


def test_coloured_logos_keep_their_colours():
    logo = np.full((4, 4, 4), 255, np.uint8)
    logo[..., :3] = (200, 30, 30)
    np.testing.assert_array_equal(give_colour(logo, np.random.default_rng(0)), logo)
    clear = np.zeros((4, 4, 4), np.uint8)
    assert give_colour(clear, np.random.default_rng(0)).shape == (4, 4, 4)


def test_a_set_is_the_same_for_the_same_seed(drawn, photos, tmp_path):
    protocol, triples = drawn
    again = make_protocol_triples(protocol, photos, Assets(), tmp_path / "again", count=2, seed=5)
    for one, other in zip(triples, again, strict=True):
        np.testing.assert_array_equal(read_triple(one).marked_u8, read_triple(other).marked_u8)
        mask = read_mask(one, (256, 256))
        np.testing.assert_array_equal(mask, read_mask(other, (256, 256)))
        assert mask.dtype == bool
    note = json.loads((tmp_path / "again" / "protocol.json").read_text())
    assert note == {"protocol": protocol.name, "seed": 5, "lossless": False, "pictures": 2}
    with pytest.raises(UsageError, match="has triples already"):
        make_protocol_triples(protocol, photos, Assets(), tmp_path / "again")


def test_a_perfect_result_has_perfect_figures(drawn):
    protocol, triples = drawn
    every = list(score_protocol(triples, Oracle(triples), RepairSettings()))
    means = summarise_protocol(one.score for one in every)
    assert means["rmsew_three"] < 1
    assert means["inside"] > 45
    assert means["rmsew_one"] == pytest.approx(math.sqrt(3) * means["rmsew_three"])
    assert means["f1"] > 0.6  # the oracle's mask is the opacity's, wider than the protocol's
    untouched = summarise_protocol(one.untouched for one in every)
    assert untouched["rmsew_three"] > 10
    assert math.isnan(untouched["f1"])
    console = Console(file=io.StringIO(), width=132)
    console.print(draw_protocol_table(protocol, every, {"networks": "none"}))
    shown = console.file.getvalue()
    assert f"{protocol.published_by}, published" in shown
    assert NOT_THEIRS in shown
    assert "networks: none" in shown
    content = json.loads(json.dumps(protocol_to_json(protocol, every), allow_nan=False))
    assert content["published"]["f1"] == protocol.published["f1"]
    assert len(content["pictures"]) == 2


def test_a_failure_is_scored_as_left_alone(drawn):
    protocol, triples = drawn
    every = list(score_protocol(triples, Oracle(triples, fails=triples[0].name), RepairSettings()))
    assert "told to fail" in every[0].score.error
    assert every[0].score.rmsew_three == pytest.approx(every[0].untouched.rmsew_three, abs=1e-3)
    assert every[0].score.f1 == 0
    console = Console(file=io.StringIO(), width=132)
    console.print(draw_protocol_table(protocol, every))
    assert "without a result" in console.file.getvalue()


def test_any_tools_results_are_scored(drawn, tmp_path):
    _, triples = drawn
    results = tmp_path / "results"
    results.mkdir()
    for files in triples:
        Image.fromarray(read_triple(files).truth_u8).save(results / f"{files.name}.png")
    for one in score_protocol_folder(triples, results):
        assert one.score.inside == 100
        assert math.isnan(one.score.f1)
        assert one.score.changed_f1 > 0.7


def test_figures_of_an_empty_mask_are_not_known():
    picture = np.zeros((16, 16, 3), np.float32)
    score = measure("a", picture, picture, np.zeros((16, 16), bool), found=np.ones((16, 16), bool))
    assert score.psnr == 100
    assert all(math.isnan(v) for v in (score.inside, score.f1, score.rmsew_three, score.changed_f1))


def test_masks_that_are_missing_or_of_another_size_are_named(drawn):
    _, triples = drawn
    with pytest.raises(UsageError, match=r"mask\.png: has another size"):
        read_mask(triples[0], (255, 256))
    find_mask(triples[0]).unlink()
    with pytest.raises(UsageError, match=r"mask\.png: cannot be read"):
        read_mask(triples[0], (256, 256))


def test_what_cannot_be_meant_is_named(photos, tmp_path):
    with pytest.raises(InvalidSettingError, match="protocol is 'lvw'"):
        find_protocol("lvw")
    for bad in ({"count": 0}, {"seed": -1}):
        with pytest.raises(InvalidSettingError):
            make_protocol_triples(PROTOCOLS["clwd"], photos, Assets(), tmp_path / "out", **bad)
