"""Paths on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from cleanplate.engine.named import read_path
from cleanplate.errors import UsageError


def parse_path(text: str) -> Path:
    """What an option or argument names; for argparse, which puts the option before what is said.

    >>> parse_path("photos").name
    'photos'
    >>> parse_path("")
    Traceback (most recent call last):
    ...
    argparse.ArgumentTypeError: an empty path names no folder or file; give one, '.' for the current folder
    """
    try:
        return read_path(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
