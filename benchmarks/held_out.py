"""What benchmarks of folders draw from: photographs, fonts and logos of one split, and where marks lie."""

from __future__ import annotations

import argparse
from pathlib import Path

from cleanplate.evaluate.folders import PLACES
from cleanplate.evaluate.make import find_photos
from cleanplate.evaluate.split import SPLITS, choose_split, find_held_out_assets
from cleanplate.marks import Assets


def add_drawing_arguments(parser: argparse.ArgumentParser) -> None:
    """PHOTOS and the options that `load_split` reads, with `--place` and `--seed`."""
    parser.add_argument("photos", type=Path)
    parser.add_argument("--place", choices=PLACES, default="anchored")
    parser.add_argument("--split", choices=SPLITS, default="validation")
    parser.add_argument("--fonts", type=Path)
    parser.add_argument("--logos", type=Path)
    parser.add_argument("--seed", type=int, default=1)


def load_split(arguments: argparse.Namespace) -> tuple[tuple[Path, ...], Assets]:
    """The photographs of a split, and the fonts and logos that belong to it."""
    assets = find_held_out_assets(arguments.fonts, arguments.logos, None, arguments.split)
    return choose_split(find_photos(arguments.photos), arguments.split), assets
