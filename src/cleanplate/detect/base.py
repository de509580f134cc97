"""What every detector is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cleanplate.structures import Detection, Photo


class Detector(Protocol):
    """Finds the visible marks of photographs.

    `detect` returns one Detection a photograph, in order. Photographs may differ in size.
    """

    def detect(self, photos: Sequence[Photo]) -> list[Detection]: ...
