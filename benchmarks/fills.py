"""Ways to fill opaque marks beside each other: how near they come to the photograph behind, how they look.

    python benchmarks/fills.py PHOTOS [--fonts DIR] [--logos DIR] [--split validation] [--count 48]

Draws opaque marks on photographs, compresses them as JPEG 92, and fills under the true mask grown by two
pixels. Printed are the PSNR inside the mark and the mean SSIM there, the fill's texture (its gradients'
energy over that of the photograph behind: 1 is as rough), and seconds; apart for marks with thin and with
thick parts. PSNR prefers what is smooth, for grain that is not the same grain is twice as wrong as none; a
person does not. `--sheet FILE.png` puts marked photograph, fills and the truth side by side.

`--tone` asks what `remove/seam.match_tone` changes instead: the same fills, the embedded restorer's, and the
truth's own texture mirrored, in the true tone and in one that is off, each as it is and with its tone moved.
`--grow 0` gives masks that leave the mark's soft edge outside.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from cleanplate.evaluate.split import choose_split
from cleanplate.marks import Assets, find_assets, sample_marked
from cleanplate.metrics import map_ssim, masked_psnr
from cleanplate.models.nets.restorer import Restorer
from cleanplate.models.weights import load_networks
from cleanplate.remove.inpaint import dilate, fill_with_membrane, fill_with_telea
from cleanplate.remove.patchmatch import fill_with_patches
from cleanplate.remove.seam import match_tone
from cleanplate.structures import BoolArray, FloatArray

LEAST_EDGE_PX, MOST_EDGE_PX = 480, 1600
MARGIN_PX = 128
#: A mark is thick where one of its pixels is farther than this from what is known.
THICK_PX = 8.0
SHEET_EDGE_PX = 400

FILLS: dict[str, Callable[[FloatArray, BoolArray], FloatArray]] = {
    "Telea": fill_with_telea,
    "membrane": fill_with_membrane,
    "patches": fill_with_patches,
}


def main() -> None:
    """Parse, draw, fill, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--logos", type=Path)
    parser.add_argument("--split", choices=("validation", "test"), help="only these of the project's own")
    parser.add_argument("--count", type=int, default=48, help="photographs (default: 48)")
    parser.add_argument("--grow", type=int, default=2, help="pixels round the true mask (default: 2)")
    parser.add_argument("--tone", action="store_true", help="what moving the tone changes")
    parser.add_argument("--sheet", type=Path, help="write pictures side by side to this PNG file")
    arguments = parser.parse_args()
    assets = find_assets(arguments.fonts, arguments.logos, None)
    samples = draw_samples(arguments.photos, arguments.split, assets, arguments.count, arguments.grow)
    if arguments.tone:
        compare_tones(samples)
        return
    figures: dict[tuple[str, bool], list[list[float]]] = {}
    rows = []
    for marked, clean, mask in samples:
        thick = float(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5).max()) > THICK_PX
        row = [marked]
        for name, fill in FILLS.items():
            began = time.perf_counter()
            filled = fill(marked, mask)
            seconds = time.perf_counter() - began
            figures.setdefault((name, thick), []).append([*rate(filled, clean, mask), seconds])
            row.append(filled)
        rows.append([*row, clean])
    print("| marks | fill | PSNR, dB | SSIM | texture | seconds |\n| --- | --- | --- | --- | --- | --- |")
    for thick in (False, True):
        for name in FILLS:
            found = figures.get((name, thick), [])
            if found:
                psnr, ssim, texture, seconds = np.mean(found, axis=0)
                print(f"| {'thick' if thick else 'thin'} ({len(found)}) | {name} | {psnr:.2f} | {ssim:.3f} | "
                      f"{texture:.2f} | {seconds:.2f} |")  # fmt: skip
    if arguments.sheet:
        write_sheet(arguments.sheet, rows)


def compare_tones(samples: list[tuple[FloatArray, FloatArray, BoolArray]]) -> None:
    """A table of PSNR inside the mark, as filled and with the tone moved."""
    restorer = load_networks().restorer
    offsets = np.random.default_rng(0).normal(0, 0.02, (len(samples), 3)).astype(np.float32)
    offset = iter(offsets)
    fills: dict[str, Callable[[FloatArray, FloatArray, BoolArray], FloatArray]] = {
        **{name: lambda marked, _, mask, fill=fill: fill(marked, mask) for name, fill in FILLS.items()},
        "embedded": lambda marked, _, mask: fill_with_restorer(restorer, marked, mask),
        "mirrored texture": lambda _, clean, __: mirror_texture(clean),
        "the same, tone off by 0.02": lambda _, clean, __: mirror_texture(clean) + next(offset),
    }
    print("| fill | PSNR, dB | tone moved | better by 0.05 dB | worse |\n| --- | --- | --- | --- | --- |")
    for name, fill in fills.items():
        before, after = [], []
        for marked, clean, mask in samples:
            filled = np.where(mask[..., None], np.clip(fill(marked, clean, mask), 0, 1), marked)
            moved = match_tone(marked, filled.astype(np.float32), mask)
            before.append(min(60.0, masked_psnr(filled, clean, mask)))
            after.append(min(60.0, masked_psnr(moved, clean, mask)))
        gain = np.array(after) - np.array(before)
        print(f"| {name} | {np.mean(before):.2f} | {gain.mean():+.2f} | {(gain > 0.05).mean():.0%} | "
              f"{(gain < -0.05).mean():.0%} |", flush=True)  # fmt: skip


def fill_with_restorer(restorer: Restorer, marked: FloatArray, mask: BoolArray) -> FloatArray:
    """The photograph that the embedded network sees behind the mark."""
    height, width = mask.shape
    layers = np.dstack([marked, mask.astype(np.float32)])
    padding = ((0, -height % restorer.stride), (0, -width % restorer.stride), (0, 0))
    batch = torch.from_numpy(np.pad(layers, padding, mode="symmetric").transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        background = restorer(batch.contiguous(memory_format=torch.channels_last))["background"]
    return background[0].float().numpy().transpose(1, 2, 0)[:height, :width]


def mirror_texture(clean: FloatArray) -> FloatArray:
    """The truth below eight pixels, and its texture from the other side: a good network's fill, pretended."""
    return cv2.GaussianBlur(clean, (0, 0), 8) + (clean - cv2.GaussianBlur(clean, (0, 0), 4))[:, ::-1]


def draw_samples(
    folder: Path, split: str | None, assets: Assets, count: int, grow_px: int = 2
) -> list[tuple[FloatArray, FloatArray, BoolArray]]:
    """(marked, clean, mask) of the part round an opaque mark; the same ones each time."""
    rng = np.random.default_rng(6)
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in {".jpg", ".jpeg", ".png"}]
    paths = list(choose_split(paths, split))
    samples: list[tuple[FloatArray, FloatArray, BoolArray]] = []
    for path in (paths[i] for i in rng.permutation(len(paths))):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None or max(picture.shape[:2]) < LEAST_EDGE_PX:
            continue
        scale = min(1.0, MOST_EDGE_PX / max(picture.shape[:2]))
        clean = cv2.resize(picture[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        drawn = sample_marked(
            np.ascontiguousarray(clean, np.uint8),
            rng,
            assets,
            kind=str(rng.choice(["text", "logo", "both", "stamp"])),
            opacity=1.0,
            jpeg_quality=92,
        )
        mask = drawn.matte > 0.02
        if np.count_nonzero(mask) > 50:
            samples.append(cut(drawn.marked, drawn.clean, dilate(mask, grow_px)))
        if len(samples) == count:
            break
    return samples


def cut(marked: np.ndarray, clean: np.ndarray, mask: BoolArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """The part round the mask, as floats."""
    rows, columns = np.nonzero(mask)
    part = (
        slice(max(0, rows.min() - MARGIN_PX), rows.max() + MARGIN_PX),
        slice(max(0, columns.min() - MARGIN_PX), columns.max() + MARGIN_PX),
    )
    return (
        (marked[part] / np.float32(255)).astype(np.float32),
        (clean[part] / np.float32(255)).astype(np.float32),
        mask[part],
    )


def rate(filled: FloatArray, clean: FloatArray, mask: BoolArray) -> tuple[float, float, float]:
    """(PSNR in the mask, mean SSIM there, energy of the gradients there over the clean photograph's)."""
    energies = [measure_energy(picture, mask) for picture in (filled, clean)]
    similarity = map_ssim(filled, clean, 1.0)
    margin = (mask.shape[0] - similarity.shape[0]) // 2
    inside = mask[margin : mask.shape[0] - margin, margin : mask.shape[1] - margin] if margin else mask
    return (
        min(60.0, masked_psnr(filled, clean, mask)),
        float(similarity[inside].mean()),
        float(np.sqrt(energies[0] / max(energies[1], 1e-9))),
    )


def measure_energy(picture: FloatArray, mask: BoolArray) -> float:
    """Mean squared gradient under the mask."""
    across, down = (cv2.Sobel(picture, cv2.CV_32F, *step) for step in ((1, 0), (0, 1)))
    return float((across**2 + down**2)[mask].mean())


def write_sheet(path: Path, rows: list[list[FloatArray]]) -> None:
    """A row of pictures a photograph."""
    lines = []
    for row in rows:
        scale = SHEET_EDGE_PX / max(row[0].shape[:2])
        small = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for p in row]
        tall = [cv2.copyMakeBorder(p, 2, 2, 2, SHEET_EDGE_PX + 4 - p.shape[1], 0) for p in small]
        lines.append(np.hstack(tall))
    cv2.imwrite(str(path), np.rint(np.clip(np.vstack(lines)[..., ::-1], 0, 1) * 255).astype(np.uint8))


if __name__ == "__main__":
    main()
