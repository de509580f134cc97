"""Files of one JSON object a line that only grow; what was appended survives a crash and a power cut."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any


class LineFile:
    """Appends objects to a file, from any thread; every line is on disk when `append` returns.

    Raises OSError where the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        # A torn last line must not swallow the next one.
        self._at_line_start = not path.exists() or _ends_in_newline(path)
        self._stream = path.open("ab", buffering=0)

    def __enter__(self) -> LineFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Append no more."""
        self._stream.close()

    def append(self, *lines: Mapping[str, Any]) -> None:
        """Add objects, with the time as `time`; they are synced together. Raises OSError."""
        time = {"time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        texts = [json.dumps({**line, **time}, separators=(",", ":")) + "\n" for line in lines]
        encoded = "".join(texts).encode("ascii")
        with self._lock:
            start = b"" if self._at_line_start else b"\n"
            self._at_line_start = False
            _write_all(self._stream.fileno(), start + encoded)
            self._at_line_start = True
            os.fsync(self._stream.fileno())


class LineReader:
    """Reads a growing file of lines, each time what is new since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """The new objects in order; torn lines are passed over, a missing file has none. Raises OSError."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            if stream.seek(0, os.SEEK_END) < self._offset:
                self._offset = 0  # another file has taken its place
            stream.seek(self._offset)
            for raw in stream:
                try:
                    line = json.loads(raw)
                except ValueError:
                    if not raw.endswith(b"\n"):
                        return  # somebody is in the middle of it, or a crash tore it: read it again then
                    line = None
                self._offset += len(raw)
                if isinstance(line, dict):
                    yield line


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """A file's objects in order; torn lines are passed over, a missing file has none. Raises OSError."""
    return LineReader(path).read()


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
