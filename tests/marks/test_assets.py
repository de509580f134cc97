"""Fonts by script, logos, and how they are parted."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageFont

from cleanplate.errors import MissingExtraError, UsageError
from cleanplate.marks import Assets, find_assets
from cleanplate.marks.assets import LOGO_EDGE_PX, draw_shape, split_by_name


@pytest.fixture(scope="module")
def fonts(tmp_path_factory):
    """A folder with the font that Pillow carries, under several names, and things that are no fonts."""
    folder = tmp_path_factory.mktemp("fonts")
    data = ImageFont.load_default(20).font_bytes
    (folder / "inner").mkdir()
    for name in ("one.ttf", "two.TTF", "inner/three.otf"):
        (folder / name).write_bytes(data)
    (folder / "damaged.ttf").write_bytes(b"no font")
    (folder / "readme.txt").write_text("no font")
    return folder


@pytest.fixture
def logos(tmp_path):
    folder = tmp_path / "logos"
    folder.mkdir()
    picture = Image.new("RGBA", (1200, 600), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (100, 100, 1100, 500))
    picture.save(folder / "logo.png")
    return folder


def test_fonts_are_sorted_by_the_scripts_they_cover(fonts):
    found = find_assets(fonts)
    assert [path.name for path in found.fonts["latin"]] == ["three.otf", "one.ttf", "two.TTF"]
    assert found.fonts["chinese"] == found.fonts["japanese"] == found.fonts["korean"] == ()
    assert found.scripts == ("latin",)


def test_without_folders_pillows_font_and_drawn_shapes_are_used():
    assets, rng = find_assets(), np.random.default_rng(0)
    assert assets.scripts == ("latin",)
    assert assets.choose_font(rng, "latin", 31).size == 31
    assert assets.choose_logo(rng).shape[2] == 4


def test_a_font_is_loaded_at_the_size_asked_for(fonts):
    assert find_assets(fonts).choose_font(np.random.default_rng(0), "latin", 17).size == 17


def test_a_logo_is_trimmed_and_made_smaller(logos):
    rgba = find_assets(logos=logos).choose_logo(np.random.default_rng(0))
    assert rgba.dtype == np.uint8
    assert max(rgba.shape[:2]) <= LOGO_EDGE_PX
    assert rgba.shape[1] / rgba.shape[0] == pytest.approx(1000 / 400, rel=0.03)
    assert tuple(rgba[rgba.shape[0] // 2, rgba.shape[1] // 2]) == (255, 0, 0, 255)


def test_a_transparent_logo_is_still_a_picture(tmp_path):
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(tmp_path / "nothing.png")
    assert find_assets(logos=tmp_path).choose_logo(np.random.default_rng(0)).shape == (8, 8, 4)


def test_svg_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "logo.svg").write_text("<svg/>")
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    with pytest.raises(MissingExtraError, match=r"cleanplate\[train\]"):
        find_assets(logos=tmp_path).choose_logo(np.random.default_rng(0))


def test_svg_is_rasterised_once_where_there_is_a_cache(tmp_path, monkeypatch):
    (tmp_path / "logo.svg").write_text("<svg/>")
    calls = []

    class Rasteriser:
        @staticmethod
        def svg2png(bytestring: bytes, output_width: int) -> bytes:
            assert bytestring == b"<svg/>"
            calls.append(output_width)
            Image.new("RGBA", (20, 10), (0, 0, 255, 255)).save(tmp_path / "made.bin", format="PNG")
            return (tmp_path / "made.bin").read_bytes()

    monkeypatch.setitem(sys.modules, "cairosvg", Rasteriser)
    assets = find_assets(logos=tmp_path, cache=tmp_path / "cache")
    first, second = (assets.choose_logo(np.random.default_rng(0)) for _ in range(2))
    assert len(calls) == 1
    np.testing.assert_array_equal(first, second)
    assert first.shape == (10, 20, 4)


@pytest.mark.parametrize("which", ["fonts", "logos"])
def test_a_folder_that_is_missing_or_useless_is_named(tmp_path, which):
    with pytest.raises(UsageError, match="no such folder"):
        find_assets(**{which: tmp_path / "missing"})
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UsageError, match="give a folder of"):
        find_assets(**{which: tmp_path})


def test_parts_are_disjoint_and_cover_everything():
    names = [f"logo-{n}.svg" for n in range(400)]
    keep, hold = split_by_name(0.1, inside=False), split_by_name(0.1, inside=True)
    held = [n for n in names if hold(n)]
    assert 15 < len(held) < 70
    assert [n for n in names if not keep(n)] == held


def test_a_folder_is_parted_by_name_and_kept_whole_when_too_small(fonts, logos):
    only = find_assets(fonts, logos, part=lambda name: name.startswith("one"))
    assert [path.name for path in only.fonts["latin"]] == ["one.ttf"]
    assert [path.name for path in only.logos] == ["logo.png"]
    assert len(find_assets(fonts, part=lambda _: False).fonts["latin"]) == 3


def test_made_up_emblems_differ_and_repeat():
    drawn = [draw_shape(np.random.default_rng(seed)) for seed in range(12)]
    assert all(d.shape[2] == 4 and d[..., 3].max() == 255 for d in drawn)
    assert len({d.tobytes() for d in drawn}) == 12
    np.testing.assert_array_equal(drawn[3], draw_shape(np.random.default_rng(3)))


def test_assets_without_arguments_can_draw():
    assert Assets().scripts == ("latin",)


def test_a_logo_that_cannot_be_drawn_is_passed_over(logos):
    (logos / "bad.png").write_bytes(b"no picture")
    assets = find_assets(logos=logos)
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match=r"bad\.png: cannot be drawn"):
        shapes = [assets.choose_logo(rng).shape for _ in range(12)]
    assert len(set(shapes)) == 1


def test_logos_none_of_which_can_be_drawn_are_an_error(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with (
        pytest.warns(UserWarning, match="another logo is taken"),
        pytest.raises(UsageError, match="neither this logo nor the 7 chosen before"),
    ):
        find_assets(logos=tmp_path).choose_logo(np.random.default_rng(0))


def test_names_that_are_no_utf_8_have_their_part_too():
    keep, hold = split_by_name(0.1, inside=False), split_by_name(0.1, inside=True)
    assert keep("bad\udcff.png") != hold("bad\udcff.png")
