"""The folders and photographs that a call names, checked before anything is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cleanplate.errors import UsageError


def read_inputs(inputs: Sequence[Path | str] | Path | str) -> list[Path]:
    """One path or several. Raises UsageError as `read_path` does.

    >>> len(read_inputs("photos")), len(read_inputs(["a.jpg", Path("b.jpg")]))
    (1, 2)
    """
    return [read_path(given) for given in ([inputs] if isinstance(inputs, (str, Path)) else inputs)]


def read_path(given: Path | str) -> Path:
    """A path. Raises UsageError for an empty one, which would mean the current folder, and for a zero byte.

    >>> read_path("")
    Traceback (most recent call last):
    ...
    cleanplate.errors.UsageError: an empty path names no folder or file; give one, '.' for the current folder
    """
    if given == "":
        raise UsageError("an empty path names no folder or file; give one, '.' for the current folder")
    if "\0" in str(given):
        raise UsageError(f"{str(given)!r}: no path holds a zero byte; give another")
    return Path(given)
