"""A run's state and samples as files, so that another process can watch it.

`status.json` is replaced as a whole, so a reader never sees half of it; `samples.jsonl` grows by a line a
sample and begins anew with each run.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

#: Below the output folder.
STATUS_FILE = Path(".cleanplate") / "status.json"
SAMPLES_FILE = Path(".cleanplate") / "samples.jsonl"
#: A status older than this is of a run that has died without saying so.
STALE_SECONDS = 30.0
#: Of samples a run keeps: about three hours at one a second.
MOST_SAMPLE_BYTES = 4_000_000


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """How far a run is. Times in seconds since 1970; `seconds` by stage, summed over threads.

    state: "running", "finished", "interrupted", "failed" where an error ended it or, for whoever reads it,
    "killed" where it said nothing for long and its process is gone. images: photographs by what became of
    them. surveyed: of so many a shared mark is looked for, before any is worked on; 0: that is over, or was
    not asked for.
    metered_peak_bytes: the most that live tensors and queued pictures took together; None: not metered.
    """

    state: str
    process: int = field(default_factory=os.getpid)
    began: float = 0.0
    updated: float = 0.0
    total: int = 0
    skipped: int = 0
    surveyed: int = 0
    images: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    out_of_memory: int = 0
    pauses: int = 0
    cleanings: int = 0
    last: str | None = None
    metered_peak_bytes: int | None = None

    @property
    def done(self) -> int:
        """Photographs that are done with in this run, failed ones included."""
        return sum(self.images.values())


def write_status(output: Path, status: RunStatus) -> None:
    """Replace the status of the run whose output folder this is."""
    path = output / STATUS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(dataclasses.asdict(status)) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_status(output: Path) -> RunStatus | None:
    """The status of the run in an output folder; None where there is none that can be read."""
    try:
        content = json.loads((output / STATUS_FILE).read_text(encoding="utf-8"))
        known = {f.name for f in dataclasses.fields(RunStatus)}
        status = RunStatus(**{name: value for name, value in content.items() if name in known})
        return dataclasses.replace(status, state="killed") if _has_died(status) else status
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _has_died(status: RunStatus) -> bool:
    stale = time.time() - status.updated > STALE_SECONDS
    return status.state == "running" and stale and not psutil.pid_exists(status.process)


def append_sample(output: Path, figures: Mapping[str, Any]) -> None:
    """Add a line to the samples; of a file that has grown too large the later half stays."""
    path = output / SAMPLES_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dict(figures)) + "\n")
        large = file.tell() > MOST_SAMPLE_BYTES
    if large:
        lines = path.read_bytes().splitlines(keepends=True)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(b"".join(lines[len(lines) // 2 :]))
        temporary.replace(path)


def clear_samples(output: Path) -> None:
    """Begin the samples anew."""
    (output / SAMPLES_FILE).unlink(missing_ok=True)


def read_samples(output: Path, last: int = 600) -> list[dict[str, Any]]:
    """The last so many samples; a line that is only half written, and what is no figure, is left out."""
    try:
        text = (output / SAMPLES_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    samples = []
    for line in text.splitlines()[-last:]:
        try:
            sample = json.loads(line)
        except ValueError:
            continue
        if isinstance(sample, dict):
            samples.append({name: value for name, value in sample.items() if isinstance(value, (int, float))})
    return samples
