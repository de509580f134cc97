"""The figures that papers on visible watermarks give, by their definitions.

All are means over pictures. `psnr`: of the whole picture, on the result in floats, before it is rounded to
8 bits (a tool's output folder has 8 bits). `ssim`: window of 11 pixels with zeros beyond the edges, on
floats. `rmse`: over the whole picture, `rmsew_three` and `rmsew_one`: inside the mask, in 256ths of the
range, the squares divided by the mask's pixels times three channels or by its pixels alone. `inside`: PSNR
inside the mask. `f1`, `iou`: the finder's probability cut at 0.5 against the mask. `changed_f1`,
`changed_iou`: the pixels whose channels the result changed by more than 15/255 in sum, which is what CLWD
calls visible, against it; known of any tool.

Source: `test.py` and `evaluation.py` of SLBR's code, which DENet's repeats; SSIM as in `pytorch_ssim`,
which they call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from cleanplate.evaluate.protocol import CLWD_VISIBLE, Protocol, read_mask
from cleanplate.evaluate.run import Scored, score_folder
from cleanplate.evaluate.score import score_result
from cleanplate.evaluate.summary import to_plain
from cleanplate.evaluate.triples import TripleFiles, read_triple
from cleanplate.metrics import f1, iou, masked_psnr, psnr, rmse, ssim, watermark_rmse
from cleanplate.metrics.pictures import PAPERS_UNIT
from cleanplate.models.request import plainly
from cleanplate.pipeline.base import Pipeline
from cleanplate.remove.inpaint import fill_with_telea
from cleanplate.settings import RepairSettings
from cleanplate.structures import BoolArray, FloatArray, Photo

#: Where a probability counts as found.
CUT = 0.5
#: A perfect picture counts as this.
MOST_DB = 100.0
#: What a set says of itself.
NOT_THEIRS = "The recipe is the paper's; photographs and logos are not: they are those that were given."


@dataclass(frozen=True, kw_only=True)
class ProtocolScore:
    """One picture's figures; see the module. NaN where a figure is not known."""

    name: str
    psnr: float
    ssim: float
    rmse: float
    rmsew_three: float
    rmsew_one: float
    inside: float
    f1: float = math.nan
    iou: float = math.nan
    changed_f1: float = math.nan
    changed_iou: float = math.nan
    error: str | None = None


#: Name, how it is shown, its decimals.
FIGURES: tuple[tuple[str, str, int], ...] = (
    ("psnr", "PSNR, whole picture, float (dB)", 2),
    ("ssim", "SSIM", 4),
    ("rmse", "RMSE", 2),
    ("rmsew_three", "RMSEw, three-channel denominator", 2),
    ("rmsew_one", "RMSEw, one-channel denominator", 2),
    ("inside", "PSNR inside the mask (dB)", 2),
    ("f1", "F1, finder at 0.5", 3),
    ("iou", "IoU, finder at 0.5", 3),
    ("changed_f1", "F1, changed pixels", 3),
    ("changed_iou", "IoU, changed pixels", 3),
)


@dataclass(frozen=True, eq=False)
class ProtocolScored:
    """A picture's figures by the protocol, the same for the input and for a fill under the true mask, and the
    8-bit result."""

    score: ProtocolScore
    untouched: ProtocolScore
    filled: ProtocolScore
    scored: Scored


def measure(
    name: str,
    result: FloatArray,
    truth: FloatArray,
    mask: BoolArray,
    *,
    found: BoolArray | None = None,
    changed: BoolArray | None = None,
    error: str | None = None,
) -> ProtocolScore:
    """Figures of one result. result, truth: (H, W, 3) floats in [0, 1]; mask, found, changed: (H, W) bool."""
    empty = not mask.any()
    return ProtocolScore(
        name=name,
        psnr=min(psnr(result, truth, 1.0), MOST_DB),
        ssim=ssim(result, truth, 1.0, zero_border=True),
        rmse=PAPERS_UNIT * rmse(result, truth),
        rmsew_three=watermark_rmse(result, truth, mask),
        rmsew_one=watermark_rmse(result, truth, mask, channels=1),
        inside=math.nan if empty else min(masked_psnr(result, truth, mask, 1.0), MOST_DB),
        f1=math.nan if found is None or empty else f1(found, mask),
        iou=math.nan if found is None or empty else iou(found, mask),
        changed_f1=math.nan if changed is None or empty else f1(changed, mask),
        changed_iou=math.nan if changed is None or empty else iou(changed, mask),
        error=error,
    )


def score_protocol(
    found: Iterable[TripleFiles], pipeline: Pipeline, settings: RepairSettings
) -> Iterator[ProtocolScored]:
    """Repair every picture of a protocol's set and score it, on 16 bits in place of floats."""
    for files in found:
        triple = read_triple(files)
        wide = triple.marked_u8.astype(np.uint16) * 257
        (repair,) = pipeline.repair([Photo(path=files.marked, rgb=wide, container=None)], settings, plainly)
        if isinstance(repair, Exception):
            error = str(repair) or type(repair).__name__
            nothing = np.zeros(triple.opacity.shape, bool)
            scored = Scored(triple, triple.marked_u8, score_result(triple, triple.marked_u8, error=error))
            yield _score(scored, (wide / 65535).astype(np.float32), found=nothing)
            continue
        result_u8 = Photo(path=files.marked, rgb=repair.rgb, container=None).rgb_u8
        scored = Scored(triple, result_u8, score_result(triple, result_u8, found=repair.first.mask))
        result = (repair.rgb / np.iinfo(repair.rgb.dtype).max).astype(np.float32)
        yield _score(scored, result, found=np.asarray(repair.first.probability > CUT, bool))


def score_protocol_folder(found: Sequence[TripleFiles], results: Path) -> Iterator[ProtocolScored]:
    """Score a tool's results for a protocol's set; what it found is known by what it changed alone."""
    for scored in score_folder(found, results):
        yield _score(scored, (scored.result_u8 / 255).astype(np.float32), found=None)


def summarise_protocol(scores: Iterable[ProtocolScore]) -> dict[str, float]:
    """Every figure's mean over the pictures that have it."""
    every = list(scores)
    means = {}
    for key, _, _ in FIGURES:
        known = [value for value in (getattr(score, key) for score in every) if not math.isnan(value)]
        means[key] = float(np.mean(known)) if known else math.nan
    return means


def draw_protocol_table(
    protocol: Protocol, every: Sequence[ProtocolScored], notes: Mapping[str, str] | None = None
) -> Group:
    """A table of the figures beside the input's, a plain fill's and the published ones."""
    columns = _summarise_columns(every)
    title = f"{protocol.name}: {len(every)} pictures"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in (*columns, f"{protocol.published_by}, published"):
        table.add_column(Text(heading), justify="right")
    for key, label, decimals in FIGURES:
        values = [*(means[key] for means in columns.values()), protocol.published.get(key, math.nan)]
        table.add_row(Text(label), *("-" if math.isnan(v) else f"{v:.{decimals}f}" for v in values))
    lines = [NOT_THEIRS, *(f"{name}: {value}" for name, value in (notes or {}).items())]
    failed = [one.score for one in every if one.score.error is not None]
    lines += [f"without a result, scored as left alone: {s.name}: {s.error}" for s in failed]
    return Group(table, Text("\n".join(lines)))


def protocol_to_json(
    protocol: Protocol, every: Sequence[ProtocolScored], notes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The same as plain values, with every picture's figures."""
    content: dict[str, Any] = {
        "protocol": protocol.name,
        "note": NOT_THEIRS,
        **(notes or {}),
        "means": _summarise_columns(every),
        "published": {"by": protocol.published_by, **protocol.published},
        "pictures": [asdict(one.score) for one in every],
    }
    plain: dict[str, Any] = to_plain(content)
    return plain


def _summarise_columns(every: Sequence[ProtocolScored]) -> dict[str, dict[str, float]]:
    return {
        "input": summarise_protocol(one.untouched for one in every),
        "Telea, true mask": summarise_protocol(one.filled for one in every),
        "result": summarise_protocol(one.score for one in every),
    }


def _score(scored: Scored, result: FloatArray, *, found: BoolArray | None) -> ProtocolScored:
    triple = scored.triple
    truth = triple.truth_u8.astype(np.float32) / np.float32(255)
    marked = triple.marked_u8.astype(np.float32) / np.float32(255)
    mask = read_mask(triple.files, triple.inside.shape)
    changed = np.asarray(np.abs(result - marked).sum(axis=2) > CLWD_VISIBLE, bool)
    filled = fill_with_telea(marked, mask)
    name, error = triple.name, scored.score.error
    return ProtocolScored(
        score=measure(name, result, truth, mask, found=found, changed=changed, error=error),
        untouched=measure(name, marked, truth, mask),
        filled=measure(name, filled, truth, mask, found=mask, changed=mask),
        scored=scored,
    )
