"""What the figures would be without the program: the input as it is, and a plain fill under the true mask.

The fill knows exactly where the marks are, which no automatic repair does; still it is what a repair must
beat.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cleanplate.evaluate.run import Scored
from cleanplate.evaluate.score import PhotoScore, score_result
from cleanplate.remove.inpaint import fill_with_telea

INPUT = "input"
TELEA = "Telea, true mask"


class Baselines:
    """Scores both for every triple that is shown; `scores` holds them by name."""

    def __init__(self) -> None:
        self.scores: dict[str, list[PhotoScore]] = {INPUT: [], TELEA: []}

    def add(self, scored: Scored) -> None:
        """Score the baselines on a triple."""
        self.scores[INPUT].append(leave_alone(scored.score))
        self.scores[TELEA].append(fill_under_truth(scored))


def leave_alone(score: PhotoScore) -> PhotoScore:
    """The score of the same photograph when nothing is done to it."""
    return replace(
        score,
        inside_after=score.inside_before,
        whole_after=score.whole_before,
        ssim_after=score.ssim_before,
        ring_after=score.ring_before,
        ring_rmse_after=score.ring_rmse_before,
        touched=False,
        tally=None,
        marks=(),
        error=None,
        seconds=None,
    )


def fill_under_truth(scored: Scored) -> PhotoScore:
    """The score of Telea's fill under the true mask. A clean photograph is left as it is."""
    triple = scored.triple
    if triple.is_clean:
        return leave_alone(scored.score)
    filled = fill_with_telea(triple.marked_u8.astype(np.float32) / np.float32(255), triple.inside)
    result = np.rint(filled * 255).astype(np.uint8)
    return score_result(triple, result, found=triple.inside)
