"""What a run came to: the outcomes, the figures and the advice that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

from cleanplate.structures import Outcome, Verdict

#: Exit codes of a run, for the command line to leave with.
EXIT_DONE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 0, 1, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the run took of the machine. Bytes; None where there is nothing to read.

    cpu_share: of all the machine's processors over the whole run, in [0, 1].
    memory_bytes, peak_memory_bytes: resident memory of this process, at the end and at its highest.
    gpu_*: the highest this process's torch had allocated and reserved on the GPU.
    metered_peak_bytes: the most that live tensors and queued pictures took together.
    staging_*: host memory for batches on their way to the device, newly allocated and used again.
    """

    cpu_share: float = 0.0
    memory_bytes: int | None = None
    peak_memory_bytes: int | None = None
    gpu_allocated_bytes: int | None = None
    gpu_reserved_bytes: int | None = None
    metered_peak_bytes: int | None = None
    staging_allocated_bytes: int | None = None
    staging_reused_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run came to.

    outcomes: of the photographs that this run looked at, in name order.
    finished_before: the earlier outcomes of those it passed over, because they were finished and still valid.
    remaining: photographs that an interrupted run did not reach.
    seconds_by_stage: summed over the threads, so their sum can be more than `wall_seconds`.
    notes: sentences for the user: warnings, advice, what to do next.
    output: the folder of the results; None for a dry run.

    In a notebook it shows its counts and the first repaired photographs, with a slider each.
    """

    outcomes: tuple[Outcome, ...]
    finished_before: tuple[Outcome, ...] = ()
    remaining: int = 0
    interrupted: bool = False
    dry_run: bool = False
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    work_seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    pauses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    output: Path | None = None

    def _repr_html_(self) -> str:
        from cleanplate.engine.shown import show_folder

        return show_folder(self.counts, self.outcomes, self.output)

    @property
    def counts(self) -> dict[str, int]:
        """How many were repaired, clean, under_threshold, failed, and skipped as finished before."""
        counts = {verdict.value: 0 for verdict in Verdict}
        for outcome in self.outcomes:
            counts[outcome.verdict.value] += 1
        return {**counts, "skipped": len(self.finished_before)}

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The outcomes that failed; each has a `cause` and a `remedy`."""
        return tuple(outcome for outcome in self.outcomes if outcome.verdict is Verdict.FAILED)

    @property
    def photographs_per_second(self) -> float:
        """Photographs this run looked at, by the time after its start-up; 0 where it looked at none."""
        return len(self.outcomes) / self.work_seconds if self.work_seconds > 0 else 0.0

    @property
    def staging_bytes_per_photograph(self) -> float | None:
        """Host memory newly allocated for batches, by photographs looked at; None where nobody counts it."""
        allocated = self.usage.staging_allocated_bytes
        return None if allocated is None or not self.outcomes else allocated / len(self.outcomes)

    @property
    def exit_code(self) -> int:
        """0: all done; 1: some photographs failed; 130: interrupted."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_SOME_FAILED if self.failures else EXIT_DONE

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, for `json.dumps`. Bytes, seconds and shares; None where unknown."""
        return {
            "counts": self.counts,
            "remaining": self.remaining,
            "interrupted": self.interrupted,
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "photographs": [_outcome_json(outcome) for outcome in self.outcomes],
            "failures": [
                {"source": str(failure.source), "cause": failure.cause, "remedy": failure.remedy}
                for failure in self.failures
            ],
            "seconds": {
                "wall": self.wall_seconds,
                "work": self.work_seconds,
                "by_stage": dict(self.seconds_by_stage),
            },
            "photographs_per_second": self.photographs_per_second,
            "cpu_share": self.usage.cpu_share,
            "memory": {
                "resident_bytes": self.usage.memory_bytes,
                "peak_resident_bytes": self.usage.peak_memory_bytes,
                "gpu_peak_allocated_bytes": self.usage.gpu_allocated_bytes,
                "gpu_peak_reserved_bytes": self.usage.gpu_reserved_bytes,
                "metered_peak_bytes": self.usage.metered_peak_bytes,
                "staging_allocated_bytes": self.usage.staging_allocated_bytes,
                "staging_reused_bytes": self.usage.staging_reused_bytes,
                "staging_allocated_bytes_per_photograph": self.staging_bytes_per_photograph,
            },
            "pauses": list(self.pauses),
            "notes": list(self.notes),
        }


def advise(outcomes: Sequence[Outcome]) -> list[str]:
    """Sentences about settings that would have done more.

    >>> from pathlib import Path
    >>> small = Outcome(source=Path("a.jpg"), relative="a.jpg", verdict=Verdict.UNDER_THRESHOLD, share=0.0037)
    >>> advise([small])
    ['1 photograph has marks smaller than --threshold; --threshold 0.003 would repair it']
    """
    shares = [outcome.share for outcome in outcomes if outcome.verdict is Verdict.UNDER_THRESHOLD]
    if not shares:
        return []
    one = len(shares) == 1
    who = "1 photograph has" if one else f"{len(shares)} photographs have"
    return [
        f"{who} marks smaller than --threshold; --threshold {largest_threshold(min(shares))} "
        f"would repair {'it' if one else 'them'}"
    ]


def advise_on_marks(outcomes: Sequence[Outcome], marks: Sequence[Path | str]) -> list[str]:
    """A sentence where marks were given and nothing was on any photograph. marks: their files.

    >>> from pathlib import Path
    >>> plain = Outcome(source=Path("a.jpg"), relative="a.jpg", verdict=Verdict.CLEAN)
    >>> advise_on_marks([plain], ["logo.png"])[0].partition(";")[0]
    'the photograph does not show logo.png, which is looked for at half to twice its own size'
    """
    looked_at = [outcome for outcome in outcomes if outcome.verdict is not Verdict.FAILED]
    if not marks or not looked_at or any(outcome.verdict is not Verdict.CLEAN for outcome in looked_at):
        return []
    who = "the photograph does not show"
    if len(looked_at) > 1:
        who = f"none of the {len(looked_at)} photographs shows"
    names = " or ".join(str(mark) for mark in marks)
    return [
        f"{who} {names}, which is looked for at half to twice its own size; scale the file to the size that "
        "the mark has on them, or work it out with 'cleanplate extract-mark'"
    ]


def largest_threshold(share: float) -> str:
    """A threshold with one digit that a mark covering `share` of its photograph, in [0, 1), reaches.

    >>> largest_threshold(0.0049), largest_threshold(0.001), largest_threshold(0.0)
    ('0.004', '0.001', '0')
    """
    exact = Decimal(repr(float(share)))
    if exact <= 0:
        return "0"
    return f"{exact.quantize(Decimal(1).scaleb(exact.adjusted()), rounding=ROUND_FLOOR):f}"


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "source": str(outcome.source),
        "relative": outcome.relative,
        "verdict": outcome.verdict.value,
        "output": outcome.output,
        "share": outcome.share,
        "score": outcome.score,
        "rounds": outcome.rounds,
        "notes": list(outcome.notes),
    }
