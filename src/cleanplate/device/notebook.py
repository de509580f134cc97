"""Measured numbers that outlive the process, by name, in one small file."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import tempfile
from pathlib import Path

_log = logging.getLogger(__name__)

#: More than a machine has cards and networks; the oldest go first.
MOST_NAMES = 1000


class Notebook:
    """Finite numbers by name. path: the file; None: nothing outlives this object.

    A file that is damaged is passed over with a note and written anew; one that cannot be written costs the
    memory of the next process and nothing else.

    >>> notes = Notebook(None)
    >>> notes.put("factor", 1.5)
    >>> notes.get("factor"), notes.get("other")
    (1.5, None)
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._numbers = self._read()

    def get(self, name: str) -> float | None:
        """The number, or None."""
        return self._numbers.get(name)

    def put(self, name: str, number: float) -> None:
        """Remember a number, from now on and for later processes."""
        self._change({name: number})

    def forget(self, name: str) -> None:
        """Remember it no longer."""
        if name in self._numbers:
            self._change({name: None})

    def _change(self, changes: dict[str, float | None]) -> None:
        # Another process may have written meanwhile: what it knows is kept.
        merged = {**self._numbers, **self._read()}
        for name, number in changes.items():
            merged.pop(name, None)
            if number is not None:
                merged[name] = number
        self._numbers = dict(list(merged.items())[-MOST_NAMES:])
        self._write()

    def _read(self) -> dict[str, float]:
        if self._path is None:
            return {}
        try:
            content = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be read and is passed over (%s)", self._path, error)
            return {}
        if not isinstance(content, dict):
            _log.warning("%s holds no numbers by name and is passed over", self._path)
            return {}
        return {
            name: float(number)
            for name, number in content.items()
            if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
        }

    def _write(self) -> None:
        if self._path is None:
            return
        text = json.dumps(self._numbers, indent=1) + "\n"
        temporary = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).replace(self._path)
        except OSError as error:
            _log.info("%s cannot be written (%s)", self._path, error)
            if temporary is not None:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
