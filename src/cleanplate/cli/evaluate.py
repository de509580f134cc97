"""`cleanplate evaluate DIR` scores repairs of marked photographs; `make` draws some, `compare` sets two side
by side."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.cli.evaluate_folder import (
    FOLDER_OPTIONS,
    SHARED_OPTIONS,
    add_folder_arguments,
    score_folder_uses,
)
from cleanplate.cli.paths import parse_path
from cleanplate.errors import UsageError
from cleanplate.images.identify import identify_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cleanplate.evaluate.protocol_score import ProtocolScored
    from cleanplate.evaluate.run import Scored
    from cleanplate.evaluate.sheet import Sheet
    from cleanplate.evaluate.triples import TripleFiles
    from cleanplate.settings import RepairSettings

MAKE = "make"
COMPARE = "compare"
FOLDER = "--folder"
#: Columns of the tables where no terminal says how many there are.
PLAIN_WIDTH = 132
#: The papers' pictures have a mark each, some of ten pixels: none is too small to be looked at.
PROTOCOL_THRESHOLD = 0.0005
#: Options that belong to some of the uses; each is None where it was not given.
SCORING_OPTIONS = ("model", "threshold", "device", "limit", "results", "sheet", "json", "no_baselines")
MAKING_OPTIONS = (
    "photos", "output", "fonts", "logos", "mark", "count", "clean_share", "mosaic_share", "seed", "split",
    "lossless",
)  # fmt: skip
COMPARING_OPTIONS = ("triples",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.usage = (
        f"{parser.prog} DIR [options]\n"
        f"       {parser.prog} make --photos DIR -o DIR [options]\n"
        f"       {parser.prog} compare A B --triples DIR [options]\n"
        f"       {parser.prog} PHOTOS --folder [options]"
    )
    parser.add_argument(
        "words",
        nargs="+",
        metavar="DIR",
        help="folder of triples (NAME.marked.jpg, NAME.truth.png, NAME.opacity.png); 'make' draws one; "
        "'compare A B' sets two checkpoints or two tools' output folders side by side",
    )
    parser.add_argument(
        "--protocol",
        choices=("clwd", "logo-h"),
        help="a paper's recipe: 'make' draws by it, scoring gives its figures (photographs are yours)",
    )
    _add_scoring(parser.add_argument_group("scoring and comparing"))
    _add_making(parser.add_argument_group("drawing (evaluate make)"))
    add_folder_arguments(parser.add_argument_group("folders that share a mark"))


def run(arguments: argparse.Namespace) -> int:
    """Score a folder of triples, draw one, or compare two results."""
    use = arguments.words[0] if arguments.words[0] in (MAKE, COMPARE) else ""
    use = FOLDER if arguments.folder else use
    every = {*MAKING_OPTIONS, *SCORING_OPTIONS, *COMPARING_OPTIONS, "protocol"}
    wrong = {
        "": MAKING_OPTIONS + COMPARING_OPTIONS + FOLDER_OPTIONS,
        MAKE: SCORING_OPTIONS + COMPARING_OPTIONS + FOLDER_OPTIONS,
        COMPARE: (*MAKING_OPTIONS, "results", "model", "no_baselines", "protocol", *FOLDER_OPTIONS),
        FOLDER: sorted(every - set(SHARED_OPTIONS)),
    }[use]
    given = [f"--{name.replace('_', '-')}" for name in wrong if getattr(arguments, name) is not None]
    if given:
        uses = {"": "'evaluate DIR' scores", MAKE: "'evaluate make' draws", FOLDER: "--folder does both"}
        wanted = uses.get(use, "it compares")
        raise UsageError(f"{', '.join(given)} cannot be used here: {wanted}, and takes such options")
    if use == FOLDER:
        return score_folder_uses(arguments)
    words = {"": 1, MAKE: 1, COMPARE: 3}[use]
    if len(arguments.words) != words:
        wanted = {COMPARE: "compare A B --triples DIR"}.get(use, "one folder, or make")
        raise UsageError(f"evaluate got {' '.join(arguments.words)!r}; wanted: {wanted}")
    return {"": _score, MAKE: _make, COMPARE: _compare}[use](arguments)


def _add_scoring(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--model", metavar="CKPT", help="'embedded' (default), or a checkpoint")
    group.add_argument(
        "--threshold", type=float, metavar="SHARE", help="as in 'repair' (default: 0.005; --protocol: 0.0005)"
    )
    group.add_argument("--device", metavar="DEVICE", help="auto (default), cpu, cuda or cuda:N")
    group.add_argument("--limit", type=int, metavar="N", help="only the first N triples in name order")
    group.add_argument(
        "--results",
        "--outputs",
        type=parse_path,
        metavar="DIR",
        help="score these results of any tool, NAME.*, instead of repairing",
    )
    group.add_argument(
        "--no-baselines",
        action="store_const",
        const=True,
        help="leave out what the input and a plain fill under the true mask come to",
    )
    group.add_argument("--triples", type=parse_path, metavar="DIR", help="what 'compare' compares on")
    group.add_argument(
        "--sheet", type=parse_path, metavar="FILE.png", help="write the worst ten, or those that differ most"
    )
    group.add_argument(
        "--json",
        action="store_const",
        const=True,
        help="print JSON, and nothing else there, to standard output",
    )


def _add_making(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--photos", type=parse_path, metavar="DIR", help="photographs to put marks on")
    group.add_argument("-o", "--output", type=parse_path, metavar="DIR", help="folder for the triples")
    group.add_argument(
        "--fonts", type=parse_path, metavar="DIR", help="fonts (default: the one Pillow brings)"
    )
    group.add_argument(
        "--logos", type=parse_path, metavar="DIR", help="SVG or PNG logos (default: drawn shapes)"
    )
    group.add_argument("--mark", type=parse_path, metavar="FILE.png", help="draw this RGBA mark and no other")
    group.add_argument("--count", type=int, metavar="N", help="how many (default: one a photograph)")
    group.add_argument(
        "--clean-share", type=float, metavar="SHARE", help="part without marks (default: 0.25)"
    )
    group.add_argument(
        "--mosaic-share",
        type=float,
        metavar="SHARE",
        help="part on mosaics, 960 to 2400 pixels (default: a third if few photographs are large)",
    )
    group.add_argument("--seed", type=int, metavar="N", help="decides everything drawn (default: 0)")
    group.add_argument(
        "--split", choices=("validation", "test"), help="only this half of the project's own photographs"
    )
    group.add_argument(
        "--lossless", action="store_const", const=True, help="with --protocol clwd: without its JPEG"
    )


def _make(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from cleanplate.evaluate.make import MakeOptions, find_photos, make_triples
    from cleanplate.evaluate.split import choose_split, find_held_out_assets
    from cleanplate.marks import read_mark

    if arguments.photos is None or arguments.output is None:
        raise UsageError("evaluate make needs --photos DIR and -o DIR")
    photos = choose_split(find_photos(arguments.photos), arguments.split)
    assets = find_held_out_assets(arguments.fonts, arguments.logos, None, arguments.split)
    if arguments.protocol is not None:
        return _make_protocol(arguments, photos, assets)
    if arguments.lossless is not None:
        raise UsageError("--lossless belongs to --protocol clwd")
    if arguments.mark is not None:
        assets = replace(assets, mark=read_mark(arguments.mark))
    names = ("count", "clean_share", "mosaic_share", "seed")
    chosen = {name: getattr(arguments, name) for name in names}
    options = MakeOptions(output=arguments.output, **{k: v for k, v in chosen.items() if v is not None})
    made = make_triples(photos, assets, options, lambda files: _tell(files.marked.name))
    print(f"{len(made)} triples in {arguments.output}")
    return 0


def _make_protocol(arguments: argparse.Namespace, photos: tuple[Path, ...], assets: Any) -> int:
    from cleanplate.evaluate.protocol import find_protocol, make_protocol_triples
    from cleanplate.evaluate.protocol_score import NOT_THEIRS

    names = ("mark", "clean_share", "mosaic_share")
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) is not None]
    if given:
        raise UsageError(f"{', '.join(given)} cannot be used here: --protocol fixes how pictures are drawn")
    made = make_protocol_triples(
        find_protocol(arguments.protocol),
        photos,
        assets,
        arguments.output,
        count=arguments.count,
        seed=arguments.seed or 0,
        lossless=bool(arguments.lossless),
        report=lambda files: _tell(files.marked.name),
    )
    print(f"{len(made)} triples in {arguments.output}\n{NOT_THEIRS}")
    return 0


def _score(arguments: argparse.Namespace) -> int:
    from cleanplate.evaluate.baselines import Baselines
    from cleanplate.evaluate.goals import goals_to_json
    from cleanplate.evaluate.run import collect
    from cleanplate.evaluate.sheet import WorstSheet
    from cleanplate.evaluate.summary import to_json
    from cleanplate.evaluate.tables import draw_tables

    found = _find_triples(arguments, Path(arguments.words[0]))
    _check_sheet(arguments.sheet)
    if arguments.protocol is not None:
        return _score_protocol(arguments, found)
    sheet, baselines = WorstSheet(), Baselines()
    watchers = [sheet.add, _tell_score, *([] if arguments.no_baselines else [baselines.add])]
    scores = collect(_choose_scoring(arguments, found), *watchers)
    beside = {} if arguments.no_baselines else baselines.scores
    if arguments.json:
        content = {"goals": goals_to_json({"result": scores, **beside}), **to_json(scores)}
        print(json.dumps(content, indent=2))
    else:
        _print(draw_tables(scores, beside))
    _write_sheet(sheet, arguments.sheet)
    return 1 if any(score.error is not None for score in scores) else 0


def _score_protocol(arguments: argparse.Namespace, found: tuple[TripleFiles, ...]) -> int:
    from cleanplate.evaluate.protocol import find_protocol
    from cleanplate.evaluate.protocol_score import draw_protocol_table, protocol_to_json
    from cleanplate.evaluate.sheet import WorstSheet

    protocol = find_protocol(arguments.protocol)
    if arguments.no_baselines:
        raise UsageError("--no-baselines cannot be used with --protocol")
    sheet, every, notes = WorstSheet(), [], _describe_model(arguments)
    for one in _choose_protocol_scoring(arguments, found):
        sheet.add(one.scored)
        _tell(f"{one.score.name}: {one.score.error or f'{one.score.psnr:.2f} dB, F1 {one.score.f1:.3f}'}")
        every.append(one)
    if arguments.json:
        print(json.dumps(protocol_to_json(protocol, every, notes), indent=2))
    else:
        _print(draw_protocol_table(protocol, every, notes))
    _write_sheet(sheet, arguments.sheet)
    return 1 if any(one.score.error is not None for one in every) else 0


def _compare(arguments: argparse.Namespace) -> int:
    from cleanplate.evaluate.compare import comparison_to_json, draw_comparison, pair_up
    from cleanplate.evaluate.sheet import PairSheet

    if arguments.triples is None:
        raise UsageError("evaluate compare needs --triples DIR")
    found = _find_triples(arguments, arguments.triples)
    _check_sheet(arguments.sheet)
    one, other = arguments.words[1:]
    names = (one, other)
    sheet, first, second = PairSheet(), [], []
    for pair in pair_up(_choose_side(arguments, found, one), _choose_side(arguments, found, other)):
        sheet.add(pair.first, pair.second, pair.lead)
        first.append(pair.first.score)
        second.append(pair.second.score)
        _tell(f"{pair.first.score.name}: B better by {pair.lead:.1f} dB")
    if arguments.json:
        print(json.dumps(comparison_to_json(names, first, second), indent=2))
    else:
        _print(draw_comparison(names, first, second))
    _write_sheet(sheet, arguments.sheet)
    return 1 if any(score.error is not None for score in (*first, *second)) else 0


def _check_sheet(sheet: Path | None) -> None:
    """Before hours of scoring: raises UsageError where a sheet could not be written."""
    if sheet is not None and (sheet.is_dir() or not sheet.absolute().parent.is_dir()):
        raise UsageError(f"{sheet}: the sheet cannot be written there; make its folder, or name a file")
    if sheet is not None and sheet.is_file() and identify_file(sheet) != "PNG":
        raise UsageError(f"{sheet}: is there already and no PNG, so no earlier sheet; name another file")


def _write_sheet(sheet: Sheet, path: Path | None) -> None:
    """Once the figures are printed: a full disk loses none of them."""
    try:
        if path is not None:
            sheet.write(path)
    except OSError as exc:
        raise UsageError(f"{path}: the sheet cannot be written ({exc.strerror or exc})") from exc


def _find_triples(arguments: argparse.Namespace, folder: Path) -> tuple[TripleFiles, ...]:
    from cleanplate.evaluate.triples import find_triples

    if arguments.limit is not None and arguments.limit < 1:
        raise UsageError(f"--limit is {arguments.limit}; wanted: a whole number from 1")
    return find_triples(folder)[: arguments.limit]


def _choose_scoring(arguments: argparse.Namespace, found: tuple[TripleFiles, ...]) -> Iterator[Scored]:
    from cleanplate.evaluate.run import score_folder, score_pipeline

    if arguments.results is not None:
        return score_folder(found, _take_results(arguments))
    from cleanplate.pipeline.assemble import assemble_pipeline

    settings = _settle(arguments)
    return score_pipeline(found, assemble_pipeline(settings), settings)


def _choose_protocol_scoring(
    arguments: argparse.Namespace, found: tuple[TripleFiles, ...]
) -> Iterator[ProtocolScored]:
    from cleanplate.evaluate.protocol_score import score_protocol, score_protocol_folder

    if arguments.results is not None:
        return score_protocol_folder(found, _take_results(arguments))
    from cleanplate.pipeline.assemble import assemble_pipeline

    settings = _settle(arguments, PROTOCOL_THRESHOLD)
    return score_protocol(found, assemble_pipeline(settings), settings)


def _choose_side(
    arguments: argparse.Namespace, found: tuple[TripleFiles, ...], side: str
) -> Iterator[Scored]:
    """A folder is a tool's results, anything else a checkpoint."""
    from cleanplate.evaluate.run import score_folder, score_pipeline

    if Path(side).is_dir():
        return score_folder(found, Path(side))
    from cleanplate.pipeline.assemble import assemble_pipeline

    arguments.model = side
    settings = _settle(arguments)
    return score_pipeline(found, assemble_pipeline(settings), settings)


def _take_results(arguments: argparse.Namespace) -> Path:
    if any(getattr(arguments, name) is not None for name in ("model", "threshold", "device")):
        raise UsageError(
            "--results scores what is there already: --model, --threshold and --device have no use"
        )
    results: Path = arguments.results
    return results


def _settle(arguments: argparse.Namespace, threshold: float | None = None) -> RepairSettings:
    from cleanplate.settings import resolve_settings

    given = {name: getattr(arguments, name) for name in ("model", "threshold", "device")}
    if given["threshold"] is None:
        given["threshold"] = threshold
    return resolve_settings(given)


def _describe_model(arguments: argparse.Namespace) -> dict[str, str]:
    """What stands under a protocol's figures: how large the networks are."""
    if arguments.results is not None:
        return {"results": str(arguments.results)}
    from cleanplate.models.weights import load_networks

    networks = load_networks(_settle(arguments).model)
    together = (networks.finder, networks.restorer, networks.chooser)
    count = sum(p.numel() for network in together for p in network.parameters())
    return {"all networks": f"{count / 1e6:.2f} M parameters"}


def _print(table: Any) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    Console(width=width).print(table)


def _tell_score(scored: Scored) -> None:
    score = scored.score
    change = f"{score.inside_before:.1f} -> {score.inside_after:.1f} dB inside"
    if score.is_clean:
        change = "clean, touched" if score.touched else "clean, untouched"
    _tell(f"{score.name}: {score.error or change}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
