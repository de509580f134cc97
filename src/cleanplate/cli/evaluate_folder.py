"""`cleanplate evaluate PHOTOS --folder`: repairs of folders that share a mark, scored."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.errors import UsageError

if TYPE_CHECKING:
    from cleanplate.evaluate.folder_score import FolderScore
    from cleanplate.evaluate.folders import FolderOptions

#: Options that belong to this use alone.
FOLDER_OPTIONS = ("counts", "kinds", "places", "opacities", "qualities")
#: Those of other uses that it takes too.
SHARED_OPTIONS = ("fonts", "logos", "seed", "split", "model", "threshold", "device", "json", "clean_share")
DEFAULT_COUNTS = (8, 24)


def add_folder_arguments(group: argparse._ArgumentGroup) -> None:
    """The options of this use."""
    group.add_argument(
        "--folder",
        action="store_true",
        help="draw folders of which the photographs in DIR share a mark, repair them, and score that",
    )
    group.add_argument("--counts", type=int, nargs="+", metavar="N", help="photographs (default: 8 24)")
    group.add_argument("--kinds", nargs="+", metavar="KIND", help="logo, text, both (default), tiled")
    group.add_argument(
        "--places", nargs="+", metavar="PLACE", help="same (default), anchored, jittered, scaled"
    )
    group.add_argument(
        "--opacities", type=float, nargs="+", metavar="SHARE", help="of the mark (default: 0.3 to 0.85)"
    )
    group.add_argument(
        "--qualities", type=int, nargs="+", metavar="N", help="of the JPEG files (default: 80 to 95)"
    )


def score_folder_uses(arguments: argparse.Namespace) -> int:
    """Draw, repair, score, print."""
    from cleanplate.evaluate.folder_score import score_folders
    from cleanplate.evaluate.make import find_photos
    from cleanplate.evaluate.split import choose_split, find_held_out_assets
    from cleanplate.settings import resolve_settings

    if len(arguments.words) != 1:
        raise UsageError("evaluate --folder takes one folder of photographs")
    sources = choose_split(find_photos(Path(arguments.words[0])), arguments.split)
    assets = find_held_out_assets(arguments.fonts, arguments.logos, None, arguments.split)
    given = {name: getattr(arguments, name) for name in ("model", "threshold", "device")}
    scores = []
    for score in score_folders(sources, assets, list_folders(arguments), resolve_settings(given)):
        scores.append(score)
        print(describe_score(score), file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps([score_to_json(score) for score in scores], indent=2))
    else:
        print_scores(scores)
    return 0


def list_folders(arguments: argparse.Namespace) -> list[FolderOptions]:
    """Every combination of what was asked for."""
    from cleanplate.evaluate.folders import FolderOptions

    combined = itertools.product(
        arguments.counts or DEFAULT_COUNTS,
        arguments.kinds or ("both",),
        arguments.places or ("same",),
        arguments.opacities or (None,),
        arguments.qualities or (None,),
    )
    seed = arguments.seed or 0
    clean = {} if arguments.clean_share is None else {"clean_share": arguments.clean_share}
    return [
        FolderOptions(
            count=count, kind=kind, place=place, opacity=opacity, quality=quality, seed=seed, **clean
        )
        for count, kind, place, opacity, quality in combined
    ]


def describe_score(score: FolderScore) -> str:
    """One folder in one line."""
    chosen, decibels = score.options, score.decibels
    values = ", ".join(f"{way} {value:.1f}" for way, value in decibels.items())
    return f"{chosen.count} {chosen.kind} {chosen.place}, opacity {score.opacity:.2f}: {values} dB"


def score_to_json(score: FolderScore) -> dict[str, Any]:
    """A folder's figures as plain values."""
    import dataclasses

    return dataclasses.asdict(score)


def print_scores(scores: list[FolderScore]) -> None:
    """The table, and how to read it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title="PSNR inside the mark, dB", box=box.SIMPLE)
    names = ("photographs", "kind", "place", "opacity", "input", "Telea, true mask", "without", "result",
             "true mark", "cleaned", "worse", "missed", "clean touched", "true mark within 1/2 px",
             "estimate within 1/2 px", "survey s")  # fmt: skip
    for name in names:
        table.add_column(name, justify="left" if name in ("kind", "place") else "right")
    for score in scores:
        again = "" if score.originals == score.options.count else f" ({score.originals} originals)"
        table.add_row(
            f"{score.options.count}{again}",
            score.options.kind,
            score.options.place,
            f"{score.opacity:.2f}",
            *(
                f"{score.decibels[way]:.1f}"
                for way in ("input", "telea", "single", "result", "exact", "cleaned")
            ),
            f"{score.worse}/{score.marked}",
            f"{score.missed}/{score.marked}",
            f"{score.touched}/{score.clean}",
            *("-" if p is None else f"{p.placed}/{score.marked}" for p in (score.true_mark, score.estimate)),
            f"{score.survey_seconds:.0f}{'' if score.found else ' (none)'}",
        )
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    console.print(
        "without: the program with --shared-mark off. true mark: inverted where it lies, with its opacity "
        "known on every photograph; cleaned: of what compression's rounding grew to. worse: than without. "
        "missed: as it came. within 1/2 px: of the photographs that carry the mark, those on which a repair "
        "places it so well."
    )
