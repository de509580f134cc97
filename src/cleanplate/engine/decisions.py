"""What a person decided about results: `decisions.jsonl` beside the journal, which only grows.

A decision belongs to one result: when its photograph has got another one since, it no longer counts. Results
that were made at a person's wish carry a key that begins with `REVIEWED`. A later run leaves both alone,
whatever its settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cleanplate.engine.lines import LineFile, read_lines

#: Below the state folder.
DECISIONS_FILE = "decisions.jsonl"
#: What `Outcome.settings_key` begins with where a person asked for the result.
REVIEWED = "reviewed-"


class Verb(StrEnum):
    """What a person decided."""

    APPROVED = "approved"
    KEPT = "kept"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Decision:
    """source: the photograph's absolute path. output: its result's name. sha256: of the result decided on."""

    verb: Verb
    source: str
    output: str
    sha256: str


def read_decisions(path: Path) -> dict[str, Decision]:
    """The decisions that hold, by the photograph's absolute path; none where there is no file.

    Raises OSError where it is there but cannot be read.
    """
    decisions: dict[str, Decision] = {}
    for line in read_lines(path):
        try:
            decision = _from_line(line)
        except (KeyError, TypeError, ValueError):
            continue  # a line of another version
        decisions[decision.source] = decision
    return {source: made for source, made in decisions.items() if made.verb is not Verb.REOPENED}


def write_decisions(lines: LineFile, decisions: Sequence[Decision]) -> None:
    """Write decisions down; they are on disk when this returns. Raises OSError."""
    lines.append(*map(_to_line, decisions))


def is_reviewed(settings_key: str | None) -> bool:
    """Whether a result was made at a person's wish.

    >>> is_reviewed("reviewed-0123"), is_reviewed("0123"), is_reviewed(None)
    (True, False, False)
    """
    return settings_key is not None and settings_key.startswith(REVIEWED)


def _to_line(decision: Decision) -> dict[str, str]:
    return {
        "kind": decision.verb.value,
        "source": decision.source,
        "output": decision.output,
        "sha256": decision.sha256,
    }


def _from_line(line: dict[str, Any]) -> Decision:
    texts = [line[name] for name in ("source", "output", "sha256")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a decision's fields are text")
    return Decision(Verb(line["kind"]), *texts)
