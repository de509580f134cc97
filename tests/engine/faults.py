"""Failing file operations: the n-th one of a run, below one folder, raises what the test wants."""

from __future__ import annotations

import builtins
import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

#: What is counted: `os` functions by name, and which of their arguments are paths or descriptors.
PATH_CALLS = ("open", "mkdir", "replace", "rename", "unlink", "rmdir", "stat", "scandir", "listdir")
DESCRIPTOR_CALLS = ("write", "fsync", "ftruncate")


class Killed(BaseException):
    """Stands for the death of the process: nothing after it reaches the disk."""


class Faults:
    """Counts file operations below a folder and lets some fail.

    should_fail: whether the operation with this number (from 1) fails. make_error: from the operation's name.
    """

    def __init__(
        self,
        root: Path,
        should_fail: Callable[[int], bool] = lambda _: False,
        make_error: Callable[[str], BaseException] | None = None,
    ) -> None:
        self.root = str(root)
        self.should_fail = should_fail
        self.make_error = make_error or (lambda name: OSError(errno.ENOSPC, "No space left on device", name))
        self.count = 0
        self.failed: list[str] = []
        self.seen: set[str] = set()
        self._lock = threading.Lock()

    def pass_through(self, name: str) -> None:
        """Count an operation; raise if it is its turn to fail."""
        with self._lock:
            self.count += 1
            self.seen.add(name)
            fails = self.should_fail(self.count)
            if fails:
                self.failed.append(name)
        if fails:
            raise self.make_error(name)

    @contextmanager
    def armed(self) -> Iterator[Faults]:
        """While entered, operations are counted."""
        with mock.patch.multiple(os, **self._os_functions()), self._open_patched():
            yield self

    def _os_functions(self) -> dict[str, Any]:
        functions = {name: self._wrap_path_call(name, getattr(os, name)) for name in PATH_CALLS}
        functions |= {name: self._wrap_descriptor_call(name, getattr(os, name)) for name in DESCRIPTOR_CALLS}
        return functions

    @contextmanager
    def _open_patched(self) -> Iterator[None]:
        real_open = io.open

        def open_counted(file: Any, *arguments: Any, **named: Any) -> Any:
            if not self._is_ours(file):
                return real_open(file, *arguments, **named)
            self.pass_through(f"open {Path(file).name}")
            return _CountedStream(real_open(file, *arguments, **named), self)

        with mock.patch.object(io, "open", open_counted), mock.patch.object(builtins, "open", open_counted):
            yield

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and str(path).startswith(self.root)

    def _wrap_path_call(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(path: Any = ".", *arguments: Any, **named: Any) -> Any:
            if isinstance(path, int):  # a folder that is open, as for removing a tree
                self.pass_through(name)
            elif self._is_ours(path) or named.get("dir_fd") is not None:
                self.pass_through(f"{name} {Path(os.fspath(path)).name}")
            return call(path, *arguments, **named)

        return counted

    def _wrap_descriptor_call(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(descriptor: int, *arguments: Any) -> Any:
            try:
                self.pass_through(name)
            except BaseException:
                if name == "write":  # what a full disk or a sudden death leaves: a torn line
                    call(descriptor, bytes(arguments[0])[: len(arguments[0]) // 2])
                raise
            return call(descriptor, *arguments)

        return counted


class _CountedStream:
    """A file whose writing and reading count too."""

    def __init__(self, stream: Any, faults: Faults) -> None:
        self._stream = stream
        self._faults = faults
        self._was_read = False

    def write(self, data: Any) -> int:
        try:
            self._faults.pass_through("write")
        except BaseException:
            self._stream.write(bytes(data)[: len(data) // 2])
            raise
        return self._stream.write(data)

    def read(self, *arguments: Any) -> Any:
        if not self._was_read:  # a decoder reads a header in dozens of small pieces: one stands for all
            self._was_read = True
            self._faults.pass_through("read")
        return self._stream.read(*arguments)

    def __enter__(self) -> _CountedStream:
        self._stream.__enter__()
        return self

    def __exit__(self, *details: Any) -> Any:
        return self._stream.__exit__(*details)

    def __iter__(self) -> Any:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
