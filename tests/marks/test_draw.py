"""Shapes: lettering, logos, and what is done to them."""

import numpy as np
import pytest
from PIL import ImageFont

from cleanplate.marks import draw


@pytest.fixture(scope="module")
def font() -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(28)


def assert_is_shape(shape: np.ndarray) -> None:
    assert shape.ndim == 3
    assert shape.shape[2] == 4
    assert shape.dtype == np.float32
    assert shape.min() >= 0
    assert shape.max() <= 1 + 1e-6


def test_text_has_its_colour_where_it_is_solid(font):
    shape = draw.draw_text("cleanplate", font, draw.TextStyle(colour=(1.0, 0.25, 0.0)))
    assert_is_shape(shape)
    solid = shape[..., 3] > 0.99
    assert solid.sum() > 100
    np.testing.assert_allclose(shape[solid][:, :3], [[1.0, 0.25, 0.0]] * int(solid.sum()), atol=1e-5)


def test_text_is_trimmed_to_a_margin(font):
    shape = draw.draw_text("cleanplate", font)
    assert not shape[0, :, 3].any()
    assert not shape[:, 0, 3].any()
    rows, columns = np.nonzero(shape[..., 3])
    assert shape.shape[0] - 1 - rows.max() <= 4
    assert shape.shape[1] - 1 - columns.max() <= 4


def test_an_outline_surrounds_the_letters(font):
    plain = draw.draw_text("OO", font)
    lined = draw.draw_text("OO", font, draw.TextStyle(outline_px=3, outline_colour=(0.0, 0.0, 1.0)))
    assert (lined[..., 3] > 0.5).sum() > 1.5 * (plain[..., 3] > 0.5).sum()
    blue = (lined[..., 3] > 0.99) & (lined[..., 0] < 0.01) & (lined[..., 2] > 0.99)
    assert blue.sum() > 50


def test_hollow_letters_have_nothing_inside(font):
    style = draw.TextStyle(outline_px=2, hollow=True)
    solid = draw.draw_text("I", font)[..., 3].sum()
    hollow = draw.draw_text("I", font, style)[..., 3]
    filled = draw.draw_text("I", font, draw.TextStyle(outline_px=2))[..., 3]
    assert filled.sum() - hollow.sum() > 0.8 * solid


def test_a_shadow_darkens_beside_the_letters(font):
    shape = draw.draw_text("T", font, draw.TextStyle(shadow=(4.0, 4.0, 1.0, 0.6)))
    assert_is_shape(shape)
    shadow = (shape[..., 3] > 0.3) & (shape[..., 3] < 0.62) & (shape[..., :3].max(axis=2) < 0.3)
    assert shadow.sum() > 20


def test_a_logo_keeps_its_colours_or_takes_one():
    rgba = np.zeros((40, 80, 4), np.uint8)
    rgba[5:35, 10:70] = (200, 50, 0, 255)
    own = draw.shape_from_logo(rgba, 60)
    assert_is_shape(own)
    assert own.shape[:2] == (34, 64)  # 30 x 60 and two pixels of margin all round
    np.testing.assert_allclose(own[17, 32], [200 / 255, 50 / 255, 0, 1], atol=1e-3)
    white = draw.shape_from_logo(rgba, 60, (1.0, 1.0, 1.0))
    assert np.all(white[..., :3] == 1)
    np.testing.assert_array_equal(white[..., 3], own[..., 3])


def test_a_logo_can_be_enlarged():
    assert draw.shape_from_logo(np.full((10, 10, 4), 255, np.uint8), 50).shape == (54, 54, 4)


def test_stacking_centres_the_narrower_one():
    upper, lower = np.ones((4, 6, 4), np.float32), np.ones((5, 10, 4), np.float32)
    both = draw.stack(upper, lower, gap_px=3)
    assert both.shape == (12, 10, 4)
    assert both[:4, 2:8].all()
    assert not both[:4, :2].any()
    assert not both[4:7].any()
    assert both[7:].all()


def test_side_by_side_the_lower_one_is_centred():
    left, right = np.ones((4, 6, 4), np.float32), np.ones((8, 10, 4), np.float32)
    both = draw.beside(left, right, gap_px=3)
    assert both.shape == (8, 19, 4)
    assert both[2:6, :6].all()
    assert not both[:2, :6].any()
    assert not both[:, 6:9].any()
    assert both[:, 9:].all()


@pytest.mark.parametrize(
    ("roundness", "share"), [(0.0, 1.0), (1.0, 0.946)]
)  # two half circles: 1 - (1 - pi/4)/4
def test_a_plate_is_as_round_as_it_is_asked_to_be(roundness, share):
    plate = draw.draw_plate(80, 20, roundness, (0.2, 0.4, 0.6))
    assert_is_shape(plate)
    assert plate[..., 3].mean() == pytest.approx(share, abs=0.005)
    np.testing.assert_allclose(plate[10, 40], [0.2, 0.4, 0.6, 1.0], atol=1e-6)


def test_lettering_on_a_plate_covers_it_and_cut_out_it_leaves_holes(font):
    lettering = draw.draw_text("III", font, draw.TextStyle(colour=(1.0, 1.0, 1.0)))
    plate = draw.draw_plate(lettering.shape[1] + 9, lettering.shape[0] + 6, 0.0, (0.0, 0.0, 0.5))
    plate[..., 3] *= 0.5
    letters = int((lettering[..., 3] > 0.99).sum())
    on = draw.put_on(plate, lettering)
    assert_is_shape(on)
    assert np.isclose(on[..., 3], 1).sum() == pytest.approx(letters, rel=0.1)
    assert np.isclose(on[..., 3].min(), 0.5)
    out = draw.put_on(plate, lettering, cut_out=True)
    assert_is_shape(out)
    assert np.isclose(out[..., 3], 0).sum() == pytest.approx(letters, rel=0.1)
    assert np.all(out[..., :3] == plate[..., :3])
    assert np.isclose(plate[..., 3], 0.5).all(), "the plate itself is left as it was"


def test_embossed_lettering_is_light_on_one_side_and_dark_on_the_other(font):
    grey = draw.draw_text("H", font, draw.TextStyle(colour=(0.5, 0.5, 0.5)))
    pressed = draw.emboss(grey, 2.0, 0.3)
    assert_is_shape(pressed)
    light, dark = ((pressed[..., 3] > 0.9) & (np.abs(pressed[..., 0] - tone) < 0.02) for tone in (1.0, 0.0))
    assert min(light.sum(), dark.sum()) > 20
    assert np.nonzero(light)[1].mean() < np.nonzero(dark)[1].mean()
    body = np.isclose(pressed[..., 3], 0.3) & (grey[..., 3] > 0.99)
    assert body.sum() > 50


def test_rotation_loses_nothing(font):
    shape = draw.draw_text("cleanplate", font)
    assert draw.rotate(shape, 360.0) is shape
    for degrees in (17.0, 90.0, -45.0):
        turned = draw.rotate(shape, degrees)
        assert_is_shape(turned)
        assert turned[..., 3].sum() == pytest.approx(shape[..., 3].sum(), rel=0.02)
    upright = draw.rotate(shape, 90.0)
    assert upright.shape[0] > upright.shape[1]


def test_tiling_covers_the_canvas():
    shape = np.ones((10, 20, 4), np.float32)
    pattern = draw.tile(shape, 120, 160, (40, 25), 30.0, stagger=True)
    assert pattern.shape == (120, 160, 4)
    quarters = [pattern[r : r + 60, c : c + 80, 3].mean() for r in (0, 60) for c in (0, 80)]
    assert min(quarters) > 0.12  # the shapes take 20 % of a pattern without edges


def test_softening_keeps_colour_and_weight(font):
    shape = np.pad(
        draw.draw_text("Hi", font, draw.TextStyle(colour=(0.2, 0.6, 0.4))), ((6, 6), (6, 6), (0, 0))
    )
    assert draw.soften(shape, 0.0) is shape
    soft = draw.soften(shape, 1.2)
    assert_is_shape(soft)
    assert soft[..., 3].sum() == pytest.approx(shape[..., 3].sum(), rel=0.02)
    assert soft[..., 3].max() <= shape[..., 3].max() + 1e-6
    strong = soft[..., 3] > 0.1
    np.testing.assert_allclose(soft[strong][:, :3], [[0.2, 0.6, 0.4]] * int(strong.sum()), atol=0.01)


def test_finish_multiplies_opacity_and_fade(font):
    shape = draw.draw_text("Hi", font)
    fade = np.linspace(1, 0.5, shape.shape[1], dtype=np.float32)[None].repeat(shape.shape[0], 0)
    mark = draw.finish(shape, 0.4, "text", fade)
    np.testing.assert_allclose(mark.alpha, shape[..., 3] * 0.4 * fade, atol=1e-6)
    assert mark.kind == "text"
    assert mark.alpha.dtype == mark.rgb.dtype == np.float32
