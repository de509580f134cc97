"""A pipeline without networks, for tests of the command line: every photograph with a white pixel has a mark.

As a program it is `cleanplate` with that pipeline, slowed down: `python -m tests.cli.stand_in SECONDS ...`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np

from cleanplate.cli import main
from cleanplate.engine import run
from cleanplate.models.request import Attempt
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Detection, Photo, Repair, Verdict


class WhitePixels:
    """Takes white for marked and makes it grey."""

    fingerprint = "white-pixels"

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def repair(self, photos: Sequence[Photo], settings: RepairSettings, _attempt: Attempt) -> list[Repair]:
        time.sleep(self._seconds * len(photos))
        return [self._repair(photo, settings) for photo in photos]

    def _repair(self, photo: Photo, settings: RepairSettings) -> Repair:
        mask = (photo.rgb_u8 == 255).all(axis=2)
        share = float(mask.mean())
        boxes = (Box(0, 0, photo.width, photo.height),) if share else ()
        found = Detection(mask.astype(np.float32), mask, boxes, share, float(share > 0))
        if share < settings.threshold or not share:
            verdict = Verdict.UNDER_THRESHOLD if share else Verdict.CLEAN
            return Repair(verdict, photo.rgb, np.zeros_like(mask), found)
        rgb = photo.rgb.copy()
        rgb[mask] = 128
        return Repair(Verdict.REPAIRED, rgb, mask, found, rounds=1)


if __name__ == "__main__":
    run.build_pipeline = lambda _settings: WhitePixels(float(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
