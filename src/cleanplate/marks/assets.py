"""The fonts and logos that marks are drawn from.

Nothing of a third party is carried in the package: without folders the one font that Pillow brings and the
shapes below are used. Logos are black-on-nothing or coloured pictures (PNG, or SVG through the extra
`train`).
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cleanplate.errors import UsageError
from cleanplate.extras import require
from cleanplate.structures import Mark

FONT_SUFFIXES = {".ttf", ".otf", ".ttc", ".t1", ".pfb"}
LOGO_SUFFIXES = {".svg", ".png"}
LOGO_EDGE_PX = 512
#: So many logos in a row that cannot be drawn are no single bad file.
LOGO_TRIES = 8
#: One character a script that a font must have to be used for it.
SCRIPT_PROBES = {"latin": "aR©7", "chinese": "版权样", "japanese": "サ見写", "korean": "샘사진"}


@dataclass(frozen=True)
class Assets:
    """Fonts by script, and logos.

    fonts: script -> paths; an empty tuple stands for Pillow's own font (latin only).
    logos: paths of SVG or PNG files; where empty, simple shapes are drawn instead.
    cache: a folder for rasterised SVG files, or None to rasterise each time.
    mark, mark_share: one mark that stands in for the random kinds, and in which share of the marked
    photographs; None: there is none.
    """

    fonts: dict[str, tuple[Path, ...]] = field(default_factory=lambda: {"latin": ()})
    logos: tuple[Path, ...] = ()
    cache: Path | None = None
    mark: Mark | None = None
    mark_share: float = 1.0

    @property
    def scripts(self) -> tuple[str, ...]:
        """The scripts that text can be drawn in."""
        return tuple(script for script in SCRIPT_PROBES if script == "latin" or self.fonts.get(script))

    def choose_font(self, rng: np.random.Generator, script: str, size_px: int) -> ImageFont.FreeTypeFont:
        """A font of the script at a size in pixels."""
        paths = self.fonts.get(script, ())
        if not paths:
            return _load_default_font(size_px)
        return _load_font(paths[int(rng.integers(len(paths)))], size_px)

    def choose_logo(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """(h, w, 4) uint8 RGBA, straight alpha, trimmed; the long edge has at most LOGO_EDGE_PX pixels.

        A file that cannot be drawn is warned of and another one taken: one of thousands must not end a
        training run. Raises UsageError where LOGO_TRIES in a row cannot.
        """
        if not self.logos:
            return draw_shape(rng)
        for _ in range(LOGO_TRIES):
            path = self.logos[int(rng.integers(len(self.logos)))]
            try:
                return _load_logo(path, self.cache)
            except (OSError, ValueError, SyntaxError, LookupError, TypeError) as exc:
                warnings.warn(f"{path}: cannot be drawn ({exc}); another logo is taken", stacklevel=2)
        raise UsageError(
            f"{path}: neither this logo nor the {LOGO_TRIES - 1} chosen before can be drawn; give a folder "
            "of SVG files with a size (width and height, or a viewBox), or of PNG files"
        )


def find_assets(
    fonts: Path | None = None,
    logos: Path | None = None,
    cache: Path | None = None,
    part: Callable[[str], bool] | None = None,
) -> Assets:
    """The assets below two folders, sorted by name.

    part: keeps only files for whose name it is true (a training or a validation part of the logos and fonts);
    a folder too small to be parted, of which that would leave nothing, is kept whole.
    Raises UsageError where a folder does not exist or holds nothing usable.
    """
    found_fonts: dict[str, tuple[Path, ...]] = {"latin": ()}
    if fonts is not None:
        every_font = _find(fonts, FONT_SUFFIXES)
        found_fonts = _sort_by_script(_keep(every_font, part))
        if not found_fonts["latin"]:
            found_fonts = _sort_by_script(every_font)
        if not found_fonts["latin"]:
            raise UsageError(
                f"{fonts}: no font with Latin letters is there; give a folder of .ttf or .otf files"
            )
    found_logos: tuple[Path, ...] = ()
    if logos is not None:
        found_logos = tuple(_keep(_find(logos, LOGO_SUFFIXES), part))
        if not found_logos:
            raise UsageError(f"{logos}: no logo is there; give a folder of .svg or .png files")
    return Assets(fonts=found_fonts, logos=found_logos, cache=cache)


def split_by_name(share: float, inside: bool) -> Callable[[str], bool]:
    """A `part` for `find_assets`: a stable share of all names (inside) or the rest.

    >>> keep, hold = split_by_name(0.1, inside=False), split_by_name(0.1, inside=True)
    >>> all(keep(n) != hold(n) for n in "abcdefgh")
    True
    """

    def keep(name: str) -> bool:
        number = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:4], "big") / 2**32
        return (number < share) is inside

    return keep


def draw_shape(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(h, w, 4) uint8: a made-up emblem (ring, star, shield, bars) in one or two colours."""
    edge = 256
    picture = Image.new("RGBA", (edge, edge), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    first = (*(int(c) for c in rng.integers(0, 256, 3)), 255)
    second = (*(int(c) for c in rng.integers(0, 256, 3)), 255) if rng.random() < 0.5 else first
    choice = int(rng.integers(4))
    if choice == 0:
        pen.ellipse((8, 8, edge - 8, edge - 8), outline=first, width=int(rng.integers(10, 40)))
        pen.regular_polygon((edge / 2, edge / 2, edge / 4), int(rng.integers(3, 8)), fill=second)
    elif choice == 1:
        pen.regular_polygon((edge / 2, edge / 2, edge / 2 - 8), int(rng.integers(3, 9)), fill=first)
        pen.ellipse((90, 90, edge - 90, edge - 90), fill=(0, 0, 0, 0))
    elif choice == 2:
        for k in range(int(rng.integers(3, 6))):
            pen.rectangle(
                (20 + 45 * k, int(rng.integers(10, 160)), 50 + 45 * k, edge - 16), fill=(first, second)[k % 2]
            )
    else:
        pen.rounded_rectangle(
            (10, 50, edge - 10, edge - 40), radius=30, outline=first, width=int(rng.integers(10, 28))
        )
        pen.ellipse((80, 80, edge - 80, edge - 80), outline=second, width=int(rng.integers(8, 24)))
    return _trim(np.asarray(picture))


def _find(folder: Path, suffixes: set[str]) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes)


def _keep(files: list[Path], part: Callable[[str], bool] | None) -> list[Path]:
    kept = [p for p in files if part is None or part(p.name)]
    return kept or files


def _sort_by_script(paths: list[Path]) -> dict[str, tuple[Path, ...]]:
    by_script: dict[str, list[Path]] = {script: [] for script in SCRIPT_PROBES}
    for path in paths:
        for script, probe in SCRIPT_PROBES.items():
            if _covers(path, probe):
                by_script[script].append(path)
    return {script: tuple(found) for script, found in by_script.items()}


def _covers(path: Path, text: str) -> bool:
    """Whether the font has a glyph of its own for every character (missing ones all look like U+FFFF)."""
    try:
        font = ImageFont.truetype(path, 24)
        missing = bytes(font.getmask("\uffff"))
        shapes = [bytes(font.getmask(character)) for character in text]
    except OSError:
        return False
    return all(shape != missing and any(shape) for shape in shapes) and len(set(shapes)) == len(text)


@lru_cache(maxsize=512)
def _load_font(path: Path, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size_px)


@lru_cache(maxsize=64)
def _load_default_font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise UsageError(
            "this Pillow was built without FreeType, so text cannot be drawn; install Pillow's wheel"
        )
    return font


def _load_logo(path: Path, cache: Path | None) -> NDArray[np.uint8]:
    if path.suffix.lower() == ".svg":
        kept = cache / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:24]}.png" if cache else None
        if kept is not None and kept.exists():
            with Image.open(kept) as picture:
                return np.asarray(picture.convert("RGBA"))
        rgba = _trim(_rasterise(path))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rgba).save(kept)
        return rgba
    with Image.open(path) as picture:
        rgba_picture = picture.convert("RGBA")
        rgba_picture.thumbnail((LOGO_EDGE_PX, LOGO_EDGE_PX))
        return _trim(np.asarray(rgba_picture))


def _rasterise(path: Path) -> NDArray[np.uint8]:
    cairosvg = require("cairosvg", extra="train")
    data = cairosvg.svg2png(bytestring=path.read_bytes(), output_width=LOGO_EDGE_PX // 2)
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGBA"))


def _trim(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = np.nonzero(rgba[..., 3] > 8)
    if len(rows) == 0:
        return np.full((8, 8, 4), 255, np.uint8)
    return np.ascontiguousarray(rgba[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
