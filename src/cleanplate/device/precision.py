"""Which number format networks are quickest in on a device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

#: What Linux calls the instructions that multiply bfloat16 directly. Without them it is imitated, and slower.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
PROCESSOR_FACTS = Path("/proc/cpuinfo")


def choose_dtype(device: torch.device, dtypes: Sequence[str], facts: Path = PROCESSOR_FACTS) -> torch.dtype:
    """The quickest of the formats that a network may run in, by their names; the first where it is not known.

    Measured on a processor with `avx512_bf16` (`benchmarks/precision.py`): in bfloat16 the finder takes less
    than half of its time, the restorer two thirds. Cards have not been measured, and keep the first.

    >>> choose_dtype(torch.device("cpu"), ("float32",))
    torch.float32
    """
    quick = "bfloat16" in dtypes and device.type == "cpu" and bool(find_bfloat16(facts))
    return torch.bfloat16 if quick else getattr(torch, dtypes[0])


def find_bfloat16(facts: Path = PROCESSOR_FACTS) -> tuple[str, ...]:
    """Names of the instructions by which this processor multiplies bfloat16, in order; none: it imitates it.

    facts: what Linux says of it; where there is no such file, nothing is known and none are named.

    >>> find_bfloat16(Path("no such file"))
    ()
    """
    try:
        text = facts.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return ()
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    return tuple(sorted({flag for line in lines for flag in line.split(":", 1)[-1].split()} & BFLOAT16_FLAGS))
