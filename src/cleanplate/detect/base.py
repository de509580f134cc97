"""What every detector is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cleanplate.models.request import Attempt
from cleanplate.structures import Detection, Photo


class Detector(Protocol):
    """Finds the visible marks of photographs.

    `fingerprint` names what the results depend on (a network's checksum); it is part of what makes a finished
    file valid.
    """

    @property
    def fingerprint(self) -> str: ...

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:
        """One Detection a photograph, in order, or what ended that photograph alone. Sizes may differ.

        Where `Photo.since` says what was found before a part was rewritten, only that part need be looked at.
        """
        ...
