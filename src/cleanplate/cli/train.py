"""`cleanplate train finder|restorer`: train a network on photographs with marks drawn on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def train(
    network: Annotated[str, typer.Argument(help="finder or restorer")],
    photos: Annotated[Path, typer.Option(help="folder of photographs to train on")],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the state and the weights")],
    validation: Annotated[
        Path | None, typer.Option(help="photographs to validate on; default: a tenth")
    ] = None,
    fonts: Annotated[
        Path | None, typer.Option(help="folder of fonts; default: the one Pillow brings")
    ] = None,
    logos: Annotated[
        Path | None, typer.Option(help="folder of SVG or PNG logos; default: drawn shapes")
    ] = None,
    init: Annotated[str | None, typer.Option(help="embedded, or a checkpoint to go on from")] = None,
    examples: Annotated[int, typer.Option(help="crops in all, over every stretch")] = 100_000,
    batch_size: Annotated[int, typer.Option(help="crops a step")] = 12,
    learning_rate: Annotated[float, typer.Option(help="its peak")] = 8e-4,
    workers: Annotated[int, typer.Option(help="processes that draw examples")] = 1,
    seed: Annotated[int, typer.Option(help="decides every example")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads of the network")] = 2,
) -> None:
    """Train a network. The same command again goes on where it stopped."""
    import torch

    from cleanplate.errors import UsageError
    from cleanplate.marks.assets import find_assets, split_by_name
    from cleanplate.train.examples import ExampleSource, find_photos
    from cleanplate.train.finder import train_finder
    from cleanplate.train.loop import TrainingOptions
    from cleanplate.train.restorer import train_restorer

    trainers = {"finder": train_finder, "restorer": train_restorer}
    if network not in trainers:
        raise UsageError(f"there is no network {network!r} to train; wanted: finder or restorer")
    torch.set_num_threads(threads)
    found = find_photos(photos)
    if not found:
        raise UsageError(f"{photos}: no photographs are there; give a folder of JPEG, PNG or WebP files")
    held_out = find_photos(validation) if validation else found[::10]
    kept = found if validation else tuple(p for p in found if p not in set(held_out))
    cache = output / "logo-cache"
    assets = find_assets(fonts, logos, cache, split_by_name(0.1, inside=False) if fonts or logos else None)
    unseen = find_assets(fonts, logos, cache, split_by_name(0.1, inside=True) if fonts or logos else None)
    options = TrainingOptions(
        output=output,
        examples=examples,
        batch_size=batch_size,
        learning_rate=learning_rate,
        workers=workers,
        seed=seed,
        device=device,
    )
    source = ExampleSource(photos=kept, assets=assets)
    path = trainers[network](source, (held_out, unseen), options, _print, init)
    typer.echo(f"weights: {path}")


def _print(line: dict[str, Any]) -> None:
    typer.echo("  ".join(f"{key} {value}" for key, value in line.items()))
