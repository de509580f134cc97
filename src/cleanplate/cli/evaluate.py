"""`cleanplate evaluate DIR` scores repairs of marked photographs; `cleanplate evaluate make` draws some."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cleanplate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanplate.evaluate.run import Scored
    from cleanplate.evaluate.triples import TripleFiles

MAKE = "make"
#: Columns of the tables where no terminal says how many there are.
PLAIN_WIDTH = 110
#: Options that belong to one of the two uses; each is None (or empty) where it was not given.
SCORING_OPTIONS = ("model", "threshold", "device", "limit", "results", "sheet", "json")
MAKING_OPTIONS = ("photos", "output", "fonts", "logos", "count", "clean_share", "seed", "split")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.usage = f"{parser.prog} DIR [options]\n       {parser.prog} make --photos DIR -o DIR [options]"
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="folder of triples (NAME.marked.jpg, NAME.truth.png, NAME.opacity.png); 'make' draws one",
    )
    _add_scoring(parser.add_argument_group("scoring"))
    _add_making(parser.add_argument_group("drawing (evaluate make)"))


def run(arguments: argparse.Namespace) -> int:
    """Score a folder of triples, or draw one."""
    makes = arguments.folder == Path(MAKE)
    wrong = SCORING_OPTIONS if makes else MAKING_OPTIONS
    given = [f"--{name.replace('_', '-')}" for name in wrong if getattr(arguments, name) is not None]
    if given:
        wanted = "'evaluate DIR' scores" if makes else "'evaluate make' draws"
        raise UsageError(f"{', '.join(given)} cannot be used here: {wanted}, and takes such options")
    return _make(arguments) if makes else _score(arguments)


def _add_scoring(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--model", metavar="CKPT", help="'embedded' (default), or a checkpoint")
    group.add_argument("--threshold", type=float, metavar="SHARE", help="as in 'repair' (default: 0.005)")
    group.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda or cuda:N")
    group.add_argument("--limit", type=int, metavar="N", help="only the first N triples in name order")
    group.add_argument(
        "--results", type=Path, metavar="DIR", help="score these results, NAME.*, instead of repairing"
    )
    group.add_argument("--sheet", type=Path, metavar="FILE.png", help="write the worst ten as pictures")
    group.add_argument(
        "--json",
        action="store_const",
        const=True,
        help="print JSON, and nothing else there, to standard output",
    )


def _add_making(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--photos", type=Path, metavar="DIR", help="photographs to put marks on")
    group.add_argument("-o", "--output", type=Path, metavar="DIR", help="folder for the triples")
    group.add_argument("--fonts", type=Path, metavar="DIR", help="fonts (default: the one Pillow brings)")
    group.add_argument("--logos", type=Path, metavar="DIR", help="SVG or PNG logos (default: drawn shapes)")
    group.add_argument("--count", type=int, metavar="N", help="how many (default: one a photograph)")
    group.add_argument(
        "--clean-share", type=float, metavar="SHARE", help="part without marks (default: 0.25)"
    )
    group.add_argument("--seed", type=int, metavar="N", help="decides everything drawn (default: 0)")
    group.add_argument(
        "--split", choices=("validation", "test"), help="only this half of the project's own photographs"
    )


def _make(arguments: argparse.Namespace) -> int:
    from cleanplate.evaluate.make import MakeOptions, find_photos, make_triples
    from cleanplate.evaluate.split import choose_split, find_held_out_assets

    if arguments.photos is None or arguments.output is None:
        raise UsageError("evaluate make needs --photos DIR and -o DIR")
    chosen = {name: getattr(arguments, name) for name in ("count", "clean_share", "seed")}
    options = MakeOptions(output=arguments.output, **{k: v for k, v in chosen.items() if v is not None})
    photos = choose_split(find_photos(arguments.photos), arguments.split)
    assets = find_held_out_assets(arguments.fonts, arguments.logos, None, arguments.split)
    made = make_triples(photos, assets, options, lambda files: _tell(files.marked.name))
    print(f"{len(made)} triples in {arguments.output}")
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from cleanplate.evaluate.run import collect
    from cleanplate.evaluate.sheet import WorstSheet
    from cleanplate.evaluate.summary import to_json
    from cleanplate.evaluate.tables import draw_tables
    from cleanplate.evaluate.triples import find_triples

    if arguments.limit is not None and arguments.limit < 1:
        raise UsageError(f"--limit is {arguments.limit}; wanted: a whole number from 1")
    found = find_triples(arguments.folder)[: arguments.limit]
    sheet = WorstSheet()
    scores = collect(_choose_scoring(arguments, found), sheet.add, _tell_score)
    if arguments.sheet is not None:
        sheet.write(arguments.sheet)
    if arguments.json:
        print(json.dumps(to_json(scores), indent=2))
    else:
        width = None if sys.stdout.isatty() else PLAIN_WIDTH
        Console(width=width).print(draw_tables(scores))
    return 1 if any(score.error is not None for score in scores) else 0


def _choose_scoring(arguments: argparse.Namespace, found: tuple[TripleFiles, ...]) -> Iterator[Scored]:
    from cleanplate.evaluate.run import score_folder, score_pipeline
    from cleanplate.settings import resolve_settings

    names = ("model", "threshold", "device")
    if arguments.results is not None:
        if any(getattr(arguments, name) is not None for name in names):
            raise UsageError(
                "--results scores what is there already: --model, --threshold and --device have no use"
            )
        return score_folder(found, arguments.results)
    from cleanplate.pipeline.assemble import assemble_pipeline

    settings = resolve_settings({name: getattr(arguments, name) for name in names})
    return score_pipeline(found, assemble_pipeline(settings), settings)


def _tell_score(scored: Scored) -> None:
    score = scored.score
    change = f"{score.inside_before:.1f} -> {score.inside_after:.1f} dB inside"
    if score.is_clean:
        change = "clean, touched" if score.touched else "clean, untouched"
    _tell(f"{score.name}: {score.error or change}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
