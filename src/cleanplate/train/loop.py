"""One training loop for every network: resumable at any moment, with averaged weights and curves as data.

In the output folder: `state.ckpt` (everything needed to go on; a pickle of this program's own, read back
under `weights_only`), `log.jsonl` (a line a report), `curves.png` (the same as a picture), `validation.txt`
(the last validation as a table), `<name>.safetensors` (averaged weights, for `--model`) and
`<name>-best.safetensors` (those of the validation with the best goal figure).
"""

from __future__ import annotations

import copy
import json
import math
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cleanplate.errors import InvalidSettingError, ModelError, UsageError
from cleanplate.models.weights import write_weights
from cleanplate.train.curves import draw_curves
from cleanplate.train.examples import Example, Examples
from cleanplate.train.validation import Scores, Validate, describe_groups

Loss = Callable[[Any, Example], tuple[Tensor, dict[str, float]]]
LOG_NAME = "log.jsonl"
CURVES_NAME = "curves.png"
TABLE_NAME = "validation.txt"


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How long and how fast. Validated when built: InvalidSettingError names what is out of range."""

    output: Path
    """Folder for the state, the log and the weights."""

    examples: int
    """Crops in all, over every stretch, from one batch."""

    batch_size: int = 12
    """Crops a step, from 1."""

    learning_rate: float = 8e-4
    """Its peak, above 0."""

    warmup_steps: int = 150
    """Steps over which the rate climbs to its peak."""

    average: float = 0.998
    """Share of the averaged weights that a step keeps, in [0, 1)."""

    workers: int = 1
    """Processes that draw examples; 0: this one."""

    seed: int = 0
    """Decides every example, from 0."""

    report_every: int = 50
    """Steps between two lines of the log."""

    validate_every: int = 500
    """Steps between two validations; there is one at the end too."""

    validate_first: bool = False
    """Whether there is one before the first step: weights to start from are then kept where none get
    better."""

    validation_count: int | None = None
    """Photographs or crops in the validation set, from 1; None: as many as the network's own training
    takes."""

    save_every: int = 100
    """Steps between two savings of the state; it is saved at the end and when interrupted too."""

    device: str = "cpu"
    """`cpu`, `cuda` or `cuda:N`."""

    subject: Mapping[str, str | int | None] = field(default_factory=dict)
    """What is learned from, by the options that say so; a state of something else is not gone on with."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "report_every", "validate_every", "save_every"):
            self._want(name, getattr(self, name) >= 1, "a whole number from 1")
        for name in ("workers", "seed", "warmup_steps"):
            self._want(name, getattr(self, name) >= 0, "a whole number from 0")
        count = self.validation_count
        self._want("validation_count", count is None or count >= 1, "a whole number from 1, or nothing")
        self._want("examples", self.examples >= self.batch_size, f"at least one batch ({self.batch_size})")
        self._want("learning_rate", self.learning_rate > 0, "a number above 0")
        self._want("average", 0 <= self.average < 1, "a share from 0 up to, not including, 1")

    def _want(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise InvalidSettingError(name, getattr(self, name), wanted)


@dataclass(eq=False)
class TrainingState:
    """What a run has reached. `scores` are the figures of the last validation, `best` the best goal so far
    and `best_step` its step, `validated_step` that of the last validation."""

    network: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    best: float | None = None
    best_step: int = 0
    validated_step: int = 0


def train(
    name: str,
    network: nn.Module,
    parameter_groups: list[dict[str, Any]],
    examples: Callable[[int], Examples],
    loss: Loss,
    validate: Validate,
    options: TrainingOptions,
    report: Callable[[dict[str, Any]], None],
    prepare: Callable[[Example], Example] | None = None,
) -> Path:
    """Train until `options.examples` crops have been seen; returns the path of the best weights.

    parameter_groups: for AdamW; each may carry `scale`, a factor on the learning rate. examples: seed ->
    dataset. validate: network on its device -> scores; the weights with the best goal are kept beside the
    last. report: gets a dict of figures now and then. prepare: what is done to a batch on the device before
    the network sees it. Without a validation yet, the path is that of the last weights. Ctrl-C saves the
    state before it goes through. Raises ModelError where the folder's state is another network's or damaged,
    UsageError where it is of another `options.subject`.
    """
    device = torch.device(options.device)
    options.output.mkdir(parents=True, exist_ok=True)
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    network.train()
    optimizer = torch.optim.AdamW(parameter_groups, lr=options.learning_rate, weight_decay=1e-4)
    state = TrainingState(network, copy.deepcopy(network).eval().requires_grad_(False), optimizer)
    state_path, weights_path = options.output / "state.ckpt", options.output / f"{name}.safetensors"
    if state_path.exists():
        _load_state(state, state_path, device, options.subject)
    total_steps, tally = options.examples // options.batch_size, _Tally()
    best_path = options.output / f"{name}-best.safetensors"
    try:
        if _is_due(state, options, total_steps):  # the first, or one that was broken off
            _validate(name, state, validate, options, best_path, report)
        for batch in _batches(
            examples(options.seed * 1_000_003 + state.step), options, total_steps - state.step
        ):
            batch = {key: _put(plane, device) for key, plane in batch.items()}
            batch = batch if prepare is None else prepare(batch)
            tally.add(_advance(state, batch, loss, options, total_steps, device))
            if state.step % options.report_every == 0:
                _log(options.output, report, {"step": state.step, **tally.take(options.batch_size)})
            if _is_due(state, options, total_steps):
                _validate(name, state, validate, options, best_path, report)
            if state.step % options.save_every == 0:
                _save_all(name, state, options, state_path, weights_path)
    finally:
        _save_all(name, state, options, state_path, weights_path)
        draw_curves(options.output / LOG_NAME, options.output / CURVES_NAME)
    return best_path if best_path.exists() else weights_path


def learning_rate_at(step: int, total_steps: int, options: TrainingOptions) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak.

    >>> options = TrainingOptions(output=Path(), examples=1200, learning_rate=1.0, warmup_steps=4)
    >>> learning_rate_at(0, 100, options)
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


def _put(plane: Tensor, device: torch.device) -> Tensor:
    layout = torch.channels_last if plane.ndim == 4 else torch.preserve_format
    return plane.to(device, memory_format=layout, non_blocking=True)


class _Tally:
    """Mean figures and speed since it was last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps, self._started = 0, time.monotonic()

    def add(self, parts: dict[str, float]) -> None:
        self._steps += 1
        for key, value in parts.items():
            self._sums[key] = self._sums.get(key, 0.0) + value

    def take(self, batch_size: int) -> dict[str, float]:
        seconds = max(1e-9, time.monotonic() - self._started)
        rate = round(self._steps * batch_size / seconds, 1)
        means = {key: total / self._steps for key, total in self._sums.items()}
        self._sums, self._steps, self._started = {}, 0, time.monotonic()
        return {"examples_per_second": rate, **_round(means)}


def _batches(examples: Examples, options: TrainingOptions, count: int) -> Iterator[Example]:
    if count < 1:  # a finished run starts no workers
        return
    loader = DataLoader(
        examples,
        batch_size=options.batch_size,
        num_workers=options.workers,
        multiprocessing_context="spawn" if options.workers else None,
        prefetch_factor=4 if options.workers else None,
        pin_memory=options.device != "cpu",
    )
    try:
        yield from islice(loader, count)
    except UsageError as exc:  # a worker's comes with the worker's trace before its last line
        last = str(exc).strip().splitlines()[-1]
        raise UsageError(last.partition("UsageError: ")[2] or last) from None


def _is_due(state: TrainingState, options: TrainingOptions, total_steps: int) -> bool:
    if state.step == 0:
        return options.validate_first
    due = state.step % options.validate_every == 0 or state.step == total_steps
    return due and state.validated_step < state.step


def _validate(
    name: str,
    state: TrainingState,
    validate: Validate,
    options: TrainingOptions,
    best_path: Path,
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Score the averaged weights, log it, and keep them where they are the best so far."""
    scores = validate(state.averaged)
    state.scores = {**scores.figures, "goal": scores.goal}
    line = {"step": state.step, "validation": _round(state.scores)}
    if scores.groups:
        line["groups"] = {key: _round(figures) for key, figures in scores.groups.items()}
    _log(options.output, report, line)
    (options.output / TABLE_NAME).write_text(_describe(state.step, scores), encoding="utf-8")
    if state.best is None or scores.goal > state.best:
        state.best, state.best_step = scores.goal, state.step
        write_weights(best_path, {name: state.averaged}, _metadata(state))
    state.validated_step = state.step


def _describe(step: int, scores: Scores) -> str:
    figures = "\n".join(f"{key:<16}{value:.4f}" for key, value in scores.figures.items())
    return f"step {step}\n{figures}\ngoal            {scores.goal:.4f}\n\n{describe_groups(scores.groups)}\n"


def _metadata(state: TrainingState) -> dict[str, str]:
    scores = {f"validation_{key}": f"{value:.4f}" for key, value in state.scores.items()}
    return {"step": str(state.step), **scores}


def _save_all(
    name: str, state: TrainingState, options: TrainingOptions, state_path: Path, weights_path: Path
) -> None:
    temporary = state_path.with_name(state_path.name + ".tmp")
    content = {
        "network": state.network.state_dict(),
        "averaged": state.averaged.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "scores": state.scores,
        "best": state.best,
        "best_step": state.best_step,
        "validated_step": state.validated_step,
        "subject": dict(options.subject),
    }
    torch.save(content, temporary)
    temporary.replace(state_path)
    write_weights(weights_path, {name: state.averaged}, _metadata(state))


def _load_state(
    state: TrainingState, path: Path, device: torch.device, subject: Mapping[str, str | int | None]
) -> None:
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        state.network.load_state_dict(content["network"])
        state.averaged.load_state_dict(content["averaged"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.step, state.scores = content["step"], content["scores"]
        state.best, state.best_step = content.get("best"), content.get("best_step", 0)
        state.validated_step = content.get("validated_step", state.step)
        before = content.get("subject", {})
        others = [option for option in subject if before.get(option, subject[option]) != subject[option]]
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
    ) as exc:
        cause = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise ModelError(
            f"{path}: is not a state of this network ({cause}); give another output folder, or delete it"
        ) from exc
    if others:
        raise UsageError(
            f"{path}: that training was begun with another {' and another '.join(others)}; "
            "give another output folder, or delete it"
        )


def _log(output: Path, report: Callable[[dict[str, Any]], None], line: dict[str, Any]) -> None:
    with (output / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    report(line)


def _round(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}
