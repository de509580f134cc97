"""Choosing the device, with and without cards (cards are pretended)."""

import pytest
import torch

from cleanplate.device.selection import resolve_device
from cleanplate.errors import UsageError


@pytest.fixture
def cards(monkeypatch):
    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


@pytest.mark.parametrize(
    ("count", "name", "expected"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_the_device_that_is_meant(cards, count, name, expected):
    cards(count)
    assert resolve_device(name) == torch.device(expected)


def test_no_card_names_the_way_out(cards):
    cards(0)
    with pytest.raises(
        UsageError, match=r"--device cuda:1: torch sees no CUDA card \(.+\); use --device cpu"
    ):
        resolve_device("cuda:1")


def test_without_a_driver_it_says_so(cards, monkeypatch):
    cards(0)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(UsageError, match="no card, no driver, or a driver older"):
        resolve_device("cuda")


def test_a_card_that_is_not_there(cards):
    cards(2)
    with pytest.raises(UsageError, match="there are 2 CUDA cards, numbered from 0; use --device cuda:1"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", ""])
def test_names_that_mean_nothing(cards, name):
    cards(1)
    with pytest.raises(UsageError, match="wanted: auto, cpu, cuda or cuda:N"):
        resolve_device(name)
