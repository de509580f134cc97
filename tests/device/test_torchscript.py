"""TorchScript runs as it is written, in the calling thread only, and the switch is set back."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cleanplate.device.torchscript import call_plainly


class Doubler(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Twice the sum."""
        if x.dim() < 0:
            raise ValueError
        return 2 * (x + y)


@pytest.fixture
def script() -> Any:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
        torch.jit.save(torch.jit.script(Doubler()), stream)
        stream.seek(0)
        return torch.jit.load(stream)


def read_switch() -> bool:
    return bool(torch._C._get_graph_executor_optimize())


def test_it_gives_what_the_script_gives(script: Any) -> None:
    run = call_plainly(script)
    for edge in (3, 8, 3):
        x = torch.rand(1, 3, edge, edge)
        assert torch.equal(run(x, x), script(x, x))


def test_nothing_is_compiled_and_the_switch_is_set_back() -> None:
    seen: list[bool] = []
    before = read_switch()
    call_plainly(lambda: seen.append(read_switch()))()
    assert seen == [False]
    assert read_switch() == before


def test_the_switch_is_set_back_after_an_error(script: Any) -> None:
    before = read_switch()
    with pytest.raises(RuntimeError):
        call_plainly(script)(torch.ones(2), torch.ones(3))
    assert read_switch() == before
