"""Which photographs, fonts and logos are for choosing (validation) and which for reporting (test).

`splits.json` names the photographs that this project validates on: 100 of BSDS500, 22 of Urban100 and 18 free
wallpapers, each group halved by the hash of the file's name. Names alone are kept; the photographs are not
part of the project. A figure that was tuned on the validation half may be reported on the test half only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.marks.assets import Assets, find_assets, split_by_name

Split = Literal["validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
SPLITS_FILE = "splits.json"
#: Share of the fonts and logos that training never sees (the same as in `cleanplate train`).
HELD_OUT_SHARE = 0.1


def read_split(split: str) -> frozenset[str]:
    """File names of a split's photographs. Raises InvalidSettingError where there is no such split."""
    if split not in SPLITS:
        raise InvalidSettingError("split", split, " or ".join(SPLITS))
    content = json.loads((files("cleanplate.evaluate") / SPLITS_FILE).read_text(encoding="utf-8"))
    return frozenset(content[split])


def choose_split(paths: Iterable[Path], split: str | None) -> tuple[Path, ...]:
    """The photographs that belong to a split, or all of them without one.

    Raises UsageError where none does.
    """
    given = tuple(paths)
    if split is None:
        return given
    names = read_split(split)
    chosen = tuple(path for path in given if path.name in names)
    if not chosen:
        raise UsageError(
            f"none of the {len(given)} photographs is in the {split} split; leave --split out to take all"
        )
    return chosen


def halve_by_name(names: Iterable[str]) -> dict[str, list[str]]:
    """The split of a list of file names: each group (the name up to its first underscore) is halved.

    >>> halves = halve_by_name(["a_1.jpg", "a_2.jpg", "b_1.jpg", "b_2.jpg"])
    >>> [len(halves[split]) for split in SPLITS]
    [2, 2]
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.split("_", 1)[0], []).append(name)
    halves: dict[str, list[str]] = {split: [] for split in SPLITS}
    for group in groups.values():
        for index, name in enumerate(sorted(group, key=lambda n: hashlib.sha256(os.fsencode(n)).hexdigest())):
            halves[SPLITS[index % 2]].append(name)
    return {split: sorted(chosen) for split, chosen in halves.items()}


def find_held_out_assets(
    fonts: Path | None, logos: Path | None, cache: Path | None, split: str | None
) -> Assets:
    """Fonts and logos that training has not seen: one half of them for each split, both without one.

    A script that no font of the half covers is drawn with the other half's, so that every split has it.
    """
    chosen = find_assets(fonts, logos, cache, _part_of(split))
    if fonts is None or split is None:
        return chosen
    both = find_assets(fonts, None, cache, _part_of(None))
    return replace(chosen, fonts={s: found or both.fonts[s] for s, found in chosen.fonts.items()})


def _part_of(split: str | None) -> Callable[[str], bool]:
    held_out = split_by_name(HELD_OUT_SHARE, inside=True)
    if split is None:
        return held_out
    first_half = split_by_name(HELD_OUT_SHARE / 2, inside=True)
    wants_first = split == "validation"
    return lambda name: held_out(name) and first_half(name) is wants_first
