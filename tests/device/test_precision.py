from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cleanplate.device.precision import choose_dtype

BOTH = ("float32", "bfloat16")
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 fsrm\n", torch.bfloat16),
        ("flags\t\t: fpu amx_bf16\n", torch.bfloat16),
        ("Features\t: fp asimd bf16\n", torch.bfloat16),
        ("flags\t\t: fpu avx512f avx512_bf16x\nmodel name: bf16\n", torch.float32),
        ("", torch.float32),
    ],
)
def test_bfloat16_is_chosen_where_the_processor_multiplies_it(
    text: str, expected: torch.dtype, tmp_path: Path
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(text, encoding="utf-8")
    assert choose_dtype(CPU, BOTH, facts) == expected


def test_a_network_that_may_not_or_a_card_keeps_the_first(tmp_path: Path) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("flags: avx512_bf16\n", encoding="utf-8")
    assert choose_dtype(CPU, ("float32",), facts) == torch.float32
    assert choose_dtype(torch.device("cuda"), BOTH, facts) == torch.float32


def test_without_such_a_file_the_first_is_kept(tmp_path: Path) -> None:
    assert choose_dtype(CPU, BOTH, tmp_path / "none") == torch.float32
