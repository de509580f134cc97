"""The figures of many photographs: together, by kind, by opacity, by size, by file format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from cleanplate.evaluate.score import MarkScore, PhotoScore, cap_mean
from cleanplate.metrics import MaskTally

Item = TypeVar("Item")

#: Upper ends of the opacity bands and their names; what lets nothing through has the last.
OPACITY_BANDS = ((0.35, "under .35"), (0.6, ".35-.6"), (0.86, ".6-.86"), (math.inf, "opaque"))
#: The same for whether a mark was found; what is fainter than marks are drawn has a band of its own.
RECALL_BANDS = ((0.145, "under .15"), (0.35, ".15-.35"), (0.6, ".35-.6"), (math.inf, "over .6"))
#: Upper ends of bands of the long side in pixels.
SIZE_BANDS = ((640, "to 640 px"), (1280, "to 1280 px"), (math.inf, "over 1280 px"))
#: Upper ends of bands of JPEG quality.
QUALITY_BANDS = ((70, "JPEG under 70"), (85, "JPEG 70-84"), (math.inf, "JPEG from 85"))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Figures of a set of photographs. NaN where nothing is there to average.

    photographs, clean: how many, and how many of them without marks. inside_before, inside_after: mean PSNR
    inside the marks. whole_before, whole_after: mean PSNR of marked photographs as wholes. repaired, harmed:
    shares of the marked. ssim_before, ssim_after, ring_before, ring_after, ring_rmse_before, ring_rmse_after:
    means over the marked (see `PhotoScore`). clean_touched, clean_harmed: shares of the clean. f1, iou: means
    over marked photographs of the found mask's; pooled_f1, pooled_iou: over all their pixels together.
    recall: share of marks found. failed: photographs without a result. seconds: median time of a repair.
    """

    photographs: int
    clean: int
    inside_before: float
    inside_after: float
    whole_before: float
    whole_after: float
    ssim_before: float
    ssim_after: float
    ring_before: float
    ring_after: float
    ring_rmse_before: float
    ring_rmse_after: float
    repaired: float
    harmed: float
    clean_touched: float
    clean_harmed: float
    f1: float
    iou: float
    pooled_f1: float
    pooled_iou: float
    recall: float
    failed: int
    seconds: float


def summarise(scores: Iterable[PhotoScore]) -> Summary:
    """The figures of a set of photographs, which may be empty."""
    every = list(scores)
    marked = [s for s in every if not s.is_clean]
    clean = [s for s in every if s.is_clean]
    tallies = [s.tally for s in marked if s.tally is not None]
    pooled = sum(tallies, MaskTally())
    seconds = [s.seconds for s in every if s.seconds is not None]
    nothing = float("nan")
    return Summary(
        photographs=len(every),
        clean=len(clean),
        inside_before=cap_mean([s.inside_before for s in marked]),
        inside_after=cap_mean([s.inside_after for s in marked]),
        whole_before=cap_mean([s.whole_before for s in marked]),
        whole_after=cap_mean([s.whole_after for s in marked]),
        ssim_before=_mean_known([s.ssim_before for s in marked]),
        ssim_after=_mean_known([s.ssim_after for s in marked]),
        ring_before=_mean_known([s.ring_before for s in marked]),
        ring_after=_mean_known([s.ring_after for s in marked]),
        ring_rmse_before=_mean_known([s.ring_rmse_before for s in marked]),
        ring_rmse_after=_mean_known([s.ring_rmse_after for s in marked]),
        repaired=_mean([s.repaired for s in marked]),
        harmed=_mean([s.harmed for s in marked]),
        clean_touched=_mean([s.touched for s in clean]),
        clean_harmed=_mean([s.harmed for s in clean]),
        f1=_mean([t.f1 for t in tallies]),
        iou=_mean([t.iou for t in tallies]),
        pooled_f1=pooled.f1 if tallies else nothing,
        pooled_iou=pooled.iou if tallies else nothing,
        recall=_mean([mark.found for s in marked for mark in s.marks]),
        failed=sum(s.error is not None for s in every),
        seconds=float(np.median(seconds)) if seconds else nothing,
    )


def group_by_kind(scores: Iterable[PhotoScore]) -> dict[str, list[PhotoScore]]:
    """Photographs by the kind of their mark, in alphabetical order."""
    every = list(scores)
    return {kind: [s for s in every if s.kind == kind] for kind in sorted({s.kind for s in every})}


def group_by_opacity(scores: Iterable[PhotoScore]) -> dict[str, list[PhotoScore]]:
    """Marked photographs by the opacity of their (first) mark."""
    return _group([s for s in scores if not s.is_clean], OPACITY_BANDS, lambda s: s.opacity)


def group_by_size(scores: Iterable[PhotoScore]) -> dict[str, list[PhotoScore]]:
    """Photographs by their long side."""
    return _group(list(scores), SIZE_BANDS, lambda s: max(s.width, s.height))


def group_by_format(scores: Iterable[PhotoScore]) -> dict[str, list[PhotoScore]]:
    """Photographs by the marked file's format, JPEG by its quality too."""
    every = list(scores)
    groups = _group(
        [s for s in every if s.format == "jpeg" and s.jpeg_quality is not None],
        QUALITY_BANDS,
        lambda s: s.jpeg_quality or 0,
    )
    groups["JPEG, quality unknown"] = [s for s in every if s.format == "jpeg" and s.jpeg_quality is None]
    groups["PNG"] = [s for s in every if s.format == "png"]
    return {name: members for name, members in groups.items() if members}


GROUPINGS: dict[str, Callable[[Iterable[PhotoScore]], dict[str, list[PhotoScore]]]] = {
    "kind": group_by_kind,
    "opacity": group_by_opacity,
    "size": group_by_size,
    "format": group_by_format,
}


def recall_by_opacity(scores: Iterable[PhotoScore]) -> dict[str, float]:
    """Share of marks found, by the marks' own opacity; empty where no mask is known."""
    marks: list[MarkScore] = [mark for score in scores for mark in score.marks]
    groups = _group(marks, RECALL_BANDS, lambda mark: mark.opacity)
    return {band: _mean([mark.found for mark in members]) for band, members in groups.items()}


def to_json(scores: Sequence[PhotoScore]) -> dict[str, Any]:
    """Everything but the goals as plain values: NaN is None, an infinite PSNR is the string "inf"."""
    content = {
        "all": asdict(summarise(scores)),
        **{
            f"by_{name}": {key: asdict(summarise(members)) for key, members in group(scores).items()}
            for name, group in GROUPINGS.items()
        },
        "recall_by_opacity": recall_by_opacity(scores),
        "photographs": [
            {
                **asdict(score),
                "tally": None if score.tally is None else {"f1": score.tally.f1, "iou": score.tally.iou},
                "repaired": score.repaired,
                "harmed": score.harmed,
            }
            for score in scores
        ],
    }
    plain: dict[str, Any] = to_plain(content)
    return plain


def _group(
    items: Sequence[Item], bands: Sequence[tuple[float, str]], key: Callable[[Item], float]
) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    below = -math.inf
    for end, name in bands:
        members = [item for item in items if below <= key(item) < end]
        below = end
        if members:
            groups[name] = members
    return groups


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _mean_known(values: Sequence[float]) -> float:
    return _mean([value for value in values if not math.isnan(value)])


def to_plain(value: Any) -> Any:
    """A value for JSON: NaN is None, an infinite number the string "inf", others have four decimals.

    >>> to_plain({"a": [math.nan, math.inf, 0.123456]})
    {'a': [None, 'inf', 0.1235]}
    """
    if isinstance(value, dict):
        return {key: to_plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(inner) for inner in value]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return "inf" if math.isinf(value) else round(value, 4)
    return value
