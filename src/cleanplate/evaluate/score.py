"""What one repair is worth: figures from arrays, then the figures of many together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.evaluate.triples import Triple
from cleanplate.metrics import MaskTally, masked_psnr, measure_ring, psnr, ssim
from cleanplate.structures import BoolArray, FloatArray

#: A photograph counts as repaired when the PSNR inside its marks rises by this.
REPAIRED_GAIN_DB = 3.0
#: ... and as harmed when the PSNR of the whole picture falls by more than this.
HARMED_LOSS_DB = 0.05
#: A mark counts as found when this share of its pixels is.
FOUND_SHARE = 0.5
#: Strokes nearer to each other than this share of the photograph's long side belong to one mark.
GROUPING_SHARE = 0.015
#: Groups with fewer pixels are bits of a mark, not marks.
SMALLEST_MARK_PX = 20
#: SSIM's window must fit.
SSIM_LEAST_PX = 11


@dataclass(frozen=True, slots=True)
class MarkScore:
    """One mark of a photograph.

    opacity: of its inner pixels, in [0, 1]. found_share: part of its pixels that was found, in [0, 1].
    """

    opacity: float
    found_share: float

    @property
    def found(self) -> bool:
        return self.found_share >= FOUND_SHARE


@dataclass(frozen=True, kw_only=True)
class PhotoScore:
    """One photograph's figures. PSNRs in dB, infinite where the pictures are equal.

    inside_before, inside_after: over the marked pixels, NaN where the photograph is clean. whole_before,
    whole_after: over all pixels. ssim_before, ssim_after: of the whole picture. ring_before, ring_after:
    how far the residual round the marks has their outlines' shape, in [-1, 1] (`metrics.ring`);
    ring_rmse_before, ring_rmse_after: how large it is there, in grey levels; NaN where clean. touched:
    whether the result differs from the input. tally, marks: the found mask against the true one; None and
    empty where only the result is known. error: why there is no result (then the input stands for it).
    seconds: what the repair took, None where it was not timed.
    """

    name: str
    kind: str
    opacity: float
    width: int
    height: int
    format: str
    jpeg_quality: int | None
    inside_before: float
    inside_after: float
    whole_before: float
    whole_after: float
    touched: bool
    ssim_before: float = float("nan")
    ssim_after: float = float("nan")
    ring_before: float = float("nan")
    ring_after: float = float("nan")
    ring_rmse_before: float = float("nan")
    ring_rmse_after: float = float("nan")
    tally: MaskTally | None = None
    marks: tuple[MarkScore, ...] = ()
    error: str | None = None
    seconds: float | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the photograph carries no mark."""
        return bool(np.isnan(self.inside_before))

    @property
    def gain(self) -> float:
        """dB won inside the marks; on a clean photograph, dB lost over the whole picture (zero or below)."""
        before, after = self.inside_before, self.inside_after
        if self.is_clean:
            before, after = self.whole_before, self.whole_after
        return _cap(after) - _cap(before)

    @property
    def repaired(self) -> bool:
        seen = not self.is_clean and math.isfinite(
            self.inside_before
        )  # nothing is to be won where no mark is seen
        return seen and self.inside_after >= self.inside_before + REPAIRED_GAIN_DB

    @property
    def harmed(self) -> bool:
        return self.whole_after < self.whole_before - HARMED_LOSS_DB


#: For means, a PSNR counts as at most this: eight bits' own rounding (mean square 1/12) has 58.9 dB.
LARGEST_PSNR_DB = 60.0


def score_result(
    triple: Triple,
    result_u8: NDArray[np.uint8],
    *,
    found: BoolArray | None = None,
    tolerance: int = 0,
    error: str | None = None,
    seconds: float | None = None,
) -> PhotoScore:
    """Score a result. result_u8: (H, W, 3) uint8; found: (H, W) bool, the mask that the finder gave, or None.

    tolerance: grey levels by which a pixel may differ without counting as touched (for results that were
    stored lossily). Raises ValueError where the sizes differ.
    """
    if result_u8.shape != triple.marked_u8.shape:
        raise ValueError(f"the result has shape {result_u8.shape}, its input {triple.marked_u8.shape}")
    inside = triple.inside
    difference = cv2.absdiff(result_u8, triple.marked_u8)
    touched = bool(np.max(difference) > tolerance)
    height, width = inside.shape
    before = _measure(triple, triple.marked_u8)
    after = before if not np.any(difference) else _measure(triple, result_u8)
    return PhotoScore(
        name=triple.name,
        kind=triple.about.kind,
        opacity=triple.about.opacity,
        width=width,
        height=height,
        format="png" if triple.files.marked.suffix.lower() == ".png" else "jpeg",
        jpeg_quality=triple.about.jpeg_quality,
        inside_before=before.inside,
        inside_after=after.inside,
        whole_before=before.whole,
        whole_after=after.whole,
        ssim_before=before.ssim,
        ssim_after=after.ssim,
        ring_before=before.ring,
        ring_after=after.ring,
        ring_rmse_before=before.ring_rmse,
        ring_rmse_after=after.ring_rmse,
        touched=touched,
        tally=None if found is None else MaskTally.of(found, inside),
        marks=() if found is None else score_marks(triple.opacity, inside, found),
        error=error,
        seconds=seconds,
    )


@dataclass(frozen=True, slots=True)
class _Likeness:
    """One picture against the truth; see `PhotoScore`."""

    inside: float
    whole: float
    ssim: float
    ring: float
    ring_rmse: float


def _measure(triple: Triple, picture_u8: NDArray[np.uint8]) -> _Likeness:
    ring = measure_ring(picture_u8, triple.truth_u8, triple.opacity)
    large_enough = min(picture_u8.shape[:2]) >= SSIM_LEAST_PX
    return _Likeness(
        inside=masked_psnr(picture_u8, triple.truth_u8, triple.inside),
        whole=psnr(picture_u8, triple.truth_u8),
        ssim=ssim(picture_u8, triple.truth_u8) if large_enough else float("nan"),
        ring=ring.correlation,
        ring_rmse=ring.rmse,
    )


def score_marks(opacity: FloatArray, inside: BoolArray, found: BoolArray) -> tuple[MarkScore, ...]:
    """One score for each mark of a photograph, from the top down.

    opacity: (H, W) float32. inside, found: (H, W) bool, the true and the found mask. Strokes that lie close
    together are one mark: lettering, a logo, and all of a dense tiling.

    >>> inside = np.zeros((40, 40), bool); inside[5:15, 5:35] = True
    >>> [mark.found for mark in score_marks(inside.astype(np.float32), inside, inside)]
    [True]
    """
    reach = max(1, round(max(inside.shape) * GROUPING_SHARE))
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    _, labels = cv2.connectedComponents(cv2.dilate(inside.astype(np.uint8), kernel))
    groups = np.asarray(labels)[inside]
    marks = []
    for label in np.unique(groups):
        chosen = groups == label
        if np.count_nonzero(chosen) >= SMALLEST_MARK_PX:
            inner = float(np.percentile(opacity[inside][chosen], 90))
            marks.append(MarkScore(inner, float(found[inside][chosen].mean())))
    return tuple(marks)


def cap_mean(values: list[float]) -> float:
    """Mean of PSNRs, each counted as at most LARGEST_PSNR_DB; NaN where there are none.

    >>> cap_mean([20.0, float("inf")])
    40.0
    """
    return float(np.mean([_cap(value) for value in values])) if values else float("nan")


def _cap(decibels: float) -> float:
    return min(decibels, LARGEST_PSNR_DB)
