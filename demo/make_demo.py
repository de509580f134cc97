"""`make demo`: mark a few free photographs, repair them, and show before and after.

The photographs come inside scikit-image's wheel (`PHOTOGRAPHS` has their terms); the marks are invented.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from cleanplate.marks import PlacedMark, composite
from cleanplate.marks.draw import TextStyle, draw_text, finish, rotate, tile

HERE = Path(__file__).resolve().parent
INPUT, OUTPUT, PICTURE = HERE / "input", HERE / "output", HERE / "before-after.jpg"
MASKS = OUTPUT / ".cleanplate" / "masks"
ROW_HEIGHT_PX, GAP_PX, HEADING_PX = 260, 10, 36
HEADING = "before  |  what was found  |  after"

Rgb = NDArray[np.uint8]


def mark_corner(height: int, width: int) -> PlacedMark:
    """A photographer's name in the lower right corner, half opaque."""
    mark = finish(draw_text("© Example Studio", _font(width // 16)), 0.55, "text")
    return PlacedMark(
        mark, width - mark.alpha.shape[1] - width // 40, height - mark.alpha.shape[0] - height // 40
    )


def mark_centre(height: int, width: int) -> PlacedMark:
    """A word across the middle, turned, faint."""
    mark = finish(rotate(draw_text("SAMPLE", _font(width // 6)), 25), 0.4, "text")
    return PlacedMark(mark, (width - mark.alpha.shape[1]) // 2, (height - mark.alpha.shape[0]) // 2)


def mark_date(height: int, width: int) -> PlacedMark:
    """A camera's date stamp, opaque."""
    style = TextStyle(colour=(1.0, 0.55, 0.1))
    mark = finish(draw_text("2024 06 18", _font(width // 22), style), 1.0, "stamp")
    return PlacedMark(
        mark, width - mark.alpha.shape[1] - width // 20, height - mark.alpha.shape[0] - height // 20
    )


def mark_all_over(height: int, width: int) -> PlacedMark:
    """An agency's name over and over."""
    shape = draw_text("example.org", _font(width // 24))
    step = (shape.shape[1] * 3 // 2, shape.shape[0] * 4)
    return PlacedMark(finish(tile(shape, height, width, step, 30.0, stagger=True), 0.35, "tiled"), 0, 0)


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One photograph of the demo. mark: None for the one that stays clean."""

    name: str
    load: Callable[[], Rgb]
    terms: str
    mark: Callable[[int, int], PlacedMark] | None


PHOTOGRAPHS = (
    Photograph(
        name="astronaut.png",
        load=data.astronaut,
        terms="NASA, portrait of Eileen Collins; public domain",
        mark=mark_corner,
    ),
    Photograph(name="coffee.jpg", load=data.coffee, terms="Rachel Michetti; CC0", mark=mark_centre),
    Photograph(name="chelsea.webp", load=data.cat, terms="Stéfan van der Walt; CC0", mark=mark_date),
    Photograph(name="rocket.jpg", load=data.rocket, terms="SpaceX; public domain", mark=mark_all_over),
    Photograph(
        name="camera.png", load=data.camera, terms="Lav Varshney; CC0 (left without a mark)", mark=None
    ),
)


def main() -> int:
    """Make the demo and say where everything is; the exit code is that of the repair."""
    for photograph in PHOTOGRAPHS:
        write_marked(photograph, INPUT)
        print(f"  {photograph.name:<14} {photograph.terms}")
    command = ["repair", str(_short(INPUT)), "-o", str(_short(OUTPUT)), "--save-masks"]
    print(f"\ncleanplate {' '.join(command)}\n", flush=True)
    finished = subprocess.run([sys.executable, "-m", "cleanplate", *command], check=False)
    draw_before_after(PICTURE)
    print(f"\nphotographs with marks  {_short(INPUT)}")
    print(f"results                 {_short(OUTPUT)}")
    print(f"masks                   {_short(MASKS)}")
    print(f"before and after        {_short(PICTURE)}")
    return finished.returncode


def write_marked(photograph: Photograph, folder: Path) -> Path:
    """Draw the photograph's mark on it and write it into the folder; the same bytes every time."""
    rgb = np.asarray(Image.fromarray(photograph.load()).convert("RGB"))
    if photograph.mark is not None:
        height, width = rgb.shape[:2]
        marked, _, _ = composite(rgb.astype(np.float32) / 255, [photograph.mark(height, width)])
        rgb = np.round(np.clip(marked, 0, 1) * 255).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / photograph.name
    Image.fromarray(rgb).save(path, quality=92)
    return path


def draw_before_after(path: Path) -> None:
    """A picture with a row a photograph: before, the mask, after."""
    rows = [
        _draw_row([INPUT / name, MASKS / f"{name}.png", OUTPUT / name])
        for name in (photograph.name for photograph in PHOTOGRAPHS if photograph.mark is not None)
        if (OUTPUT / name).exists()
    ]
    if not rows:
        return
    height = HEADING_PX + sum(row.height + GAP_PX for row in rows)
    sheet = Image.new("RGB", (max(row.width for row in rows), height), "white")
    ImageDraw.Draw(sheet).text((8, 6), HEADING, fill="black", font=_font(20))
    top = HEADING_PX
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + GAP_PX
    sheet.save(path, quality=90)


def _draw_row(paths: list[Path]) -> Image.Image:
    """Pictures of one photograph side by side; black where a file is missing (nothing found, so no mask)."""
    with Image.open(paths[0]) as first:
        width = round(first.width * ROW_HEIGHT_PX / first.height)
    row = Image.new("RGB", (len(paths) * (width + GAP_PX) - GAP_PX, ROW_HEIGHT_PX), "white")
    for number, path in enumerate(paths):
        shown = Image.new("RGB", (width, ROW_HEIGHT_PX))
        if path.exists():
            with Image.open(path) as opened:
                shown = opened.convert("RGB").resize(shown.size, Image.Resampling.LANCZOS)
        row.paste(shown, (number * (width + GAP_PX), 0))
    return row


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        sys.exit(
            "this Pillow cannot draw lettering (it was built without FreeType); install Pillow's own wheel"
        )
    return font


def _short(path: Path) -> Path:
    """The path as a person at the repository's root would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


if __name__ == "__main__":
    sys.exit(main())
