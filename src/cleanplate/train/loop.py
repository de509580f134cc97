"""One training loop for every network: resumable at any moment, with averaged weights and curves as data.

In the output folder: `state.ckpt` (everything needed to go on; a pickle of this program's own, read back under
`weights_only`), `log.jsonl` (a line a report) and `<name>.safetensors` (averaged weights, for `--model`).
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cleanplate.models.weights import write_weights
from cleanplate.train.examples import Example, Examples

Loss = Callable[[Any, Example], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How long and how fast. examples: crops in all, over every stretch; learning_rate: its peak."""

    output: Path
    examples: int
    batch_size: int = 12
    learning_rate: float = 8e-4
    warmup_steps: int = 150
    average: float = 0.998
    workers: int = 1
    seed: int = 0
    report_every: int = 50
    validate_every: int = 500
    device: str = "cpu"


@dataclass(eq=False)
class TrainingState:
    """What a run has reached. `scores` are those of the last validation."""

    network: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    scores: dict[str, float] = field(default_factory=dict)


def train(
    name: str,
    network: nn.Module,
    parameter_groups: list[dict[str, Any]],
    examples: Callable[[int], Examples],
    loss: Loss,
    validate: Callable[[nn.Module], dict[str, float]],
    options: TrainingOptions,
    report: Callable[[dict[str, Any]], None],
) -> Path:
    """Train until `options.examples` crops have been seen; returns the weights' path.

    parameter_groups: for AdamW; each may carry `scale`, a factor on the learning rate. examples: seed -> dataset.
    report: gets a dict of figures now and then. Ctrl-C saves the state before it goes through.
    """
    device = torch.device(options.device)
    options.output.mkdir(parents=True, exist_ok=True)
    network.to(device=device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(parameter_groups, lr=options.learning_rate, weight_decay=1e-4)
    state = TrainingState(network, copy.deepcopy(network).eval().requires_grad_(False), optimizer)
    state_path, weights_path = options.output / "state.ckpt", options.output / f"{name}.safetensors"
    if state_path.exists():
        _load_state(state, state_path, device)
    total_steps = options.examples // options.batch_size
    batches = _batches(examples(options.seed * 1_000_003 + state.step), options)
    started, first_step = time.monotonic(), state.step
    sums: dict[str, float] = {}
    try:
        while state.step < total_steps:
            parts = _advance(state, next(batches), loss, options, total_steps, device)
            for key, value in parts.items():
                sums[key] = sums.get(key, 0.0) + value / options.report_every
            if state.step % options.report_every == 0:
                rate = (state.step - first_step) * options.batch_size / (time.monotonic() - started)
                _log(
                    options.output,
                    report,
                    {"step": state.step, "examples_per_second": round(rate, 1), **_round(sums)},
                )
                sums = {}
            if state.step % options.validate_every == 0 or state.step == total_steps:
                state.scores = validate(state.averaged)
                _log(options.output, report, {"step": state.step, "validation": _round(state.scores)})
                _save_all(name, state, state_path, weights_path)
    finally:
        _save_all(name, state, state_path, weights_path)
    return weights_path


def learning_rate_at(step: int, total_steps: int, options: TrainingOptions) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak.

    >>> learning_rate_at(0, 100, TrainingOptions(output=Path(), examples=1, learning_rate=1.0, warmup_steps=4))
    0.25
    """
    warm = min(1.0, (step + 1) / max(1, options.warmup_steps))
    share = min(1.0, step / max(1, total_steps))
    return options.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def _advance(
    state: TrainingState,
    batch: Example,
    loss: Loss,
    options: TrainingOptions,
    total_steps: int,
    device: torch.device,
) -> dict[str, float]:
    rate = learning_rate_at(state.step, total_steps, options)
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)
    batch = {key: value.to(device, memory_format=torch.channels_last) for key, value in batch.items()}
    with torch.autocast(device.type, torch.bfloat16):
        output = state.network(batch["image"])
    output = {k: v.float() for k, v in output.items()} if isinstance(output, dict) else output.float()
    value, parts = loss(output, batch)
    state.optimizer.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]  # torch's own method is untyped
    norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    if torch.isfinite(norm):
        state.optimizer.step()
    state.step += 1
    keep = min(options.average, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for mean, current in zip(state.averaged.parameters(), state.network.parameters(), strict=True):
            mean.lerp_(current, 1 - keep)
    return {"loss": float(value.detach()), **parts}


def _batches(examples: Examples, options: TrainingOptions) -> Iterator[Example]:
    loader = DataLoader(
        examples,
        batch_size=options.batch_size,
        num_workers=options.workers,
        multiprocessing_context="spawn" if options.workers else None,
        prefetch_factor=4 if options.workers else None,
    )
    return iter(loader)


def _save_all(name: str, state: TrainingState, state_path: Path, weights_path: Path) -> None:
    temporary = state_path.with_name(state_path.name + ".tmp")
    content = {
        "network": state.network.state_dict(),
        "averaged": state.averaged.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "scores": state.scores,
    }
    torch.save(content, temporary)
    temporary.replace(state_path)
    scores = {f"validation_{key}": f"{value:.4f}" for key, value in state.scores.items()}
    write_weights(weights_path, {name: state.averaged}, {"step": str(state.step), **scores})


def _load_state(state: TrainingState, path: Path, device: torch.device) -> None:
    content = torch.load(path, map_location=device, weights_only=True)
    state.network.load_state_dict(content["network"])
    state.averaged.load_state_dict(content["averaged"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.step, state.scores = content["step"], content["scores"]


def _log(output: Path, report: Callable[[dict[str, Any]], None], line: dict[str, Any]) -> None:
    with (output / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    report(line)


def _round(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}
