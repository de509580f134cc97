"""The report's previews of photographs of many megapixels: processor time and memory of each.

    python benchmarks/previews.py               # 12, 48 and 100 megapixels
    python benchmarks/previews.py 24            # other sizes

A photograph and its result are drawn, and all that the report needs of them is made, in a process of its
own, on one thread: two small pictures; of a TIFF also two large ones and its mark at full resolution; without
its mask kept, the mask too, for which both files are decoded whole and compared. Memory is the process's peak
over what it had before; of the limit: the part of `MEMORY_BYTES`, which photographs made together share.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cleanplate.engine.workspace import Workspace
from cleanplate.report import Previews, ReportPhoto
from cleanplate.report.previews import MEMORY_BYTES
from cleanplate.structures import Box, Method, Outcome, Region, Verdict

SIZES = (12, 48, 100)
KINDS = {
    "JPEG, mask kept": ("jpg", True),
    "JPEG": ("jpg", False),
    "TIFF, mask kept": ("tif", True),
    "TIFF": ("tif", False),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", type=float, nargs="*", default=SIZES, help="megapixels")
    sizes = parser.parse_args().sizes
    context = multiprocessing.get_context("spawn")
    print("file | megapixels | processor seconds | peak, MB | bytes a pixel | of the limit")
    with tempfile.TemporaryDirectory() as folder, context.Pool(1, maxtasksperchild=1) as pool:
        for megapixels in sizes:
            for kind, (suffix, kept) in KINDS.items():
                photo = pool.apply(draw, (Path(folder), megapixels, suffix, kept))
                seconds, peak = pool.apply(make, (Path(folder) / "out", photo))
                pixels = photo.outcome.width * photo.outcome.height
                print(
                    f"{kind} | {pixels / 1e6:.0f} | {seconds:.2f} | {peak / 1e6:.0f} | {peak / pixels:.1f} | "
                    f"{peak / MEMORY_BYTES:.2f}",
                    flush=True,
                )


def draw(folder: Path, megapixels: float, suffix: str, kept: bool) -> ReportPhoto:
    """A photograph with a mark in a corner, its result, and its mask where that is kept."""
    output = folder / "out"
    output.mkdir(exist_ok=True)
    width, height = round((megapixels * 1.5e6) ** 0.5), round((megapixels * 1e6 / 1.5) ** 0.5)
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8))
    picture = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
    box = Box(width * 3 // 4, height * 7 // 8, width * 15 // 16, height * 15 // 16)
    name = f"{megapixels}-{kept}.{suffix}"
    Image.fromarray(picture).save(output / name, quality=90)
    picture[box.slices] = picture[box.slices] // 2 + 127
    Image.fromarray(picture).save(folder / name, quality=90)
    if kept:
        mask = Workspace(output).mask(name)
        mask.parent.mkdir(parents=True, exist_ok=True)
        mask.touch()
    outcome = Outcome(
        source=folder / name,
        relative=name,
        verdict=Verdict.REPAIRED,
        output=name,
        share=box.area / (width * height),
        width=width,
        height=height,
        regions=(Region(box, Method.UNBLENDED, 0.5, 0.9),),
        input_sha256=f"in {name}",
    )
    return ReportPhoto(outcome=outcome, output_sha256=f"out {name}")


def make(output: Path, photo: ReportPhoto) -> tuple[float, int]:
    """Seconds of a processor, and bytes of memory over what the process had before."""
    previews = Previews(output)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()  # waiting for a busy machine does not count
    previews.make_all([photo])
    seconds = time.process_time() - began
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


if __name__ == "__main__":
    main()
