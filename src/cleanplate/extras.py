"""The one place where an optional import can fail."""

from __future__ import annotations

import importlib
from types import ModuleType

from cleanplate.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional dependency, or say which command installs it.

    Raises MissingExtraError when it is not installed.

    >>> require("no_such_module", extra="ocr")
    Traceback (most recent call last):
    ...
    cleanplate.errors.MissingExtraError: no_such_module is not installed; pip install 'cleanplate[ocr]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise MissingExtraError(f"{module} is not installed; pip install 'cleanplate[{extra}]'") from exc
