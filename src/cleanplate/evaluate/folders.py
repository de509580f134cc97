"""Folders of photographs that share one mark, drawn repeatably: what `evaluate --folder` repairs and scores.

The originals are not written: a photograph of the folder remembers from which file and which part of it it
was cut, and its mark can be laid down again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.errors import InvalidSettingError
from cleanplate.evaluate.triples import read_picture
from cleanplate.images.read import read
from cleanplate.marks import Assets, draw
from cleanplate.marks.place import place_mark, scale_mark
from cleanplate.marks.sample import encode_jpeg
from cleanplate.structures import BoolArray, Box, FloatArray, Mark, Photo, Placement

Place = Literal["same", "anchored", "jittered", "scaled"]
PLACES: tuple[str, ...] = get_args(Place)
KINDS = ("logo", "text", "both", "tiled")
#: Photographs that are all of one size, and the range of the longer edge where sizes differ.
SAME_SIZE = (480, 320)
LONG_PX = (440, 1400)
#: The mark's width by the photograph's (480 pixels), and its margin from an edge.
WIDTH_SHARE = (0.28, 0.5)
MARGIN_SHARE = 0.04
JITTER_PX = 40
#: Photographs are no larger.
MOST_MEGAPIXELS = 200.0
#: A pixel counts as marked above this opacity.
INSIDE = 0.02


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """What one folder is like. opacity: the mark's, or None for one between 0.3 and 0.85. quality: of the
    JPEG files, or None for 80 to 95. varying: by how much the opacity differs from photograph to photograph.
    clean_share: the part without the mark. seed: decides all that is drawn.
    """

    count: int
    kind: str = "both"
    place: str = "same"
    opacity: float | None = None
    quality: int | None = None
    varying: float = 0.1
    clean_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InvalidSettingError("count", self.count, "a whole number from 1")
        if self.kind not in KINDS:
            raise InvalidSettingError("kind", self.kind, f"one of {', '.join(KINDS)}")
        if self.place not in PLACES:
            raise InvalidSettingError("place", self.place, f"one of {', '.join(PLACES)}")
        if self.opacity is not None and not 0 < self.opacity <= 1:
            raise InvalidSettingError("opacity", self.opacity, "a share above 0, up to 1")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InvalidSettingError("quality", self.quality, "a whole number from 1 to 100")
        if not 0 <= self.clean_share < 1:
            raise InvalidSettingError("clean_share", self.clean_share, "a share from 0, below 1")


@dataclass(frozen=True, eq=False)
class FolderPhoto:
    """One photograph: its file in the folder, and where it came from.

    placement: the mark's, with `factor` on its opacity; None: it carries none.
    """

    path: Path
    source: Path
    box: Box
    placement: Placement | None
    factor: float
    quality: int

    def read_truth(self) -> NDArray[np.uint8]:
        """(h, w, 3) uint8: the photograph without the mark."""
        picture = _enlarge(read_picture(self.source), self.box)
        return np.ascontiguousarray(picture[self.box.slices])

    def read(self) -> Photo:
        """The file."""
        return read(self.path, max_megapixels=MOST_MEGAPIXELS)

    def lay(self, mark: Mark) -> tuple[FloatArray, FloatArray]:
        """(alpha (h, w), colour (h, w, 3)) of the mark as it lies on this photograph."""
        alpha = np.zeros((self.box.height, self.box.width), np.float32)
        colour = np.zeros((*alpha.shape, 3), np.float32)
        placed = None
        if self.placement is not None:
            placed = place_mark(mark, self.placement, *alpha.shape)
        if placed is not None:
            shape, box = placed
            alpha[box.slices] = np.clip(shape.alpha * self.factor, 0, 1)
            colour[box.slices] = shape.rgb
        return alpha, colour


@dataclass(frozen=True, eq=False)
class DrawnFolder:
    """A folder, its mark, and its photographs in name order."""

    folder: Path
    mark: Mark
    opacity: float
    photos: tuple[FolderPhoto, ...]
    originals: int


def draw_folder(sources: Sequence[Path], assets: Assets, options: FolderOptions, output: Path) -> DrawnFolder:
    """Write a folder of marked JPEG files to `output`; the same arguments give the same files.

    Photographs are taken again, another part of them, where there are fewer than `options.count`.
    """
    output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.seed)
    opacity = options.opacity if options.opacity is not None else float(rng.uniform(0.3, 0.85))
    mark = draw_shared_mark(options.kind, opacity, rng, assets)
    corner = (float(rng.choice([0.0, 0.5, 1.0])), float(rng.choice([0.0, 0.5, 1.0], p=[0.2, 0.2, 0.6])))
    order = rng.permutation(len(sources))
    photos = []
    for index in range(options.count):
        source = sources[int(order[index % len(sources)])]
        box = _choose_box(source, options, rng)
        clean = _is_turn(index, options.clean_share)
        placement = None if clean else _choose_place(mark, box, corner, options, rng)
        factor = 1 + options.varying * float(rng.uniform(-1, 1))
        quality = options.quality if options.quality is not None else int(rng.integers(80, 96))
        photo = FolderPhoto(output / f"{index:04d}.jpg", source, box, placement, factor, quality)
        photo.path.write_bytes(encode_jpeg(_put(photo, mark), quality))
        photos.append(photo)
    return DrawnFolder(output, mark, opacity, tuple(photos), min(len(sources), options.count))


def draw_shared_mark(kind: str, opacity: float, rng: np.random.Generator, assets: Assets) -> Mark:
    """A mark for photographs of some 480 pixels: lettering, a logo, one over the other, or a pattern."""
    width = round(SAME_SIZE[0] * float(rng.uniform(*WIDTH_SHARE)))
    white = bool(rng.random() < 0.7)
    colour = (1.0, 1.0, 1.0) if white else (float(rng.random()), float(rng.random()), float(rng.random()))
    words = ("Anna Berg Studio", "PHOTO ARCHIVE", "Lindqvist & Moreau", "www.example.com")
    text = words[int(rng.integers(len(words)))]
    probe = assets.choose_font(rng, "latin", 32)
    size_px = max(12, round(32 * width / max(1.0, float(probe.getlength(text)))))
    lettering = draw.draw_text(text, probe.font_variant(size=size_px), draw.TextStyle(colour=colour))
    if kind == "text":
        return draw.finish(lettering, opacity, kind)
    logo = draw.shape_from_logo(assets.choose_logo(rng), max(24, width // 2), colour if white else None)
    if kind == "logo":
        return draw.finish(logo, opacity, kind)
    if kind == "both":
        return draw.finish(draw.stack(logo, lettering, 6), opacity, kind)
    small = lettering if lettering.shape[1] < 200 else _shrink(lettering, 200)
    step = (round(1.3 * small.shape[1]), round(2.6 * small.shape[0]) + 12)
    tiles = draw.tile(small, LONG_PX[1], LONG_PX[1], step, float(rng.choice([0, -30, 30])), stagger=True)
    return draw.finish(tiles, opacity, kind)


def find_inside(photo: FolderPhoto, mark: Mark) -> BoolArray:
    """(h, w) bool: the marked pixels of a photograph."""
    return np.asarray(photo.lay(mark)[0] > INSIDE, bool)


def _put(photo: FolderPhoto, mark: Mark) -> NDArray[np.uint8]:
    rgb = photo.read_truth().astype(np.float32) / np.float32(255)
    alpha, colour = photo.lay(mark)
    marked = rgb * (1 - alpha[..., None]) + alpha[..., None] * colour
    return np.asarray(np.rint(np.clip(marked, 0, 1) * 255), np.uint8)


def _choose_box(source: Path, options: FolderOptions, rng: np.random.Generator) -> Box:
    """The part of a photograph that is used: all of one size, or any."""
    height, width = read_picture(source).shape[:2]
    if options.place == "same":
        wide, high = SAME_SIZE
    else:
        long_px = float(rng.uniform(LONG_PX[0], max(LONG_PX[0] + 1, min(LONG_PX[1], max(height, width)))))
        shrink = min(1.0, long_px / max(height, width))
        wide, high = max(320, round(width * shrink)), max(240, round(height * shrink))
    enlarged = max(1.0, wide / width, high / height)
    height, width = int(np.ceil(height * enlarged)), int(np.ceil(width * enlarged))
    left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
    return Box(left, top, left + wide, top + high)


def _enlarge(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The picture, made larger where the part that is wanted is larger than it."""
    height, width = picture.shape[:2]
    enlarged = max(1.0, box.right / width, box.bottom / height)
    if enlarged == 1:
        return picture
    size = (int(np.ceil(width * enlarged)), int(np.ceil(height * enlarged)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _choose_place(
    mark: Mark, box: Box, corner: tuple[float, float], options: FolderOptions, rng: np.random.Generator
) -> Placement:
    if options.kind == "tiled":
        return Placement(0, 0)
    scale = box.width / SAME_SIZE[0] if options.place == "scaled" else 1.0
    shape = scale_mark(mark, scale).alpha.shape
    margin = round(MARGIN_SHARE * SAME_SIZE[1] * scale)
    left = round(margin + corner[0] * (box.width - shape[1] - 2 * margin))
    top = round(margin + corner[1] * (box.height - shape[0] - 2 * margin))
    if options.place == "jittered":
        left += int(rng.integers(-JITTER_PX, JITTER_PX + 1))
        top += int(rng.integers(-JITTER_PX, JITTER_PX + 1))
        left = int(np.clip(left, 0, max(0, box.width - shape[1])))
        top = int(np.clip(top, 0, max(0, box.height - shape[0])))
    return Placement(left, top, scale)


def _shrink(shape: FloatArray, width_px: int) -> FloatArray:
    mark = Mark(shape[..., 3], shape[..., :3])
    small = scale_mark(mark, width_px / shape.shape[1])
    return np.dstack([small.rgb, small.alpha])


def _is_turn(index: int, share: float) -> bool:
    return int((index + 1) * share) > int(index * share)
