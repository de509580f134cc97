"""The papers' recipes for marked pictures, rebuilt: CLWD's and LOGO-H's, at 256 x 256.

The recipes are theirs; the photographs and the logos are those that the user gives, so figures on them may
be set beside the papers' but are not on their sets.

Sources:
- CLWD: Liu, Zhu and Bai, WDNet (WACV 2021); `generate_dataset.py` of its code (MRUIL/WDNet). The photograph
  is stretched to 256 x 256; a logo is turned by 0 to 360 degrees (nearest pixels, canvas grown), its width
  and height are drawn apart from 10 to 256, it lies fully inside, its opacity is 0.3 to 0.7; the mask is
  where the channels' differences sum to more than 15/255, before both pictures are stored as JPEG at
  Pillow's own quality, 75.
- LOGO-H: Cun and Pun, Split then Refine (AAAI 2021), as DENet (lianchengmingjue/DENet) and later work use it:
  heavy marks, opacity 0.6 to 0.85, square logos of 0.4 to 0.8 of the short side; stored as PNG, compared at
  256 x 256. Its masks are the logos' own; here they are cut at half the logo's coverage, as the papers' F1
  does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.evaluate.triples import TripleFiles, all_or_none, find_mask, read_picture, write_triple
from cleanplate.marks import Assets, MarkedPhoto
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.structures import BoolArray, FloatArray

EDGE_PX = 256
#: CLWD's mask: the channels' differences sum to more than this.
CLWD_VISIBLE = 15 / 255
JPEG_QUALITY = 75
#: A logo whose colours differ by less than this among their channels is given a colour: CLWD's are colour
#: logos.
LEAST_COLOUR = 0.15


@dataclass(frozen=True, eq=False)
class ProtocolSample:
    """A drawn picture and its binary mask, (256, 256) bool."""

    photo: MarkedPhoto
    mask: BoolArray


@dataclass(frozen=True)
class Protocol:
    """One paper's recipe and what was published on it.

    draw: (photograph (H, W, 3) uint8, generator, assets, lossless) -> sample. published: whose figures they
    are, and the figures by name (those of `protocol_score.FIGURES`).
    """

    name: str
    draw: Callable[[NDArray[np.uint8], np.random.Generator, Assets, bool], ProtocolSample]
    published_by: str
    published: dict[str, float]


def find_protocol(name: str) -> Protocol:
    """A protocol by its name. Raises InvalidSettingError where there is none."""
    if name not in PROTOCOLS:
        raise InvalidSettingError("protocol", name, " or ".join(PROTOCOLS))
    return PROTOCOLS[name]


def make_protocol_triples(
    protocol: Protocol,
    photos: Sequence[Path],
    assets: Assets,
    output: Path,
    *,
    count: int | None = None,
    seed: int = 0,
    lossless: bool = False,
    report: Callable[[TripleFiles], None] | None = None,
) -> list[TripleFiles]:
    """Draw pictures by a protocol, as triples with a mask (NAME.mask.png) each; none is clean.

    count: how many, None: one a photograph. seed: decides everything drawn. lossless: no JPEG, for CLWD.
    Raises UsageError where the output folder has triples already, InvalidSettingError for a bad count or
    seed.
    """
    if count is not None and count < 1:
        raise InvalidSettingError("count", count, "a whole number from 1")
    if seed < 0:
        raise InvalidSettingError("seed", seed, "a whole number from 0")
    if output.is_dir() and any(output.glob("*.marked.*")):
        raise UsageError(f"{output}: has triples already; give another folder, or delete them")
    output.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(photos))
    made: list[TripleFiles] = []
    with all_or_none(made):
        for index in range(count or len(photos)):
            photo = photos[int(order[index % len(photos)])]
            rng = np.random.default_rng((seed, index))
            sample = protocol.draw(read_picture(photo), rng, assets, lossless)
            files = write_triple(output, f"{index:04d}-{photo.stem}", sample.photo)
            Image.fromarray(sample.mask.astype(np.uint8) * 255).save(find_mask(files))
            if report is not None:
                report(files)
            made.append(files)
    note = {"protocol": protocol.name, "seed": seed, "lossless": lossless, "pictures": len(made)}
    (output / "protocol.json").write_text(json.dumps(note) + "\n", encoding="utf-8")
    return made


def read_mask(files: TripleFiles, shape: tuple[int, int]) -> BoolArray:
    """(H, W) bool. Raises UsageError where there is no mask, or it has another size."""
    path = find_mask(files)
    try:
        with Image.open(path) as picture:
            mask = np.asarray(picture.convert("L")) > 127
    except OSError as exc:
        raise UsageError(
            f"{path}: cannot be read ({exc}); draw the set with 'cleanplate evaluate make --protocol'"
        ) from exc
    if mask.shape != shape:
        raise UsageError(f"{path}: has another size than its picture; give files of one size")
    return mask


def draw_clwd(
    photo: NDArray[np.uint8], rng: np.random.Generator, assets: Assets, lossless: bool = False
) -> ProtocolSample:
    """One picture as CLWD draws them; see the module."""
    clean = stretch(photo)
    logo = _to_pillow(give_colour(assets.choose_logo(rng), rng))
    turned = logo.rotate(int(rng.integers(0, 361)), expand=True)
    width, height = (int(edge) for edge in rng.integers(10, EDGE_PX + 1, 2))
    shape = _to_shape(turned.resize((width, height), Image.Resampling.BICUBIC))
    opacity = float(rng.uniform(0.3, 0.7))
    marked, alpha, colour = place(clean, shape, opacity, rng)
    mask = np.abs(marked - _to_float(clean)).sum(axis=2) > CLWD_VISIBLE
    quality = None if lossless else JPEG_QUALITY
    return ProtocolSample(_finish(clean, marked, alpha, colour, opacity, quality), mask)


def draw_logo_h(
    photo: NDArray[np.uint8], rng: np.random.Generator, assets: Assets, lossless: bool = False
) -> ProtocolSample:
    """One picture as LOGO-H has them; see the module. It knows no JPEG, whatever `lossless` says."""
    assert lossless in (True, False)
    clean = stretch(photo)
    logo = pad_to_square(give_colour(assets.choose_logo(rng), rng))
    edge = round(EDGE_PX * float(rng.uniform(0.4, 0.8)))
    shape = _to_shape(_to_pillow(logo).resize((edge, edge), Image.Resampling.BICUBIC))
    opacity = float(rng.uniform(0.6, 0.85))
    marked, alpha, colour = place(clean, shape, opacity, rng)
    return ProtocolSample(_finish(clean, marked, alpha, colour, opacity, None), alpha > 0.5 * opacity)


def stretch(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(256, 256, 3) uint8: a photograph of any shape, stretched."""
    return np.asarray(Image.fromarray(photo).resize((EDGE_PX, EDGE_PX), Image.Resampling.BICUBIC))


def give_colour(rgba_u8: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A logo with a colour: one that is grey all over takes a random one, others keep theirs.

    >>> black = np.zeros((4, 4, 4), np.uint8)
    >>> black[..., 3] = 255
    >>> len(set(give_colour(black, np.random.default_rng(0))[0, 0, :3].tolist())) > 1
    True
    """
    opaque = rgba_u8[..., 3] > 127
    colours = rgba_u8[opaque][:, :3].astype(np.float32) / 255
    spread = float(np.ptp(colours, axis=1).max()) if len(colours) else 0.0
    if spread >= LEAST_COLOUR:
        return rgba_u8
    hsv = np.array([[[rng.uniform(0, 360), rng.uniform(0.5, 1), rng.uniform(0.4, 1)]]], np.float32)
    colour = np.rint(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))[0, 0] * 255).astype(np.uint8)
    return np.dstack([np.broadcast_to(colour, (*rgba_u8.shape[:2], 3)), rgba_u8[..., 3]])


def pad_to_square(rgba_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A logo in the middle of a transparent square.

    >>> pad_to_square(np.ones((2, 6, 4), np.uint8)).shape
    (6, 6, 4)
    """
    height, width = rgba_u8.shape[:2]
    down, across = max(0, width - height), max(0, height - width)
    margins = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    return np.pad(rgba_u8, margins)


def place(
    clean: NDArray[np.uint8], shape: FloatArray, opacity: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(marked (H, W, 3), alpha (H, W), colour (H, W, 3)) float32: a shape at a random place, fully inside."""
    height, width = shape.shape[:2]
    left = int(rng.integers(0, clean.shape[1] - width + 1))
    top = int(rng.integers(0, clean.shape[0] - height + 1))
    alpha = np.zeros(clean.shape[:2], np.float32)
    colour = np.zeros(clean.shape, np.float32)
    alpha[top : top + height, left : left + width] = shape[..., 3] * opacity
    colour[top : top + height, left : left + width] = shape[..., :3]
    marked = _to_float(clean) * (1 - alpha[..., None]) + colour * alpha[..., None]
    return marked, alpha, colour


def _finish(
    clean: NDArray[np.uint8],
    marked: FloatArray,
    alpha: FloatArray,
    colour: FloatArray,
    opacity: float,
    quality: int | None,
) -> MarkedPhoto:
    marked_u8 = np.round(np.clip(marked, 0, 1) * 255).astype(np.uint8)
    jpeg = None
    if quality is not None:
        jpeg = encode_jpeg(marked_u8, quality)
        marked_u8, clean = decode_jpeg(jpeg), decode_jpeg(encode_jpeg(clean, quality))
    matte = np.clip(alpha / opacity, 0, 1).astype(np.float32)
    return MarkedPhoto(marked_u8, clean, alpha, matte, colour, "logo", opacity, quality, jpeg)


def _to_float(rgb_u8: NDArray[np.uint8]) -> FloatArray:
    return rgb_u8.astype(np.float32) / np.float32(255)


def _to_shape(rgba: Image.Image) -> FloatArray:
    return np.asarray(rgba, np.float32) / np.float32(255)


def _to_pillow(rgba_u8: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(rgba_u8))


PROTOCOLS: dict[str, Protocol] = {
    "clwd": Protocol("clwd", draw_clwd, "SLBR", {"f1": 0.823, "iou": 0.746, "rmsew_three": 14.07}),
    "logo-h": Protocol("logo-h", draw_logo_h, "DENet", {"inside": 26.58, "f1": 0.874}),
}
