"""Validation while training: a fixed set of marked photographs, the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cleanplate.errors import UsageError
from cleanplate.marks.assets import Assets
from cleanplate.marks.sample import MarkedPhoto, sample_marked
from cleanplate.structures import BoolArray
from cleanplate.train.examples import MARKED_OPACITY, ExampleSource, load_photo, make_restorer_examples

LONG_SIDE_PX = 1024


def make_finder_validation(
    photos: Sequence[Path], assets: Assets, count: int, seed: int = 7
) -> Callable[[nn.Module], dict[str, float]]:
    """A function that scores a finder on `count` marked photographs and half as many clean ones.

    It returns `f1`, `iou` (over all pixels together, at probability 0.5) and `clean_touched`, the share of
    clean photographs with more than 0.05 % of their pixels found.
    """
    samples = [
        _draw(photos, assets, seed, index, clean=index >= count) for index in range(count + count // 2)
    ]

    def validate(network: nn.Module) -> dict[str, float]:
        shared = found = true = 0.0
        touched = clean = 0
        for sample in samples:
            mask = _find(network, sample.marked)
            truth = sample.alpha > MARKED_OPACITY
            if sample.kind == "clean":
                clean += 1
                touched += bool(mask.mean() > 0.0005)
                continue
            shared += float((mask & truth).sum())
            found += float(mask.sum())
            true += float(truth.sum())
        return {
            "f1": 2 * shared / max(1.0, found + true),
            "iou": shared / max(1.0, found + true - shared),
            "clean_touched": touched / max(1, clean),
        }

    return validate


def make_restorer_validation(
    photos: Sequence[Path], assets: Assets, count: int, seed: int = 7
) -> Callable[[nn.Module], dict[str, float]]:
    """A function that scores a restorer on `count` crops with an imitated finder.

    It returns `matte_error` (mean absolute, near the mark), `opacity_error` (inside it), `background_psnr`
    and `input_psnr` (dB inside the mark, mean over crops).
    """
    source = ExampleSource(photos=tuple(photos), assets=assets, per_photo=1, clean_share=0.0)
    crops = [
        make_restorer_examples(source, np.random.default_rng((seed, index)))[0] for index in range(count)
    ]
    crops = [crop for crop in crops if int((crop["alpha"] > MARKED_OPACITY).sum()) > 50]
    if not crops:
        raise UsageError("no validation crop shows a mark; give more or larger photographs to validate on")

    def validate(network: nn.Module) -> dict[str, float]:
        rows = []
        for crop in crops:
            with torch.no_grad():
                planes = network(crop["image"][None].to(_device_of(network)))
                planes = {name: plane.cpu() for name, plane in planes.items()}
            inside = crop["alpha"][0] > MARKED_OPACITY
            near = torch.nn.functional.max_pool2d(inside.float()[None], 7, 1, 3)[0] > 0
            matte_error = (planes["matte"][0, 0].sigmoid() - crop["matte"][0]).abs()[near].mean()
            opacity_error = (planes["opacity"][0, 0] - crop["alpha"][0]).abs()[inside].mean()
            background = planes["background"][0].clamp(0, 1)
            rows.append(
                (
                    float(matte_error),
                    float(opacity_error),
                    _psnr(background, crop["clean"], inside),
                    _psnr(crop["image"][:3], crop["clean"], inside),
                )
            )
        names = ("matte_error", "opacity_error", "background_psnr", "input_psnr")
        return dict(zip(names, (float(v) for v in np.mean(rows, axis=0)), strict=True))

    return validate


def _draw(photos: Sequence[Path], assets: Assets, seed: int, index: int, clean: bool) -> MarkedPhoto:
    rng = np.random.default_rng((seed, index))
    photo = load_photo(photos[index % len(photos)], rng, LONG_SIDE_PX)
    return sample_marked(photo, rng, assets, kind="clean" if clean else None)


def _find(network: nn.Module, rgb_u8: NDArray[np.uint8]) -> BoolArray:
    height, width = rgb_u8.shape[:2]
    padded = np.pad(rgb_u8, ((0, -height % 32), (0, -width % 32), (0, 0)), mode="edge")
    x = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        logits = network(x.to(_device_of(network), memory_format=torch.channels_last))
    return np.asarray((logits[0, 0, :height, :width] > 0).cpu().numpy(), bool)


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _psnr(image: Tensor, truth: Tensor, inside: Tensor) -> float:
    error = float(((image - truth) ** 2)[:, inside].mean())
    return float(-10 * np.log10(max(error, 1e-8)))
