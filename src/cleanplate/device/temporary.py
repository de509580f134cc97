"""Temporary files and folders that say whose they are, so that what a killed process leaves is swept.

Two runs may share a temporary folder, and so may two containers, whose process numbers mean nothing to each
other: a name tells the table of processes, too.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

import psutil

#: Of another machine, or another container, one is swept when it is so old: whether it is in use nobody can
#: tell here.
STALE_SECONDS = 24 * 3600.0
#: A process that began so much later than a folder was made has taken its maker's number.
LATER_SECONDS = 600.0
_NAME = re.compile(r"cleanplate-[a-z]+-([0-9a-f]{8})-(\d+)-.*")
#: On Linux tells one container's table of processes from another's.
PROCESS_TABLE = Path("/proc/self/ns/pid")


def make_prefix(purpose: str, pid: int | None = None) -> str:
    """What the name of a process's temporary file or folder begins with. purpose: lower-case letters.

    >>> make_prefix("iopaint", 12).endswith("-12-")
    True
    """
    return f"cleanplate-{purpose}-{_name_table()}-{os.getpid() if pid is None else pid}-"


def open_folder(purpose: str) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder of this process, removed at the end of the block."""
    return tempfile.TemporaryDirectory(prefix=make_prefix(purpose), ignore_cleanup_errors=True)


def sweep_temporary() -> None:
    """Remove what processes that have ended left behind."""
    for path, table, pid in _list_temporary():
        if _is_gone(pid, path) if table == _name_table() else _is_stale(path):
            _remove(path)


def remove_temporary(pids: Collection[int]) -> None:
    """Remove what these processes have made, which are being ended."""
    for path, table, pid in _list_temporary():
        if table == _name_table() and pid in pids:
            _remove(path)


def _list_temporary() -> list[tuple[Path, str, int]]:
    """(path, table of processes, number in it) of what is there."""
    try:
        found = list(Path(tempfile.gettempdir()).glob("cleanplate-*"))
    except OSError:
        return []
    named = ((path, _NAME.fullmatch(path.name)) for path in found)
    return [(path, match[1], int(match[2])) for path, match in named if match is not None]


def _is_gone(pid: int, path: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return process.create_time() > path.stat().st_mtime + LATER_SECONDS
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OSError):
        return False  # somebody else's, or its owner has just removed it


def _is_stale(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink()
    except OSError:
        return  # another sweep was quicker, or it is somebody else's


@lru_cache(maxsize=1)
def _name_table() -> str:
    try:
        table = str(PROCESS_TABLE.stat().st_ino)
    except OSError:
        table = ""
    return hashlib.sha256(f"{platform.node()} {table}".encode()).hexdigest()[:8]
