"""One photograph of a report, and what it is called in addresses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cleanplate.structures import Outcome, Verdict


def photo_id(source: Path | str) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of the input's absolute path.

    Nothing in it needs escaping, and it leads to no path but through a list of known ones.

    >>> photo_id("/photos/a.jpg") == photo_id("/photos/b.jpg")
    False
    >>> len(photo_id("/photos/a.jpg"))
    16
    """
    path = str(Path(source).absolute())
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class ReportPhoto:
    """The last that became of one photograph.

    at: when, in seconds since 1970; None where nobody wrote it down. output_sha256: of the result.
    decision: what a person decided about this result, "approved" or "kept".
    """

    outcome: Outcome
    at: float | None = None
    output_sha256: str | None = None
    decision: str | None = None

    @cached_property
    def id(self) -> str:
        """What the page and the server call it."""
        return photo_id(self.outcome.source)

    @property
    def has_result(self) -> bool:
        """Whether there is a file of it in the output folder."""
        return self.outcome.output is not None and self.outcome.verdict is not Verdict.FAILED

    @property
    def is_changed(self) -> bool:
        """Whether that file looks different from the input."""
        return self.has_result and self.outcome.verdict is Verdict.REPAIRED
