"""Which device a run uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cleanplate.errors import UsageError

if TYPE_CHECKING:
    import torch


def resolve_device(name: str) -> torch.device:
    """The device that a setting names; asks the driver, but makes no CUDA context.

    name: `auto` (the first CUDA card, else the CPU), `cpu`, `cuda` (the first card) or `cuda:N`.
    Raises UsageError where the name means nothing or the card is not there, saying what is.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    import torch

    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and cards == 0):
        return torch.device("cpu")
    if name in ("auto", "cuda"):
        return torch.device("cuda", _checked(0, cards, name))
    kind, _, index = name.partition(":")
    if kind == "cuda" and index.isdecimal():
        return torch.device("cuda", _checked(int(index), cards, name))
    raise UsageError(f"there is no device {name!r}; wanted: auto, cpu, cuda or cuda:N")


def _checked(index: int, cards: int, name: str) -> int:
    if index < cards:
        return index
    if cards == 0:
        raise UsageError(f"--device {name}: torch sees no CUDA card ({_why_no_cuda()}); use --device cpu")
    raise UsageError(
        f"--device {name}: there are {cards} CUDA cards, numbered from 0; use --device cuda:{cards - 1}"
    )


def _why_no_cuda() -> str:
    import torch

    if torch.version.cuda is None:
        return "this build of torch has no CUDA"
    return "no card, no driver, or a driver older than this build of torch needs"
