"""Marks as data: drawn, composited, read and written."""

from cleanplate.marks.assets import Assets, find_assets
from cleanplate.marks.composite import PlacedMark, composite
from cleanplate.marks.files import read_mark, write_mark
from cleanplate.marks.sample import KINDS, MarkedPhoto, sample_marked

__all__ = [
    "KINDS",
    "Assets",
    "MarkedPhoto",
    "PlacedMark",
    "composite",
    "find_assets",
    "read_mark",
    "sample_marked",
    "write_mark",
]
