"""Endless training examples: photographs marked at random, cut into crops.

Every example comes from its own seed, so a run that is resumed goes on with examples it has not seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from cleanplate.detect.network import MOST_ENLARGED, WORKING_SIZE_PX
from cleanplate.errors import UsageError
from cleanplate.evaluate.protocol import draw_clwd, draw_logo_h, stretch
from cleanplate.images.tensor import resize_for_network
from cleanplate.marks.assets import Assets
from cleanplate.marks.mosaic import draw_mosaic
from cleanplate.marks.sample import FREE_KIND, MarkedPhoto, sample_marked
from cleanplate.marks.scene import draw_scene_shape, draw_scene_text
from cleanplate.pipeline.crops import choose_enlargement
from cleanplate.train.coding import pack_coding
from cleanplate.train.found import choose_way, imitate_finder

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
#: Opacity over which a pixel counts as marked.
MARKED_OPACITY = 0.02
#: Of how many of a restorer's crops the finder is asked; of the others it is imitated, with worse faults than
#: it has.
ASKED_SHARE = 0.6
#: A mark that changes a pixel by less than this cannot be seen there; such pixels weigh little.
VISIBLE_STEP = 4
#: The finder looks at photographs in several sizes (`detect/looks`): small stamps are found in a larger one,
#: wide logos in a smaller one. Of the size at which it looks first, drawn evenly by logarithm.
FINDER_SCALES = (0.4, 1.7)

#: Photographs whose colours are changed; marks that are free logos (`marks/sample`).
RECOLOURED_SHARE = 0.5
FREE_SHARE = 0.12
#: Small pictures (`make_small_examples`): how many show a piece of a photograph rather than all of it,
#: the least edge of a piece by the photograph's short side, how many carry a heavy mark (LOGO-H's recipe,
#: else CLWD's), and how many are not stored as JPEG.
PIECE_SHARE, LEAST_PIECE, HEAVY_SHARE, LOSSLESS_SHARE = 0.4, 0.45, 0.25, 0.2
#: Photographs that are more times as long as wide are cut to this.
MOST_STRETCHED = 8
#: How large a mosaic of several photographs is at most.
MOSAIC_PX = 1800
#: A photograph gives so many times its crops for every so many pixels, at most so often: large ones take
#: long to draw.
MORE_CROPS_PX, MOST_CROPS = 400_000, 4
#: The crops of which `ExampleSource.per_photo` are taken; of larger ones there are fewer.
PER_PHOTO_PX = 256
#: Crops that wait while others are drawn, so that those of one photograph come far apart.
SHUFFLED = 48
#: A damaged photograph, or logo, is passed over; so many in a row end the training.
MOST_PASSED_OVER = 20

_log = logging.getLogger(__name__)

Example = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ExampleSource:
    """What examples are made from.

    photos: paths. crop_px: edge of a crop, a multiple of 32. per_photo: crops of one marked photograph, more
    of a large one, fewer of large crops. clean_share: part of the photographs that stay without marks.
    scene_text_share, scene_shape_share: part with lettering or with a plain shape of the scene's own.
    mosaic_share: part that are mosaics of several photographs: what learns from small photographs alone takes
    a picture in a collage for a mark.
    """

    photos: tuple[Path, ...]
    assets: Assets
    crop_px: int = 256
    per_photo: int = 4
    clean_share: float = 0.2
    scene_text_share: float = 0.15
    scene_shape_share: float = 0.0
    mosaic_share: float = 0.0


class Examples(IterableDataset[Example]):
    """Crops without end, the same for the same seed and number of workers.

    make: (source, generator) -> the crops of one marked photograph. What cannot be read is passed over with
    a warning.
    """

    def __init__(
        self,
        source: ExampleSource,
        make: Callable[[ExampleSource, np.random.Generator], list[Example]],
        seed: int,
    ) -> None:
        self.source, self.make, self.seed = source, make, seed

    def __iter__(self) -> Iterator[Example]:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        cv2.setNumThreads(1)
        shuffled: list[Example] = []
        index = number
        failed = 0
        while True:
            rng = np.random.default_rng((self.seed, index))
            index += count
            try:
                shuffled += self.make(self.source, rng)
                failed = 0
            except UsageError as exc:
                failed += 1
                if failed == MOST_PASSED_OVER:
                    raise
                _log.warning("%s (passed over)", exc)
            while len(shuffled) > SHUFFLED:
                yield shuffled.pop(int(rng.integers(len(shuffled))))


def find_photos(folder: Path) -> tuple[Path, ...]:
    """All photographs below a folder, by name."""
    return tuple(sorted(p for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES))


def split_photos(photos: Path, validation: Path | None = None) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(to train on, to validate on): two folders' photographs, or every tenth of one folder's held out.

    Raises UsageError where either part is empty.
    """
    for folder in (photos, validation):
        if folder is not None and not find_photos(folder):
            raise UsageError(f"{folder}: no photographs are there; give a folder of JPEG, PNG or WebP files")
    found = find_photos(photos)
    if validation is not None:
        return found, find_photos(validation)
    if len(found) < 2:
        raise UsageError(
            f"{photos}: one photograph is too few to hold one out; add some or give --validation"
        )
    return tuple(p for i, p in enumerate(found) if i % 10), found[::10]


def load_photo(path: Path, rng: np.random.Generator, longest: int, shortest: int = 256) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: a photograph at a random size, mirrored half of the time.

    Its long side becomes at most `longest` and at most 1.25 times its own; its short side at least
    `shortest`. Of a long thin one the middle is taken. Raises UsageError where the file is no photograph.
    """
    rgb = _cut_middle(_decode(path))
    height, width = rgb.shape[:2]
    largest = min(1.25, longest / max(height, width))
    smallest = min(largest, max(0.6 * largest, shortest / min(height, width)))
    scale = float(rng.uniform(smallest, largest))
    scale = max(scale, (shortest + 1) / min(height, width))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=interpolation)
    if rng.random() < 0.5:
        resized = resized[:, ::-1]
    return np.ascontiguousarray(resized, np.uint8)


def _cut_middle(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most `MOST_STRETCHED` times as long as wide: enlarged to a crop's size it would be huge."""
    height, width = rgb.shape[:2]
    most = MOST_STRETCHED * min(height, width)
    down, across = max(0, height - most) // 2, max(0, width - most) // 2
    return rgb[down : down + most, across : across + most]


def _cut_piece(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A square of at least `LEAST_PIECE` of the short side, anywhere."""
    height, width = rgb.shape[:2]
    edge = round(min(height, width) * float(rng.uniform(LEAST_PIECE, 1)))
    top, left = int(rng.integers(height - edge + 1)), int(rng.integers(width - edge + 1))
    return np.ascontiguousarray(rgb[top : top + edge, left : left + edge])


def _decode(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB."""
    data = np.fromfile(path, np.uint8)  # OpenCV's own reading fails on some names on Windows
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if bgr is None:
        raise UsageError(f"{path}: cannot be decoded as a photograph; remove it from the folder")
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def make_finder_examples(source: ExampleSource, rng: np.random.Generator) -> list[Example]:
    """Crops as the finder's looks show them: `image` (3, h, w), `target` (1, h, w) and `weight` (1, h, w).

    Every crop is seen at a size of its own, FINDER_SCALES of that at which the finder looks first.
    """
    sample = _sample(source, rng, longest=1300, shortest=ceil(source.crop_px / MOST_ENLARGED))
    target = np.asarray(sample.alpha > MARKED_OPACITY)
    visible = _find_visible(sample)
    working = min(WORKING_SIZE_PX / max(target.shape), MOST_ENLARGED)
    least = source.crop_px / min(target.shape)
    low, high = (float(np.log(max(least, limit * working))) for limit in FINDER_SCALES)
    examples = []
    for _ in range(_count_crops(source, target.size)):
        edge = min(min(target.shape), round(source.crop_px / float(np.exp(rng.uniform(low, high)))))
        where = _choose_crop(target, edge, rng, on_mark=0.65)
        examples.append(_show_to_finder(sample, visible, where, source.crop_px))
    return examples


def make_small_examples(source: ExampleSource, rng: np.random.Generator) -> list[Example]:
    """As `make_finder_examples`, of a whole small picture as the papers have them (`evaluate/protocol`)."""
    photo = load_photo(source.photos[int(rng.integers(len(source.photos)))], rng, longest=1300)
    if rng.random() < PIECE_SHARE:
        photo = _cut_piece(photo, rng)
    if rng.random() < RECOLOURED_SHARE:
        photo = recolour(photo, rng)
    if rng.random() < source.scene_shape_share:
        photo = draw_scene_shape(photo, rng)
    if rng.random() < source.clean_share:
        sample = sample_marked(stretch(photo), rng, source.assets, kind="clean")
    else:
        draw = draw_logo_h if rng.random() < HEAVY_SHARE else draw_clwd
        sample = draw(photo, rng, source.assets, bool(rng.random() < LOSSLESS_SHARE)).photo
    whole = slice(0, sample.alpha.shape[0]), slice(0, sample.alpha.shape[1])
    return [_show_to_finder(sample, _find_visible(sample), whole, source.crop_px)]


def _find_visible(sample: MarkedPhoto) -> NDArray[np.float32]:
    """(h, w): 1 where the mark changes what is near, 0 elsewhere."""
    red, green, blue = cv2.split(cv2.absdiff(sample.marked, sample.clean))
    difference = np.maximum(np.maximum(red, green), blue).astype(np.int16)
    return (cv2.blur(difference, (5, 5)) >= VISIBLE_STEP).astype(np.float32)


def _show_to_finder(
    sample: MarkedPhoto, visible: NDArray[np.float32], where: tuple[slice, slice], crop_px: int
) -> Example:
    """A square piece of a picture, as the finder learns from it."""
    marked = _resize_square(sample.alpha[where], crop_px) > MARKED_OPACITY
    seen = _resize_square(visible[where], crop_px) > 0.5
    return {
        "image": _planes(_resize_square(_scale_to_float(sample.marked[where]), crop_px)),
        "target": torch.from_numpy(marked[None].astype(np.float32)),
        "weight": torch.from_numpy(np.where(marked & ~seen, 0.2, 1.0)[None].astype(np.float32)),
    }


def make_restorer_examples(source: ExampleSource, rng: np.random.Generator) -> list[Example]:
    """Crops as the restorer sees them, those of small photographs enlarged (`pipeline/crops`).

    `image` (4, h, w), the last plane an imitated finder's probability, `way`, how the finder is asked instead
    (`train/found`), and the planes `matte`, `alpha` (1, h, w), `colour` and `clean` (3, h, w).
    """
    sample = _sample(source, rng, longest=1600, shortest=source.crop_px)
    edge = round(source.crop_px / choose_enlargement(*sample.alpha.shape))

    def show(plane: NDArray[np.float32]) -> Tensor:
        return _planes(np.atleast_3d(_resize_square(plane, source.crop_px)))

    examples = []
    for _ in range(_count_crops(source, sample.alpha.size)):
        where = _choose_crop(sample.alpha > MARKED_OPACITY, edge, rng, on_mark=0.93)
        alpha = _resize_square(sample.alpha[where], source.crop_px)
        probability = imitate_finder(alpha > MARKED_OPACITY, rng)
        examples.append(
            {
                "image": torch.cat(
                    [show(_scale_to_float(sample.marked[where])), _planes(probability[..., None])]
                ),
                "way": _choose_way(rng),
                "matte": show(sample.matte[where]),
                "alpha": _planes(alpha[..., None]),
                "colour": show(sample.colour[where]),
                "clean": show(_scale_to_float(sample.clean[where])),
            }
        )
    return examples


def make_chooser_examples(source: ExampleSource, rng: np.random.Generator) -> list[Example]:
    """Crops at native resolution: `image` and `way` as `make_restorer_examples` has them, `clean` (3, h, w).

    And how many times `enlarged` the restorer is to see them, and what `train/coding` says of the file.
    """
    sample = _sample(source, rng, longest=1600, shortest=source.crop_px)
    enlarged = torch.tensor(choose_enlargement(*sample.alpha.shape))
    examples = []
    for _ in range(_count_crops(source, sample.alpha.size)):
        rows, columns = _choose_crop(sample.alpha > MARKED_OPACITY, source.crop_px, rng, on_mark=0.93)
        probability = imitate_finder(sample.alpha[rows, columns] > MARKED_OPACITY, rng)
        examples.append(
            {
                "image": _planes(np.dstack([_scale_to_float(sample.marked[rows, columns]), probability])),
                "way": _choose_way(rng),
                "clean": _planes(_scale_to_float(sample.clean[rows, columns])),
                "enlarged": enlarged,
                **pack_coding(sample.quantisation, columns.start, rows.start),
            }
        )
    return examples


def _choose_way(rng: np.random.Generator) -> Tensor:
    return torch.tensor(choose_way(rng) if rng.random() < ASKED_SHARE else 0)


def _sample(source: ExampleSource, rng: np.random.Generator, longest: int, shortest: int) -> MarkedPhoto:
    if rng.random() < source.mosaic_share:
        clean = draw_mosaic(source.photos, rng, _decode, MOSAIC_PX)
        scale = (shortest + 1) / min(clean.shape[:2])
        clean = clean if scale <= 1 else np.asarray(cv2.resize(clean, None, fx=scale, fy=scale), np.uint8)
    else:
        path = source.photos[int(rng.integers(len(source.photos)))]
        clean = load_photo(path, rng, longest, shortest)
    if rng.random() < RECOLOURED_SHARE:
        clean = recolour(clean, rng)
    if rng.random() < source.scene_shape_share:
        clean = draw_scene_shape(clean, rng)
    if rng.random() < source.scene_text_share:
        clean = draw_scene_text(clean, rng, source.assets)
    kind = str(rng.choice(["clean", FREE_KIND, ""], p=_kind_shares(source))) or None
    return sample_marked(clean, rng, source.assets, kind=kind)


def _count_crops(source: ExampleSource, pixels: int) -> int:
    """Large crops of one photograph would be nearly the same: of them there are fewer, as their area says."""
    times = min(MOST_CROPS, max(1, round(pixels / MORE_CROPS_PX)))
    fewer = min(1.0, (PER_PHOTO_PX / source.crop_px) ** 2)
    return max(1, round(source.per_photo * times * fewer))


def _kind_shares(source: ExampleSource) -> tuple[float, float, float]:
    free = 0.0 if source.assets.mark is not None else (1 - source.clean_share) * FREE_SHARE
    return source.clean_share, free, 1 - source.clean_share - free


def recolour(rgb_u8: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(H, W, 3) uint8: the photograph with another exposure, contrast and saturation; some without colours.

    A few hundred photographs are seen hundreds of times each: they shall not be known by their colours.
    """
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    values = (levels ** np.float32(np.exp(rng.uniform(-0.4, 0.4))))[rgb_u8]
    grey = values.mean(axis=2, keepdims=True)
    saturation = 0.0 if rng.random() < 0.1 else float(rng.uniform(0.5, 1.4))
    balance = rng.uniform(0.92, 1.08, 3).astype(np.float32)
    values = (grey + np.float32(saturation) * (values - grey)) * balance
    contrast = np.float32(rng.uniform(0.75, 1.15))
    values = (values - np.float32(0.5)) * contrast + np.float32(0.5 + rng.uniform(-0.06, 0.06))
    return np.asarray(np.rint(np.clip(values, 0, 1) * 255), np.uint8)


def _choose_crop(
    target: NDArray[np.bool_], edge: int, rng: np.random.Generator, on_mark: float
) -> tuple[slice, slice]:
    height, width = target.shape
    row, column = int(rng.integers(height)), int(rng.integers(width))
    if rng.random() < on_mark:
        marked = np.flatnonzero(target)
        if len(marked):
            row, column = divmod(int(marked[rng.integers(len(marked))]), width)
            row, column = (
                row + int(rng.integers(-edge // 3, edge // 3)),
                column + int(rng.integers(-edge // 3, edge // 3)),
            )
    top = int(np.clip(row - edge // 2, 0, height - edge))
    left = int(np.clip(column - edge // 2, 0, width - edge))
    return slice(top, top + edge), slice(left, left + edge)


def _resize_square(plane: NDArray[np.float32], edge: int) -> NDArray[np.float32]:
    """(edge, edge) or (edge, edge, 3), in [0, 1]."""
    return np.asarray(resize_for_network(plane, edge, edge), np.float32)


def _scale_to_float(rgb_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
    return rgb_u8.astype(np.float32) / np.float32(255)


def _planes(hwc: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(hwc.transpose(2, 0, 1)))
