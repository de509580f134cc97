"""Validation while training: a fixed set of marked photographs, the same in every run.

What chooses the best weights is not the loss but the figure that this project is judged by: the finder's
masks and how often it touches what is clean, the restorer's photograph after everything that a repair does
with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cleanplate.errors import UsageError
from cleanplate.images.tensor import pad_to_stride, unpad
from cleanplate.marks.assets import Assets
from cleanplate.marks.sample import KINDS, MarkedPhoto, sample_marked
from cleanplate.metrics import MaskTally, masked_psnr, masked_rmse
from cleanplate.models.nets.chooser import Chooser
from cleanplate.pipeline.crops import choose_enlargement
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.candidates import Prediction, find_candidates
from cleanplate.remove.choose import choose_by_rule, choose_by_shares, leave, restore_crop
from cleanplate.structures import BoolArray, Box, FloatArray
from cleanplate.train.examples import MARKED_OPACITY, load_photo
from cleanplate.train.found import imitate_finder
from cleanplate.train.predicted import predict_crops

LONG_SIDE_PX = 1024
#: The finder: more than this part of a clean photograph's pixels found is a photograph touched.
TOUCHED_SHARE = 0.0005
#: The restorer: photographs are at most so large, crops so.
CROP_PHOTO_PX, CROP_PX = 1600, 256
#: A crop with fewer marked pixels shows no mark to speak of.
LEAST_MARKED_PX = 50
#: A mark counts as found when this share of its pixels is; a crop as repaired when it rises by this.
FOUND_SHARE, REPAIRED_GAIN_DB = 0.5, 3.0
MOST_DB = 60.0
#: Upper ends of the bands of opacity, as in evaluation.
OPACITY_BANDS = ((0.35, "under .35"), (0.6, ".35-.6"), (0.86, ".6-.86"), (np.inf, "opaque"))

Figures = dict[str, float]
Row = TypeVar("Row")


@dataclass(frozen=True)
class Scores:
    """What a validation gives.

    figures: by name, over the whole set. goal: what the best weights are chosen by, more is better. groups:
    the same kind of figures for each kind of mark and each band of opacity.
    """

    figures: Figures
    goal: float
    groups: dict[str, Figures] = field(default_factory=dict)


Validate = Callable[[nn.Module], Scores]


def describe_groups(groups: dict[str, Figures]) -> str:
    """The groups as a plain table, one a line; nothing where there are none.

    >>> print(describe_groups({"text": {"photographs": 2, "f1": 0.5}}))
                photographs           f1
    text                  2        0.500
    """
    if not groups:
        return ""
    names = list(next(iter(groups.values())))
    lines = [" " * 11 + "".join(f"{name:>12} " for name in names).rstrip()]
    for key, figures in groups.items():
        cells = (f"{v:12d} " if isinstance(v, int) else f"{v:12.3f} " for v in figures.values())
        lines.append(f"{key:<11}{''.join(cells).rstrip()}")
    return "\n".join(lines)


def make_finder_validation(photos: Sequence[Path], assets: Assets, count: int, seed: int = 7) -> Validate:
    """A function that scores a finder on `count` marked photographs and half as many clean ones.

    Its figures: `f1`, `iou` (over all pixels together, at probability 0.5), `mean_f1` (of the marked
    photographs), `found` (share of them whose marks were found) and `clean_touched`, the share of clean
    photographs with more than 0.05 % of their pixels found. The goal is `mean_f1 - clean_touched`.
    """
    samples = [
        _draw(photos, assets, seed, index, clean=index >= count) for index in range(count + count // 2)
    ]

    def validate(network: nn.Module) -> Scores:
        touched: list[bool] = []
        rows: list[tuple[MarkedPhoto, MaskTally]] = []
        for sample in samples:
            mask = _find(network, sample.marked)
            if sample.kind == "clean":
                touched.append(bool(mask.mean() > TOUCHED_SHARE))
            else:
                rows.append((sample, MaskTally.of(mask, np.asarray(sample.alpha > MARKED_OPACITY))))
        pooled = sum((tally for _, tally in rows), MaskTally())
        every = _summarise_masks([tally for _, tally in rows])
        figures = {
            "f1": pooled.f1,
            "iou": pooled.iou,
            "mean_f1": every["f1"],
            "found": every["found"],
            "clean_touched": float(np.mean(touched)) if touched else 0.0,
        }
        groups = _group([(sample.kind, sample.opacity, tally) for sample, tally in rows], _summarise_masks)
        return Scores(figures, figures["mean_f1"] - figures["clean_touched"], groups)

    return validate


@dataclass(frozen=True, eq=False)
class _MarkedCrop:
    """A crop in which an imitated finder marks the right pixels, and the truth of it."""

    crop: Crop
    clean: FloatArray
    matte: FloatArray
    alpha: FloatArray
    kind: str
    opacity: float


def make_restorer_validation(photos: Sequence[Path], assets: Assets, count: int, seed: int = 7) -> Validate:
    """A function that scores a restorer on `count` crops, every kind of mark as often.

    The network sees an imitated finder's answer; which pixels may be repaired is known, so that the finder's
    faults are not the restorer's.
    Its figures: `restored_psnr` and `input_psnr` (dB inside the mark, mean over crops, after and before all
    that a repair does: separation, unblending, filling, leaving alone), `repaired` (share that rises by 3
    dB), `worse` (share that falls at all), `background_psnr` (the network's own photograph), `matte_error`
    (mean absolute, near the mark) and `opacity_error` (inside it). The goal is `restored_psnr`.
    Raises UsageError where no crop shows a mark.
    """
    crops = _draw_crops(photos, assets, count, seed)

    def validate(network: nn.Module) -> Scores:
        rows = [_score_crop(network, crop) for crop in crops]
        figures = _summarise_crops(rows)
        marks = [(crop.kind, crop.opacity, row) for crop, row in zip(crops, rows, strict=True)]
        groups = _group(marks, _summarise_crops)
        return Scores({k: v for k, v in figures.items() if k != "crops"}, figures["restored_psnr"], groups)

    return validate


def make_chooser_validation(
    photos: Sequence[Path], assets: Assets, count: int, restorer: nn.Module, seed: int = 7
) -> Validate:
    """A function that scores a chooser on the crops of `make_restorer_validation`, by what a restorer says.

    Its figures: `restored_psnr`, `input_psnr`, `repaired` and `worse`, and `ruled_psnr`, what the rule in
    its place gives. The goal is `restored_psnr - 10 * worse`: a crop harmed outweighs one repaired.
    Raises UsageError where no crop shows a mark.
    """
    crops = _draw_crops(photos, assets, count, seed)
    predictions = [predict_crops(restorer, [marked.crop])[0] for marked in crops]

    def validate(network: nn.Module) -> Scores:
        rows = [_score_choice(network, crop, said) for crop, said in zip(crops, predictions, strict=True)]
        figures = _summarise_crops(rows)
        marks = [(crop.kind, crop.opacity, row) for crop, row in zip(crops, rows, strict=True)]
        groups = _group(marks, _summarise_crops)
        goal = figures["restored_psnr"] - 10 * figures["worse"]
        return Scores({k: v for k, v in figures.items() if k != "crops"}, goal, groups)

    return validate


def _draw_crops(photos: Sequence[Path], assets: Assets, count: int, seed: int) -> list[_MarkedCrop]:
    assets = replace(assets, mark_share=1.0)
    drawn = [_draw_crop(photos, assets, seed, index) for index in range(count)]
    crops = [marked for marked in drawn if int(marked.crop.mask.sum()) > LEAST_MARKED_PX]
    if not crops:
        raise UsageError("no validation crop shows a mark; give more or larger photographs to validate on")
    return crops


def _draw(photos: Sequence[Path], assets: Assets, seed: int, index: int, clean: bool) -> MarkedPhoto:
    rng = np.random.default_rng((seed, index))
    photo = load_photo(photos[index % len(photos)], rng, LONG_SIDE_PX)
    return sample_marked(photo, rng, assets, kind="clean" if clean else None)


def _draw_crop(photos: Sequence[Path], assets: Assets, seed: int, index: int) -> _MarkedCrop:
    rng = np.random.default_rng((seed, index))
    photo = load_photo(photos[index % len(photos)], rng, CROP_PHOTO_PX)
    kind = None if assets.mark is not None else KINDS[index % len(KINDS)]
    sample = sample_marked(photo, rng, assets, kind=kind)
    height, width = sample.alpha.shape
    marked = np.flatnonzero(sample.alpha > MARKED_OPACITY)
    place = int(marked[rng.integers(len(marked))]) if len(marked) else int(rng.integers(height * width))
    row, column = (centre + int(rng.integers(-80, 80)) for centre in divmod(place, width))
    top = int(np.clip(row - CROP_PX // 2, 0, max(0, height - CROP_PX)))
    left = int(np.clip(column - CROP_PX // 2, 0, max(0, width - CROP_PX)))
    where = slice(top, top + CROP_PX), slice(left, left + CROP_PX)
    alpha = np.ascontiguousarray(sample.alpha[where])
    return _MarkedCrop(
        crop=Crop(
            rgb=_to_float(sample.marked[where]),
            probability=imitate_finder(alpha > MARKED_OPACITY, rng),
            mask=np.asarray(alpha > MARKED_OPACITY, bool),
            box=Box(left, top, left + alpha.shape[1], top + alpha.shape[0]),
            quantisation=sample.quantisation,
            enlarged=choose_enlargement(height, width),
        ),
        clean=_to_float(sample.clean[where]),
        matte=np.ascontiguousarray(sample.matte[where]),
        alpha=alpha,
        kind=sample.kind,
        opacity=sample.opacity,
    )


def _score_crop(network: nn.Module, marked: _MarkedCrop) -> Figures:
    prediction = predict_crops(network, [marked.crop])[0]
    inside = marked.crop.mask
    near = torch.nn.functional.max_pool2d(torch.from_numpy(inside).float()[None], 7, 1, 3)[0].numpy() > 0
    return {
        **_score_removal(marked, restore_crop(marked.crop, prediction)),
        "background_psnr": _psnr(prediction.background, marked.clean, inside),
        "matte_error": float(np.abs(prediction.matte - marked.matte)[near].mean()),
        "opacity_error": float(np.abs(prediction.opacity - marked.alpha)[inside].mean()),
    }


def _score_choice(network: nn.Module, marked: _MarkedCrop, prediction: Prediction) -> Figures:
    found = find_candidates(marked.crop, prediction)
    if found is None:
        left = _score_removal(marked, leave(marked.crop))
        return {**left, "ruled_psnr": left["restored_psnr"]}
    planes = np.dstack(found.lay_out()).astype(np.float32).transpose(2, 0, 1)
    x = pad_to_stride(torch.from_numpy(planes.copy())[None], Chooser.stride).to(_device_of(network))
    with torch.no_grad():
        shares = unpad(network(x), *planes.shape[1:])[0].cpu()
    ruled = _score_removal(marked, choose_by_rule(found))
    chosen = choose_by_shares(found, _channels_last(shares))
    return {**_score_removal(marked, chosen), "ruled_psnr": ruled["restored_psnr"]}


def _score_removal(marked: _MarkedCrop, removal: Removal) -> Figures:
    restored = np.where(removal.changed[..., None], np.clip(removal.rgb, 0, 1), marked.crop.rgb)
    before = _psnr(marked.crop.rgb, marked.clean, marked.crop.mask)
    after = _psnr(restored.astype(np.float32), marked.clean, marked.crop.mask)
    return {
        "input_psnr": before,
        "restored_psnr": after,
        "repaired": float(after >= before + REPAIRED_GAIN_DB),
        "worse": float(after < before),
    }


def _summarise_masks(tallies: Sequence[MaskTally]) -> Figures:
    nothing = not tallies
    return {
        "photographs": len(tallies),
        "f1": 0.0 if nothing else float(np.mean([tally.f1 for tally in tallies])),
        "iou": 0.0 if nothing else float(np.mean([tally.iou for tally in tallies])),
        "found": 0.0 if nothing else float(np.mean([tally.recall >= FOUND_SHARE for tally in tallies])),
    }


def _summarise_crops(rows: Sequence[Figures]) -> Figures:
    return {"crops": len(rows)} | {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _group(
    marks: Sequence[tuple[str, float, Row]], summarise: Callable[[Sequence[Row]], Figures]
) -> dict[str, Figures]:
    """Figures by kind, then by opacity. marks: (kind, opacity, row)."""
    groups: dict[str, list[Row]] = {}
    for kind, _, row in sorted(marks, key=lambda mark: mark[0]):
        groups.setdefault(kind, []).append(row)
    below = -np.inf
    for end, name in OPACITY_BANDS:
        members = [row for _, opacity, row in marks if below <= opacity < end]
        below = end
        if members:
            groups[name] = members
    return {name: summarise(members) for name, members in groups.items()}


def _find(network: nn.Module, rgb_u8: NDArray[np.uint8]) -> BoolArray:
    height, width = rgb_u8.shape[:2]
    padded = np.pad(rgb_u8, ((0, -height % 32), (0, -width % 32), (0, 0)), mode="edge")
    x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        logits = network(x.to(_device_of(network), memory_format=torch.channels_last))
    return np.asarray((logits[0, 0, :height, :width] > 0).cpu().numpy(), bool)


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _channels_last(planes: Tensor) -> FloatArray:
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())


def _to_float(rgb_u8: NDArray[np.uint8]) -> FloatArray:
    return np.ascontiguousarray(rgb_u8).astype(np.float32) / np.float32(255)


def _psnr(image: FloatArray, truth: FloatArray, inside: BoolArray) -> float:
    """dB inside the mark, at most MOST_DB."""
    if masked_rmse(image, truth, inside) == 0:
        return MOST_DB
    return min(MOST_DB, masked_psnr(image, truth, inside))
