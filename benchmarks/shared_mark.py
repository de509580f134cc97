"""How well a mark comes off that a folder shares: PSNR inside the mark, by photographs and opacity.

    python benchmarks/shared_mark.py PHOTOS [--counts 8 24 200] [--scale 1] [--fonts DIR] [--logos DIR]

Cuts crops of 300 x 200 from photographs (several from each where there are fewer than crops), puts the same
logo and line of text on all, compresses them as JPEG 92, and estimates the mark from them. With `--scale 4`
crops and mark are four times as long, from photographs that are large enough. Prints decibels, opacity 0.4 /
0.6 / 0.8; "true mark" is what inverting the mark that was drawn gives.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.marks import Assets, draw, find_assets
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.metrics import masked_psnr
from cleanplate.remove.inpaint import dilate, fill_with_telea
from cleanplate.remove.shared import estimate_shared_mark
from cleanplate.structures import FloatArray, Mark

#: Of a crop, (height, width), at scale 1.
CROP = (200, 300)
OPACITIES = (0.4, 0.6, 0.8)
QUALITY = 92
#: Pictures are scored on so many photographs of a folder.
MOST_SCORED = 24
INSIDE = 0.02


def main() -> None:
    """Parse, draw, estimate, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[8, 24, 200])
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--logos", type=Path)
    parser.add_argument("--scale", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    size = (arguments.scale * CROP[0], arguments.scale * CROP[1])
    assets = find_assets(arguments.fonts, arguments.logos, None)
    photos = read_photos(arguments.photos, size)
    print(f"{len(photos)} photographs; PSNR inside the mark in dB, opacity {' / '.join(map(str, OPACITIES))}")
    print("| photographs | input | Telea, true mask | regression | + likelihood | true mark | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for count in arguments.counts:
        columns = [measure(photos, assets, count, opacity, size, arguments.seed) for opacity in OPACITIES]
        cells = [" / ".join(f"{value:.1f}" for value in row) for row in zip(*columns, strict=True)]
        print(f"| {count} | {' | '.join(cells)} |", flush=True)


def measure(
    photos: list[NDArray[np.uint8]],
    assets: Assets,
    count: int,
    opacity: float,
    size: tuple[int, int],
    seed: int,
) -> list[float]:
    """The figures of one cell of every column, and the seconds that the estimate took. size: of the crops."""
    rng = np.random.default_rng(seed)
    mark = draw_mark(assets, rng, opacity, size)
    clean = [cut(photos[place % len(photos)], size, rng) for place in range(count)]
    marked = [apply(mark, crop) for crop in clean]
    mask = dilate(mark.alpha > INSIDE, 2)
    regression = estimate_shared_mark(marked, mask, refine=False)
    began = time.perf_counter()
    refined = estimate_shared_mark(marked, mask, halved=(True, True))
    seconds = time.perf_counter() - began
    filled = [to_u8(fill_with_telea(crop / np.float32(255), dilate(mark.alpha > INSIDE, 1)))
              for crop in marked[:MOST_SCORED]]  # fmt: skip
    results = [marked, filled, *([invert(m, crop) for crop in marked] for m in (regression, refined, mark))]
    inside = mark.alpha > INSIDE
    return [*(score(result, clean, inside) for result in results), seconds]


def draw_mark(assets: Assets, rng: np.random.Generator, opacity: float, size: tuple[int, int]) -> Mark:
    """A logo over a line of text in the middle of a crop of this (height, width)."""
    (height, width), by = size, size[0] // CROP[0]
    logo = draw.shape_from_logo(assets.choose_logo(rng), 80 * by)
    text = draw.draw_text("Anna Berg Studio", assets.choose_font(rng, "latin", 26 * by), draw.TextStyle())
    shape = draw.stack(logo, text, 6 * by)
    most = (height - 20 * by, width - 20 * by)
    if shape.shape[0] > most[0] or shape.shape[1] > most[1]:
        scale = min(most[0] / shape.shape[0], most[1] / shape.shape[1])
        smaller = (int(shape.shape[1] * scale), int(shape.shape[0] * scale))
        shape = np.asarray(cv2.resize(shape, smaller, interpolation=cv2.INTER_AREA), np.float32)
    placed = np.zeros((height, width, 4), np.float32)
    top, left = (height - shape.shape[0]) // 2, (width - shape.shape[1]) // 2
    placed[top : top + shape.shape[0], left : left + shape.shape[1]] = shape
    return draw.finish(placed, opacity, "logo")


def apply(mark: Mark, crop_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The crop under the mark, as its JPEG file holds it."""
    alpha = mark.alpha[..., None]
    marked = crop_u8 / np.float32(255) * (1 - alpha) + alpha * mark.rgb
    return decode_jpeg(encode_jpeg(to_u8(marked), QUALITY))


def invert(mark: Mark, crop_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The plain inverse, without any clean-up."""
    kept = np.maximum(1 - mark.alpha, 0.02)[..., None]
    return to_u8((crop_u8 / np.float32(255) - mark.alpha[..., None] * mark.rgb) / kept)


def score(
    results: list[NDArray[np.uint8]], clean: list[NDArray[np.uint8]], inside: NDArray[np.bool_]
) -> float:
    """Mean PSNR inside the mark, of the first MOST_SCORED photographs."""
    pairs = list(zip(results, clean, strict=False))[:MOST_SCORED]
    return float(np.mean([masked_psnr(result, truth, inside) for result, truth in pairs]))


def to_u8(rgb: FloatArray) -> NDArray[np.uint8]:
    """A picture in [0, 1] in 256 levels."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def cut(photo: NDArray[np.uint8], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A crop of this (height, width) at a random place."""
    top = int(rng.integers(photo.shape[0] - size[0] + 1))
    left = int(rng.integers(photo.shape[1] - size[1] + 1))
    return np.ascontiguousarray(photo[top : top + size[0], left : left + size[1]])


def read_photos(folder: Path, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """The photographs of a folder that have this (height, width) or more, in name order."""
    pictures = [cv2.imread(str(path)) for path in sorted(folder.iterdir())]
    return [
        np.ascontiguousarray(picture[..., ::-1])
        for picture in pictures
        if picture is not None and picture.shape[0] >= size[0] and picture.shape[1] >= size[1]
    ]


if __name__ == "__main__":
    main()
