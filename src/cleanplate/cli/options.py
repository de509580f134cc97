"""The options of a repair: one table, shared by `cleanplate repair` and the doors of the original plan.

Each row of `SETTING_OPTIONS` is a field of `RepairSettings`; what is left out on the command line stays None,
so that `resolve_settings` can tell what was given. The rest is how the run is watched, never what it does.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanplate.cli.paths import parse_path
from cleanplate.errors import InvalidSettingError, UsageError
from cleanplate.settings import (
    INPAINT_MODELS,
    INPAINTERS,
    OCR_MODES,
    OTHER_MARKS_MODES,
    OUTPUT_FORMATS,
    PRESETS,
    SHARED_MARK_MODES,
    RepairSettings,
    resolve_settings,
)
from cleanplate.sizes import parse_bytes


@dataclass(frozen=True, kw_only=True)
class Option:
    """One setting as an option. parse: from its text, or None for a switch (which then has a --no- form).

    repeats: whether it may be given several times. bare: its value where none follows it.
    """

    name: str
    help: str
    parse: Callable[[str], Any] | None = None
    metavar: str | None = None
    choices: Sequence[str] | None = None
    repeats: bool = False
    bare: str | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class Watching:
    """How a person wants to follow a run."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_file: Path | None = None
    report: bool = False
    live: bool = False
    port: int = 0
    browser: bool = True


def _parse_size(text: str) -> int:
    try:
        return parse_bytes(text)
    except InvalidSettingError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not {error.wanted}") from error


def _whole(name: str, text: str) -> Option:
    return Option(name=name, help=text, parse=int, metavar="N")


SETTING_OPTIONS: Mapping[str, tuple[Option, ...]] = {
    "what is looked at": (
        Option(name="recursive", help="search the folders inside the input folders too"),
        _whole("limit", "only the first N photographs in name order"),
        Option(
            name="max_megapixels",
            help="refuse photographs above this, as decompression bombs",
            parse=float,
            metavar="MP",
        ),
    ),
    "how marks are found and removed": (
        Option(
            name="model",
            help="'embedded', or a checkpoint made by 'cleanplate train'",
            parse=str,
            metavar="CKPT",
        ),
        Option(
            name="threshold",
            help="least share of a photograph that its marks must cover, measured on the boxes round them",
            parse=float,
            metavar="SHARE",
        ),
        _whole("max_iterations", "find-and-repair rounds on one photograph"),
        Option(
            name="inpaint",
            help="what fills marks that let nothing through: "
            f"{', '.join((*INPAINTERS, *INPAINT_MODELS))}, the path of a network's weights, or "
            f"iopaint:MODEL; "
            "any but auto fills every mark",
            parse=str,
            metavar="HOW",
        ),
        Option(
            name="model_dir",
            help="folder with the weights of inpainting networks, see 'cleanplate models'",
            parse=str,
            metavar="DIR",
        ),
        Option(name="trust", help="run TorchScript weights that the catalogue does not know"),
        Option(
            name="masks",
            help="masks that say where the marks are: a folder of files with the photographs' names, or one "
            "file for all; nothing is looked for then",
            parse=str,
            metavar="DIR|FILE",
        ),
        Option(
            name="mark",
            help="a picture of the mark, RGBA: looked for at any place and size, inverted; may be repeated",
            parse=str,
            metavar="FILE.png",
            repeats=True,
        ),
        Option(
            name="shared_mark",
            help="work out the mark that photographs share, and invert it; 'require': do nothing without one",
            parse=str,
            choices=SHARED_MARK_MODES,
        ),
        Option(
            name="other_marks",
            help="look for other marks too on photographs that carry a known one; 'auto': where many do",
            parse=str,
            choices=OTHER_MARKS_MODES,
        ),
        Option(
            name="ocr",
            help="also mark lettering that an OCR engine finds: where the finder has a trace of it, or 'all'",
            parse=str,
            choices=OCR_MODES,
            bare="overlay",
        ),
        Option(
            name="ocr_languages",
            help="kept for the original plan: text is found, not read, so languages change nothing",
            parse=str,
            metavar="LANGS",
        ),
        Option(
            name="box",
            help="a box that is marked on every photograph, in pixels; may be repeated",
            parse=str,
            metavar="X,Y,W,H",
            repeats=True,
        ),
        Option(
            name="anchor",
            help="a place that is marked on every photograph, as bottom-right:20%%x8%%; may be repeated",
            parse=str,
            metavar="PLACE:WxH",
            repeats=True,
        ),
        Option(
            name="timeout",
            help="seconds that IOPaint may take for one batch",
            parse=float,
            metavar="SECONDS",
        ),
        Option(
            name="iopaint_command",
            help="IOPaint's program in an environment of its own, see docs/iopaint.md",
            parse=str,
            metavar="PATH",
        ),
    ),
    "what is written": (
        Option(
            name="format",
            help="format of the results; 'keep': each as it came",
            parse=str,
            choices=OUTPUT_FORMATS,
        ),
        Option(
            name="quality",
            help="quality of JPEG, lossy WebP, HEIC and AVIF, 1 to 100, instead of the input's own",
            parse=int,
            metavar="N",
        ),
        Option(name="save_masks", help="write each mask to OUT/.cleanplate/masks/"),
        Option(name="dry_run", help="find only: say what would be repaired, write nothing"),
        Option(name="overwrite", help="replace files in the output folder that cleanplate did not write"),
    ),
    "speed and memory": (
        Option(
            name="optimize", help="batched, guarded and overlapped; off: one photograph at a time, plainly"
        ),
        _whole("batch_size", "photographs admitted together"),
        _whole("pause_interval", "photographs between clean-ups of memory"),
        Option(name="device", help="auto, cpu, cuda or cuda:N", parse=str, metavar="DEVICE"),
        Option(
            name="memory_limit",
            help="memory to work in, as in 3GB or 512MiB; without it, 0.8 of what is free",
            parse=_parse_size,
            metavar="SIZE",
        ),
        Option(
            name="supervise",
            help="run the networks in a process of its own, started again when it hangs or crashes; without "
            "this option, on CUDA only",
        ),
        Option(
            name="profile",
            help="write stage times, traces and, on CUDA, a memory snapshot to this folder",
            parse=str,
            metavar="DIR",
        ),
    ),
}


def add_options(
    parser: argparse.ArgumentParser,
    defaults: Mapping[str, Any],
    only: Collection[str] | None = None,
    *,
    tells_events: bool = True,
) -> None:
    """Add every option of a repair to a parser. defaults: the door's own, where not the class's.

    only: the names of the settings that the command has a use for; None: all. tells_events: whether the
    command has something to tell of each photograph.
    """
    shown = dataclasses.asdict(RepairSettings(**defaults))
    for title, options in SETTING_OPTIONS.items():
        used = [option for option in options if only is None or option.name in only]
        group = parser.add_argument_group(title) if used else None
        for option in used:
            assert group is not None  # there is one where there are options
            _add_option(group, option, shown[option.name])
    presets = parser.add_argument_group("presets").add_mutually_exclusive_group()
    presets.add_argument("--fast", dest="preset", action="store_const", const="fast", help=_describe("fast"))
    presets.add_argument(
        "--conservative",
        dest="preset",
        action="store_const",
        const="conservative",
        help=_describe("conservative"),
    )
    parser.add_argument(
        "--config",
        type=parse_path,
        metavar="FILE.toml",
        help="settings from a file; options and presets beat it",
    )
    watching = parser.add_argument_group("how it is followed")
    _add_watching(watching, tells_events=tells_events)
    if only is None:  # a page shows results, which only a repair has
        _add_pages(watching)


def read_settings(arguments: argparse.Namespace, defaults: Mapping[str, Any]) -> RepairSettings:
    """The settings that parsed options ask for. Raises UsageError or InvalidSettingError."""
    names = [option.name for options in SETTING_OPTIONS.values() for option in options]
    given = {name: getattr(arguments, name, None) for name in names}
    reports = getattr(arguments, "report", False)
    if reports and given["save_masks"] is None:  # a page without masks can only show boxes
        given["save_masks"] = True
    settings = resolve_settings(
        given,
        preset=arguments.preset,
        file=arguments.config,
        defaults=defaults,
    )
    if reports and settings.dry_run:
        raise UsageError("a dry run writes nothing, so no report either; leave out --report or the dry run")
    return settings


def read_watching(arguments: argparse.Namespace) -> Watching:
    """How parsed options ask for the run to be followed. A command may have some of them only."""
    given = vars(arguments)
    return Watching(**{f.name: given[f.name] for f in dataclasses.fields(Watching) if f.name in given})


def _add_option(group: argparse._ArgumentGroup, option: Option, default: Any) -> None:
    if option.parse is None:
        group.add_argument(
            option.flag,
            action=argparse.BooleanOptionalAction,
            default=None,
            help=option.help if default is None else f"{option.help} (default: {'on' if default else 'off'})",
        )
        return
    text = option.help if default in (None, ()) else f"{option.help} (default: {default})"
    if option.bare is not None:
        group.add_argument(
            option.flag, nargs="?", const=option.bare, choices=option.choices, default=None, help=text
        )
        return
    if option.repeats:
        group.add_argument(
            option.flag, action="append", type=option.parse, metavar=option.metavar, default=None, help=text
        )
        return
    group.add_argument(
        option.flag,
        type=option.parse,
        metavar=option.metavar,
        choices=option.choices,
        default=None,
        help=text,
    )


def _add_watching(group: argparse._ArgumentGroup, *, tells_events: bool) -> None:
    group.add_argument(
        "--json",
        action="store_true",
        help="print the summary as JSON, and nothing else there, to standard output",
    )
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument("--quiet", action="store_true", help="print nothing but errors")
    if tells_events:
        loudness.add_argument("--verbose", action="store_true", help="print a line for every photograph")
        group.add_argument(
            "--log-file", type=parse_path, metavar="FILE", help="write every event to a file too"
        )


def _add_pages(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--report",
        action="store_true",
        help="write a page about every photograph into the output folder, report.html; keeps the masks",
    )
    group.add_argument(
        "--live",
        action="store_true",
        help="serve a page on this machine while the run goes on, with a pause button; afterwards it is for "
        "review, until Ctrl-C",
    )
    add_serving(group)


def add_serving(group: argparse._ActionsContainer) -> None:
    """How a page is served."""
    group.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="serve the page at 127.0.0.1:N (default: any that is free)",
    )
    group.add_argument(
        "--no-browser",
        dest="browser",
        action="store_false",
        help="print the page's address, open no browser",
    )


def _describe(preset: str) -> str:
    chosen = (f"--{name.replace('_', '-')} {value}" for name, value in PRESETS[preset].items())
    return f"the same as {' '.join(chosen)}"
