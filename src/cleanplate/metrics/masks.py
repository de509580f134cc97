"""How well a found mask covers the true one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cleanplate.structures import BoolArray


@dataclass(frozen=True, slots=True)
class MaskTally:
    """Counts of pixels over any number of masks; tallies of several photographs add up.

    >>> tally = MaskTally.of(np.array([True, True]), np.array([True, False]))
    >>> (tally + tally).precision
    0.5
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @classmethod
    def of(cls, found: BoolArray, truth: BoolArray) -> MaskTally:
        """Count two masks of one shape. Raises ValueError where the shapes differ."""
        if found.shape != truth.shape:
            raise ValueError(f"the masks have shapes {found.shape} and {truth.shape}; give two of one shape")
        found, truth = found.astype(bool), truth.astype(bool)
        return cls(
            int(np.count_nonzero(found & truth)),
            int(np.count_nonzero(found & ~truth)),
            int(np.count_nonzero(~found & truth)),
        )

    def __add__(self, other: MaskTally) -> MaskTally:
        return MaskTally(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def precision(self) -> float:
        """Part of the found pixels that is true; 1 where nothing was found."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Part of the true pixels that was found; 1 where there are none."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where both masks are empty."""
        wrong = self.false_positives + self.false_negatives
        return _ratio(2 * self.true_positives, 2 * self.true_positives + wrong)

    @property
    def iou(self) -> float:
        """Intersection over union; 1 where both masks are empty."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)


def f1(found: BoolArray, truth: BoolArray) -> float:
    """Harmonic mean of precision and recall of a mask, in [0, 1]; 1 where both masks are empty.

    >>> f1(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    return MaskTally.of(found, truth).f1


def iou(found: BoolArray, truth: BoolArray) -> float:
    """Intersection over union of two masks, in [0, 1]; 1 where both are empty.

    >>> iou(np.array([True, True, False]), np.array([True, False, False]))
    0.5
    """
    return MaskTally.of(found, truth).iou


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
