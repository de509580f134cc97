"""How long a mark that a folder shares takes, working it out and taking it off, and what it gives.

    python benchmarks/shared_mark_times.py PHOTOS [--edges 480 1500 4000] [--count 24] [--mark-scale 1]

Photographs of one size, their longer edge EDGE (those of PHOTOS cut to 3:2 and scaled), all with the same
logo over a line of text at opacity 0.45, scaled with them (and by `--mark-scale`), as JPEG 92. "Off" is
looking for the mark on a photograph and inverting it, alone; "rest" is all that `repair` does after it has
worked it out: reading, taking off, writing; "dB" the mean PSNR inside the mark, of the input and the result.
Limits: 30 s for 24 photographs, 0.3 s a megapixel. Run it when nothing else runs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.engine.run import repair_folder
from cleanplate.engine.sharedmark import MARK_FILE
from cleanplate.evaluate.folders import INSIDE, draw_shared_mark
from cleanplate.evaluate.make import find_photos
from cleanplate.evaluate.triples import read_picture
from cleanplate.images.read import read
from cleanplate.marks import Assets, find_assets
from cleanplate.marks.files import read_mark
from cleanplate.marks.place import place_mark, scale_mark
from cleanplate.marks.sample import encode_jpeg
from cleanplate.metrics import masked_psnr
from cleanplate.models.request import plainly
from cleanplate.pipeline.known import KnownMarks
from cleanplate.settings import RepairSettings
from cleanplate.structures import BoolArray, Box, Mark, Placement

#: The longer edge for which the mark is drawn.
DRAWN_FOR_PX = 480
OPACITY, QUALITY = 0.45, 92
SURVEY_LIMIT_S, MEGAPIXEL_LIMIT_S = 30.0, 0.3
MOST_MEGAPIXELS = 200.0


def main() -> None:
    """Parse, draw, repair, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--edges", type=int, nargs="+", default=[480, 1500, 4000], help="pixels")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--mark-scale", type=float, default=1.0)
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--logos", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sources = find_photos(arguments.photos)
    assets = find_assets(arguments.fonts, arguments.logos, None)
    print(
        "| edge | photographs | MP | worked out, s | of the limit | off, s/MP | of the limit | rest, s/MP "
        "| dB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for edge_px in arguments.edges:
        with tempfile.TemporaryDirectory(prefix="cleanplate-") as place:
            folder = Path(place) / "in"
            by = arguments.mark_scale * edge_px / DRAWN_FOR_PX
            drawn = draw_marked(sources, assets, folder, edge_px, by, arguments.count, arguments.seed)
            print(measure(folder, Path(place) / "out", drawn), flush=True)


@dataclass(frozen=True, eq=False)
class Drawn:
    """What lies under the mark: its box, where it is marked there, and the clean pixels by file name."""

    box: Box
    inside: BoolArray
    clean: dict[str, NDArray[np.uint8]]

    def measure(self, folder: Path) -> float:
        """Mean PSNR inside the mark of the pictures in a folder."""
        pictures = (
            (read_picture(folder / name)[self.box.slices], clean) for name, clean in self.clean.items()
        )
        return float(np.mean([masked_psnr(picture, clean, self.inside) for picture, clean in pictures]))


def measure(folder: Path, output: Path, drawn: Drawn) -> str:
    """Repair a folder, then take the mark off its photographs once more, alone; a row of the table."""
    summary = repair_folder(folder, output, RepairSettings())
    photos = [read(path, max_megapixels=MOST_MEGAPIXELS) for path in sorted(folder.iterdir())]
    megapixels = sum(photo.width * photo.height for photo in photos) / 1e6
    edge_px = max(photos[0].width, photos[0].height)
    survey = float(summary.seconds_by_stage.get("survey", 0.0))
    kept = output / ".cleanplate" / MARK_FILE
    worked_out = f"{survey:.1f} | {survey / SURVEY_LIMIT_S:.2f}"
    quality = f"{drawn.measure(folder):.1f} > {drawn.measure(output):.1f}"
    if not kept.exists():
        return f"| {edge_px} | {len(photos)} | {megapixels:.1f} | {worked_out} | none found | | | {quality} |"
    known = KnownMarks((read_mark(kept),))
    began = time.perf_counter()
    taken = sum(known.take_off([photo], plainly)[0] is not None for photo in photos)
    off = (time.perf_counter() - began) / megapixels
    rest = (summary.wall_seconds - survey) / megapixels
    return (
        f"| {edge_px} | {taken} of {len(photos)} | {megapixels:.1f} | {worked_out} | {off:.2f} | "
        f"{off / MEGAPIXEL_LIMIT_S:.2f} | {rest:.2f} | {quality} |"
    )


def draw_marked(
    sources: list[Path], assets: Assets, folder: Path, edge_px: int, scale: float, count: int, seed: int
) -> Drawn:
    """Write `count` photographs of one size that share a mark, scaled, in their lower right corner."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    mark = scale_mark(draw_shared_mark("both", OPACITY, rng, assets), scale)
    size = (edge_px, round(edge_px * 2 / 3))
    margin = round(12 * scale)
    place = Placement(size[0] - mark.alpha.shape[1] - margin, size[1] - mark.alpha.shape[0] - margin)
    placed = place_mark(mark, place, size[1], size[0])
    if placed is None:
        raise ValueError(f"the mark, {mark.alpha.shape}, does not lie on photographs of {size}")
    shape, box = placed
    clean = {}
    for index, at in enumerate(rng.permutation(len(sources))[:count]):
        photo, name = cut(read_picture(sources[at]), size), f"{index:04d}.jpg"
        clean[name] = photo[box.slices].copy()
        photo[box.slices] = put(shape, clean[name])
        (folder / name).write_bytes(encode_jpeg(photo, QUALITY))
    return Drawn(box, shape.alpha > INSIDE, clean)


def cut(photo_u8: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The middle of a photograph in the proportions of (width, height), at that size."""
    height, width = photo_u8.shape[:2]
    by = min(width / size[0], height / size[1])
    wide, high = int(by * size[0]), int(by * size[1])
    left, top = (width - wide) // 2, (height - high) // 2
    middle = np.ascontiguousarray(photo_u8[top : top + high, left : left + wide])
    return np.asarray(cv2.resize(middle, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def put(mark: Mark, photo_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photograph of the mark's size under it."""
    alpha = mark.alpha[..., None]
    return np.rint(np.clip(photo_u8 * (1 - alpha) + 255 * alpha * mark.rgb, 0, 255)).astype(np.uint8)


if __name__ == "__main__":
    main()
