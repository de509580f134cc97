"""How much of a mark can still be seen, judged without knowing the truth.

What is left of a mark runs along its matte's edges: either all round with one sign (a ghost, lighter or
darker than what surrounds it), or as a line of either sign (a halo). Both are measured along the matte's
gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cleanplate.remove.inpaint import dilate
from cleanplate.structures import BoolArray, FloatArray, Mark

#: A matte's gradient below this (a pixel) is no edge.
LEAST_EDGE = 0.03
#: The surroundings that edges inside are compared with.
SURROUNDINGS_PX = 12
#: What a halo counts against a ghost.
HALO_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Visibility:
    """How visible a mark is in a picture, in units of the picture's range.

    ghost: how much the picture rises from outside the matte to inside. halo: how much steeper it is across
    the matte's edges than its surroundings are anywhere, 0 where it is not.
    """

    ghost: float
    halo: float

    @property
    def total(self) -> float:
        """Both together; 0 is invisible."""
        return self.ghost + HALO_WEIGHT * self.halo

    @property
    def squared(self) -> float:
        """The squared error that both stand for."""
        return self.ghost**2 + self.halo**2


@dataclass(frozen=True, eq=False)
class MatteEdges:
    """The edges along which a mark is looked for: of one matte, for any number of pictures.

    across, down: (h, w), the matte's slopes. edge: (h, w) bool, where they count. steepness: their squares,
    of the edge's pixels. around: (h, w) bool, the surroundings that edges inside are compared with.
    """

    across: FloatArray
    down: FloatArray
    edge: BoolArray
    steepness: FloatArray
    around: BoolArray

    @classmethod
    def find(cls, matte: FloatArray, where: BoolArray) -> MatteEdges:
        """Those of a (h, w) float32 matte inside `where`."""
        across, down = _slopes(matte)
        steepness = across**2 + down**2
        edge = where & (steepness > LEAST_EDGE**2)
        around = dilate(where, SURROUNDINGS_PX) & ~dilate(matte > 0.02, 2)
        return cls(across, down, edge, steepness[edge], around)

    def judge(self, rgb: FloatArray) -> Visibility:
        """How visible the mark is in (h, w, 3) float32 `rgb`."""
        if not self.steepness.size:
            return Visibility(0.0, 0.0)
        right, below = _slopes(rgb)
        along = (right * self.across[..., None] + below * self.down[..., None])[self.edge]
        ghost = along.sum(axis=0) / self.steepness.sum()
        square = float((along**2 / self.steepness[:, None]).mean())
        usual = float((0.5 * (right**2 + below**2))[self.around].mean()) if self.around.any() else 0.0
        halo = np.sqrt(max(0.0, square - usual))
        return Visibility(float(np.sqrt(np.mean(ghost**2))), float(halo))


def judge_visibility(rgb: FloatArray, matte: FloatArray, where: BoolArray) -> Visibility:
    """How visible the mark of this matte is in (h, w, 3) float32 `rgb`, at the edges inside `where`.

    >>> matte = np.zeros((9, 9), np.float32)
    >>> matte[3:6, 3:6] = 1
    >>> everywhere = np.ones((9, 9), bool)
    >>> judge_visibility(np.full((9, 9, 3), 0.5, np.float32), matte, everywhere).total
    0.0
    >>> judge_visibility(0.3 * np.dstack([matte] * 3), matte, everywhere).ghost > 0.25
    True
    """
    return MatteEdges.find(matte, where).judge(rgb)


def compare_visibility(marked: FloatArray, behind: FloatArray, layer: Mark, changed: BoolArray) -> float:
    """Which part of a mark is still to be seen in `behind`, of what is seen in `marked`; 0 is none.

    layer: the mark as it lies there, of their size. changed: (h, w) bool, what was rewritten.
    """
    edges = MatteEdges.find(layer.alpha / max(1e-6, float(layer.alpha.max())), changed)
    return edges.judge(behind).total / max(edges.judge(marked).total, 1e-6)


def _slopes(plane: FloatArray) -> tuple[FloatArray, FloatArray]:
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)
