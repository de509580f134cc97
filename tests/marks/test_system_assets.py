"""Fonts and SVG logos as Debian's packages bring them (`make test-system`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cleanplate.marks import draw
from cleanplate.marks.assets import find_assets
from cleanplate.marks.sample import sample_marked
from cleanplate.marks.words import CHINESE_PHRASES, JAPANESE_PHRASES, KOREAN_PHRASES

pytestmark = pytest.mark.system

FONTS = Path("/usr/share/fonts/opentype/noto")
EMBLEM = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
    '<path fill="#d02030" d="M2 2h20v20H2z"/><circle cx="12" cy="12" r="6" fill="#fff"/></svg>'
)


@pytest.fixture(scope="module")
def svg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logos")
    (folder / "emblem.svg").write_text(EMBLEM, encoding="utf-8")
    return folder


def test_the_cjk_fonts_are_recognised_for_their_scripts() -> None:
    assets = find_assets(FONTS)
    assert set(assets.scripts) == {"latin", "chinese", "japanese", "korean"}


@pytest.mark.parametrize(
    ("script", "phrases"),
    [("chinese", CHINESE_PHRASES), ("japanese", JAPANESE_PHRASES), ("korean", KOREAN_PHRASES)],
)
def test_every_phrase_is_drawn_with_glyphs_of_its_own(script: str, phrases: tuple[str, ...]) -> None:
    font = find_assets(FONTS).choose_font(np.random.default_rng(0), script, 32)
    missing = bytes(font.getmask("\uffff"))
    for phrase in phrases:
        assert all(bytes(font.getmask(character)) != missing for character in phrase), phrase
        assert draw.draw_text(phrase, font)[..., 3].max() == 1.0


def test_an_svg_logo_is_rasterised_once_and_keeps_its_colours(svg_folder: Path, tmp_path: Path) -> None:
    assets = find_assets(None, svg_folder, tmp_path)
    rgba = assets.choose_logo(np.random.default_rng(0))
    height, width = rgba.shape[:2]
    assert tuple(rgba[height // 2, width // 2, :3]) == (255, 255, 255)
    assert tuple(rgba[4, 4]) == (0xD0, 0x20, 0x30, 255)
    assert len(list(tmp_path.glob("*.png"))) == 1
    np.testing.assert_array_equal(assets.choose_logo(np.random.default_rng(0)), rgba)


def test_a_marked_photograph_with_these_assets_obeys_the_formula(svg_folder: Path) -> None:
    assets = find_assets(FONTS, svg_folder)
    clean = np.full((240, 320, 3), 90, np.uint8)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        sample = sample_marked(clean, rng, assets, kind="both", jpeg_quality=100)
        alpha = sample.alpha[..., None]
        expected = (1 - alpha) * 90 + alpha * sample.colour * 255
        error = np.abs(sample.marked.astype(np.float32) - expected)
        assert sample.alpha.max() > 0.1
        assert float(np.median(error[sample.alpha > 0.02])) < 6  # JPEG at 100 with halved chroma
