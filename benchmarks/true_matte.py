"""How well marks come off when their shape is known: PSNR inside the mark by opacity, as in DESIGN section 1.

    python benchmarks/true_matte.py PHOTOS [--fonts DIR] [--logos DIR] [--count 48] [--save DIR]

Draws marks on photographs, compresses them as JPEG 92, and takes them off with the true matte and with spoilt
ones, since a network's is never exact. Opacity and colours are always estimated. Prints decibels; "input" and
"fill" are what must be beaten.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cleanplate.marks import Assets, MarkedPhoto, find_assets, sample_marked
from cleanplate.metrics import masked_psnr
from cleanplate.remove.inpaint import dilate, fill_with_membrane, fill_with_telea
from cleanplate.remove.separate import separate
from cleanplate.structures import FloatArray

#: Least and largest opacity of each band, and its heading.
BANDS = ((0.15, 0.35, "under .35"), (0.35, 0.6, ".35-.6"), (0.6, 0.86, ".6-.86"), (1.0, 1.0, "opaque"))
LEAST_EDGE_PX = 480
MOST_EDGE_PX = 1600
MARGIN_PX = 48
#: PSNR is cut off here, so that one perfect photograph does not carry a mean.
MOST_DECIBELS = 60.0

Spoil = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Sample:
    """The part of a marked photograph round its marks; opacity: alpha where the matte would be 1."""

    marked: FloatArray
    clean: FloatArray
    matte: FloatArray
    opacity: FloatArray
    band: int


def main() -> None:
    """Parse, draw, measure, print."""
    arguments = _parse()
    assets = find_assets(arguments.fonts, arguments.logos, arguments.cache)
    samples = draw_samples(arguments.photos, assets, arguments.count)
    print(
        f"{len(samples)} photographs, PSNR inside the mark in dB".ljust(44),
        *(name for *_, name in BANDS),
        sep="  ",
    )
    _print_row("input", samples, [sample.marked for sample in samples])
    for name, spoil in SPOILT.items():
        mattes = [spoil(sample.matte) for sample in samples]
        if name == "true matte":
            _print_row(
                "Telea under it",
                samples,
                [_fill(s, m, telea=True) for s, m in zip(samples, mattes, strict=True)],
            )
        _print_row(f"{name}: fill", samples, [_fill(s, m) for s, m in zip(samples, mattes, strict=True)])
        results = [separate(s.marked, m).photograph for s, m in zip(samples, mattes, strict=True)]
        _print_row(f"{name}: separated", samples, results)
        _save(arguments.save, name, samples, results)
    rng = np.random.default_rng(1)
    hints = [np.clip(s.opacity + rng.normal(0, 0.1), 0.05, 1).astype(np.float32) for s in samples]
    results = [separate(s.marked, s.matte, h).photograph for s, h in zip(samples, hints, strict=True)]
    _print_row("true matte, opacity known to 0.1: separated", samples, results)


def draw_samples(folder: Path, assets: Assets, count: int) -> list[Sample]:
    """Marked photographs, the bands in turn; the same ones each time."""
    rng = np.random.default_rng(8)
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    samples: list[Sample] = []
    for path in (paths[i] for i in rng.permutation(len(paths))):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None or max(picture.shape[:2]) < LEAST_EDGE_PX:
            continue
        scale = min(1.0, MOST_EDGE_PX / max(picture.shape[:2]))
        clean = cv2.resize(picture[..., ::-1], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        band = len(samples) % len(BANDS)
        low, high, _ = BANDS[band]
        kinds = ["text", "logo", "both", "stamp"] + (["tiled"] if band < 2 else [])
        marked = sample_marked(
            np.ascontiguousarray(clean, np.uint8),
            rng,
            assets,
            kind=str(rng.choice(kinds)),
            opacity=float(rng.uniform(low, high)),
            jpeg_quality=92,
        )
        if np.count_nonzero(marked.matte > 0.02) > 50:
            samples.append(_cut(marked, band))
        if len(samples) == count:
            break
    return samples


def _cut(marked: MarkedPhoto, band: int) -> Sample:
    rows, columns = np.nonzero(marked.matte > 0.02)
    part = (
        slice(max(0, rows.min() - MARGIN_PX), rows.max() + MARGIN_PX),
        slice(max(0, columns.min() - MARGIN_PX), columns.max() + MARGIN_PX),
    )
    matte = marked.matte[part].astype(np.float32)
    opacity = np.where(matte > 0.02, marked.alpha[part] / np.maximum(matte, 0.02), 0)
    return Sample(
        marked=(marked.marked[part] / np.float32(255)).astype(np.float32),
        clean=(marked.clean[part] / np.float32(255)).astype(np.float32),
        matte=matte,
        opacity=opacity.astype(np.float32),
        band=band,
    )


def _cut_and_blur(matte: FloatArray) -> FloatArray:
    return np.asarray(cv2.GaussianBlur((matte > 0.5).astype(np.float32), (0, 0), 0.8), np.float32)


def _dilate(matte: FloatArray) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(cv2.dilate(matte, np.ones((3, 3), np.uint8)), (0, 0), 0.5), np.float32)


def _erode(matte: FloatArray) -> FloatArray:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(cv2.GaussianBlur(cv2.erode(matte, cross), (0, 0), 0.5), np.float32)


def _shift(matte: FloatArray) -> FloatArray:
    half_pixel = np.array([[1, 0, 0.5], [0, 1, 0.5]], np.float32)
    return np.asarray(cv2.warpAffine(matte, half_pixel, matte.shape[::-1]), np.float32)


def _add_noise(matte: FloatArray) -> FloatArray:
    rng = np.random.default_rng(0)
    fine = cv2.GaussianBlur(rng.normal(size=matte.shape).astype(np.float32), (0, 0), 2) * 7
    coarse = cv2.GaussianBlur(rng.normal(size=matte.shape).astype(np.float32), (0, 0), 8) * 25
    soft = cv2.GaussianBlur(matte, (0, 0), 0.6)
    return np.clip(soft * (1 - 0.12 * np.abs(fine) - 0.08 * np.abs(coarse)), 0, 1).astype(np.float32)


SPOILT: dict[str, Spoil] = {
    "true matte": lambda matte: matte,
    "cut at half, blurred 0.8 px": _cut_and_blur,
    "dilated": _dilate,
    "eroded": _erode,
    "shifted by half a pixel": _shift,
    "noisy": _add_noise,
}


def _fill(sample: Sample, matte: FloatArray, *, telea: bool = False) -> FloatArray:
    mask = dilate(matte > 0.02, 1)
    return fill_with_telea(sample.marked, mask) if telea else fill_with_membrane(sample.marked, mask)


def _print_row(name: str, samples: list[Sample], results: list[FloatArray]) -> None:
    scores = [
        min(MOST_DECIBELS, masked_psnr(result, sample.clean, sample.matte > 0.05))
        for sample, result in zip(samples, results, strict=True)
    ]
    means = [
        np.mean([s for s, x in zip(scores, samples, strict=True) if x.band == b]) for b in range(len(BANDS))
    ]
    print(
        name.ljust(44),
        *(f"{mean:6.1f}".rjust(len(band[2])) for mean, band in zip(means, BANDS, strict=True)),
        sep="  ",
        flush=True,
    )


def _save(folder: Path | None, name: str, samples: list[Sample], results: list[FloatArray]) -> None:
    """Input, result and truth side by side, one PNG a sample."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for number, (sample, result) in enumerate(zip(samples, results, strict=True)):
        row = np.hstack([sample.marked, result, sample.clean])
        cv2.imwrite(
            str(folder / f"{number:03}-{name.split(':')[0].replace(' ', '-')}.png"),
            np.rint(row[..., ::-1] * 255).astype(np.uint8),
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, help="a folder of photographs without marks")
    parser.add_argument("--fonts", type=Path, help="a folder of fonts; without it, Pillow's own")
    parser.add_argument("--logos", type=Path, help="a folder of logos; without it, made-up emblems")
    parser.add_argument("--cache", type=Path, help="a folder that keeps rasterised SVG logos")
    parser.add_argument("--count", type=int, default=48, help="how many photographs (default 48)")
    parser.add_argument("--save", type=Path, help="a folder for pictures of input, result and truth")
    return parser.parse_args()


if __name__ == "__main__":
    main()
