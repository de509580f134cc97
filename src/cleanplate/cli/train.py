"""`cleanplate train finder|restorer|chooser`: train a network on photographs with marks drawn on them."""

from __future__ import annotations

import argparse
import functools
import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cleanplate.cli.paths import parse_path

if TYPE_CHECKING:
    from cleanplate.marks import Assets
    from cleanplate.train.loop import TrainingOptions

#: Crops and peak of the learning rate where none is given: of a training, and of adapting to one mark.
EXAMPLES, MARK_EXAMPLES = 100_000, 2_400
LEARNING_RATE, MARK_LEARNING_RATE = 8e-4, 4e-4
#: Adapting to a mark: its part of the marked photographs (the others keep the network from forgetting), how
#: often it is validated, and on how much.
MARK_SHARE = 0.75
MARK_VALIDATIONS, MARK_VALIDATION_COUNT = 3, {"finder": 16, "restorer": 32, "chooser": 32}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.epilog = "The same command again goes on where it stopped."
    parser.add_argument("network", choices=("finder", "restorer", "chooser"), help="what is trained")
    data = parser.add_argument_group("what it learns from")
    data.add_argument(
        "--photos", type=parse_path, required=True, metavar="DIR", help="photographs to train on"
    )
    data.add_argument(
        "--validation", type=parse_path, metavar="DIR", help="photographs to validate on (default: a tenth)"
    )
    data.add_argument(
        "--fonts", type=parse_path, metavar="DIR", help="fonts for marks (default: the one Pillow brings)"
    )
    data.add_argument(
        "--logos", type=parse_path, metavar="DIR", help="SVG or PNG logos for marks (default: drawn shapes)"
    )
    data.add_argument(
        "--mark",
        type=parse_path,
        metavar="FILE.png",
        help="adapt to this one mark (an RGBA picture), in minutes; with --init embedded",
    )
    data.add_argument("--seed", type=int, default=0, metavar="N", help="decides every example (default: 0)")
    run = parser.add_argument_group("how it learns")
    run.add_argument(
        "-o",
        "--output",
        type=parse_path,
        metavar="DIR",
        help="folder for the state and the weights (default: trained/NETWORK, or trained/MARK-NETWORK)",
    )
    run.add_argument("--init", metavar="CKPT", help="'embedded', or a checkpoint to start from")
    run.add_argument(
        "--join",
        metavar="CKPT",
        help="write joined.safetensors too: this network, and the others of this checkpoint",
    )
    run.add_argument(
        "--examples",
        type=int,
        metavar="N",
        help=f"crops in all (default: {EXAMPLES}; --mark: {MARK_EXAMPLES})",
    )
    run.add_argument("--batch-size", type=int, default=12, metavar="N", help="crops a step (default: 12)")
    run.add_argument(
        "--crop-size", type=int, default=256, metavar="PX", help="edge of a crop in pixels (default: 256)"
    )
    run.add_argument(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help=f"its peak (default: {LEARNING_RATE}; --mark: {MARK_LEARNING_RATE})",
    )
    run.add_argument(
        "--device", default="cpu", metavar="DEVICE", help="cpu, auto, cuda or cuda:N (default: cpu)"
    )
    run.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes that draw examples (default: 1)"
    )
    run.add_argument(
        "--threads", type=int, default=2, metavar="N", help="CPU threads of the network (default: 2)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train; the path of the best weights goes to standard output."""
    import torch

    from cleanplate.errors import InvalidSettingError
    from cleanplate.marks.assets import find_assets, split_by_name
    from cleanplate.marks.mosaic import choose_mosaic_share, read_long_side
    from cleanplate.train.chooser import train_chooser
    from cleanplate.train.examples import ExampleSource, split_photos
    from cleanplate.train.finder import train_finder
    from cleanplate.train.restorer import train_restorer

    options = _choose_options(arguments)
    if arguments.threads < 1:
        raise InvalidSettingError("threads", arguments.threads, "a whole number from 1")
    torch.set_num_threads(arguments.threads)
    kept, held_out = split_photos(arguments.photos, arguments.validation)
    find = functools.partial(find_assets, arguments.fonts, arguments.logos, options.output / "logo-cache")
    assets, unseen = find(split_by_name(0.1, inside=False)), find(split_by_name(0.1, inside=True))
    if arguments.mark is not None:
        assets, unseen = _put_mark(arguments.mark, assets, unseen)
    if arguments.crop_size < 64 or arguments.crop_size % 32:
        raise InvalidSettingError("crop_size", arguments.crop_size, "a multiple of 32 from 64")
    options = replace(options, subject=_describe_subject(arguments))
    mosaics = choose_mosaic_share([read_long_side(photo) for photo in kept])
    source = ExampleSource(photos=kept, assets=assets, crop_px=arguments.crop_size, mosaic_share=mosaics)
    train = {"finder": train_finder, "restorer": train_restorer, "chooser": train_chooser}[arguments.network]
    weights = train(source, (held_out, unseen), options, _print_figures, arguments.init)
    print(f"weights: {weights}")
    if arguments.join is not None:
        print(f"all networks: {_join(arguments.network, weights, arguments.join, options.output)}")
    return 0


def _choose_options(arguments: argparse.Namespace) -> TrainingOptions:
    from cleanplate.device.selection import resolve_device
    from cleanplate.train.loop import TrainingOptions

    adapts = arguments.mark is not None
    name = f"{arguments.mark.stem}-{arguments.network}" if adapts else arguments.network
    examples = arguments.examples or (MARK_EXAMPLES if adapts else EXAMPLES)
    if arguments.examples is not None:
        examples = arguments.examples  # 0 is given, and refused
    given = {
        "output": arguments.output or Path("trained") / name,
        "examples": examples,
        "batch_size": arguments.batch_size,
        "learning_rate": arguments.learning_rate,
        "workers": arguments.workers,
        "seed": arguments.seed,
        "device": str(resolve_device(arguments.device)),
    }
    if given["learning_rate"] is None:
        given["learning_rate"] = MARK_LEARNING_RATE if adapts else LEARNING_RATE
    if adapts and arguments.batch_size > 0:
        steps = examples // arguments.batch_size
        given["warmup_steps"] = steps // 10
        given["average"] = 0.98
        given["validate_every"] = max(1, -(-steps // MARK_VALIDATIONS))
        given["report_every"] = max(1, min(50, steps // 10))
        given["save_every"] = given["validate_every"]
        given["validate_first"] = arguments.init is not None
        given["validation_count"] = MARK_VALIDATION_COUNT[arguments.network]
    return TrainingOptions(**given)


def _describe_subject(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is learned from, by option."""
    mark = arguments.mark
    return {
        "--photos": str(arguments.photos.absolute()),
        "--mark": None if mark is None else hashlib.sha256(mark.read_bytes()).hexdigest(),
        "--init": arguments.init,
        "--crop-size": arguments.crop_size,
        "--seed": arguments.seed,
    }


def _put_mark(mark: Path, assets: Assets, unseen: Assets) -> tuple[Assets, Assets]:
    """Most of what is trained on, and all that is validated on, carries the mark."""
    from cleanplate.marks import read_mark

    drawn = read_mark(mark)
    return replace(assets, mark=drawn, mark_share=MARK_SHARE), replace(unseen, mark=drawn)


def _join(network: str, weights: Path, other: str, output: Path) -> Path:
    """One file with this network's weights and the others' of a checkpoint."""
    from cleanplate.models.weights import NAMES, load_networks, write_weights

    own, others = load_networks(str(weights)), load_networks(other)
    networks = {name: getattr(own if name == network else others, name) for name in sorted(NAMES)}
    path = output / "joined.safetensors"
    write_weights(path, networks, {})
    return path


def _print_figures(line: dict[str, Any]) -> None:
    from cleanplate.train.validation import describe_groups

    shown = {key: value for key, value in line.items() if key != "groups"}
    print("  ".join(f"{key} {value}" for key, value in shown.items()), file=sys.stderr, flush=True)
    if "groups" in line:
        print(describe_groups(line["groups"]), file=sys.stderr, flush=True)
