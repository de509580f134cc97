"""How results show themselves in notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cleanplate.errors import PhotoError
from cleanplate.images.compare import compare_html
from cleanplate.images.read import read
from cleanplate.structures import Outcome, Verdict

#: Repaired photographs that a summary shows; the report shows all.
MOST_SHOWN = 4
_MAX_MEGAPIXELS = 200.0


def show_folder(counts: Mapping[str, int], outcomes: Sequence[Outcome], output: Path | None) -> str:
    """HTML: what became of how many, and the first repaired photographs with their sliders."""
    heads = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in counts)
    cells = "".join(f"<td>{count}</td>" for count in counts.values())
    table = f"<table><thead><tr>{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"
    return table + "".join([] if output is None else _show_repaired(outcomes, output))


def _show_repaired(outcomes: Sequence[Outcome], output: Path) -> Iterator[str]:
    repaired = [each for each in outcomes if each.verdict is Verdict.REPAIRED and each.output is not None]
    for outcome in repaired[:MOST_SHOWN]:
        try:
            before = read(outcome.source, max_megapixels=_MAX_MEGAPIXELS).rgb
            after = read(output / (outcome.output or ""), max_megapixels=_MAX_MEGAPIXELS).rgb
        except PhotoError:  # moved since
            continue
        yield compare_html(before, after, f"{outcome.relative}: marks on {outcome.share:.1%}")
    if len(repaired) > MOST_SHOWN:
        rest = len(repaired) - MOST_SHOWN
        where = html.escape(str(output).encode("utf-8", "replace").decode("utf-8"))
        yield f"<p>and {rest} more; <code>cleanplate report {where}</code> shows them all</p>"
