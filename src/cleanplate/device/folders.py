"""Where this user keeps what can be made again: models that were fetched, figures that were measured."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME_VARIABLE = "CLEANPLATE_HOME"


def cache_folder() -> Path:
    """The folder; it need not be there yet.

    `CLEANPLATE_HOME` names it; else it is the system's place for caches: `XDG_CACHE_HOME` or `~/.cache`,
    `~/Library/Caches` on a Mac, `%LOCALAPPDATA%` on Windows.

    >>> cache_folder().is_absolute()
    True
    """
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    return _find_caches() / "cleanplate"


def _find_caches() -> Path:
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    variable, default = ("XDG_CACHE_HOME", home / ".cache")
    if sys.platform == "win32":
        variable, default = ("LOCALAPPDATA", home / "AppData" / "Local")
    given = os.environ.get(variable, "")
    # The XDG specification: a relative path is invalid and is to be ignored.
    return Path(given) if Path(given).is_absolute() else default
