"""`cleanplate train finder|restorer`: train a network on photographs with marks drawn on them."""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.epilog = "The same command again goes on where it stopped."
    parser.add_argument("network", choices=("finder", "restorer"), help="what is trained")
    data = parser.add_argument_group("what it learns from")
    data.add_argument("--photos", type=Path, required=True, metavar="DIR", help="photographs to train on")
    data.add_argument(
        "--validation", type=Path, metavar="DIR", help="photographs to validate on (default: a tenth)"
    )
    data.add_argument(
        "--fonts", type=Path, metavar="DIR", help="fonts for marks (default: the one Pillow brings)"
    )
    data.add_argument(
        "--logos", type=Path, metavar="DIR", help="SVG or PNG logos for marks (default: drawn shapes)"
    )
    data.add_argument("--seed", type=int, default=0, metavar="N", help="decides every example (default: 0)")
    run = parser.add_argument_group("how it learns")
    run.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the state and the weights"
    )
    run.add_argument("--init", metavar="CKPT", help="'embedded', or a checkpoint to start from")
    run.add_argument(
        "--examples", type=int, default=100_000, metavar="N", help="crops in all (default: 100000)"
    )
    run.add_argument("--batch-size", type=int, default=12, metavar="N", help="crops a step (default: 12)")
    run.add_argument(
        "--learning-rate", type=float, default=8e-4, metavar="RATE", help="its peak (default: 0.0008)"
    )
    run.add_argument("--device", default="cpu", metavar="DEVICE", help="cpu, cuda or cuda:N (default: cpu)")
    run.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes that draw examples (default: 1)"
    )
    run.add_argument(
        "--threads", type=int, default=2, metavar="N", help="CPU threads of the network (default: 2)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train; the weights' path goes to standard output."""
    import torch

    from cleanplate.errors import InvalidSettingError
    from cleanplate.marks.assets import find_assets, split_by_name
    from cleanplate.train.examples import ExampleSource, split_photos
    from cleanplate.train.finder import train_finder
    from cleanplate.train.loop import TrainingOptions
    from cleanplate.train.restorer import train_restorer

    options = TrainingOptions(
        output=arguments.output,
        examples=arguments.examples,
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        workers=arguments.workers,
        seed=arguments.seed,
        device=arguments.device,
    )
    if arguments.threads < 1:
        raise InvalidSettingError("threads", arguments.threads, "a whole number from 1")
    torch.set_num_threads(arguments.threads)
    kept, held_out = split_photos(arguments.photos, arguments.validation)
    find = functools.partial(find_assets, arguments.fonts, arguments.logos, options.output / "logo-cache")
    source = ExampleSource(photos=kept, assets=find(split_by_name(0.1, inside=False)))
    unseen = find(split_by_name(0.1, inside=True))
    train = train_finder if arguments.network == "finder" else train_restorer
    print(f"weights: {train(source, (held_out, unseen), options, _print_figures, arguments.init)}")
    return 0


def _print_figures(line: dict[str, Any]) -> None:
    print("  ".join(f"{key} {value}" for key, value in line.items()), file=sys.stderr, flush=True)
