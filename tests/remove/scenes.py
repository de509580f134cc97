"""Marked photographs for the tests: drawn letters on pictures that scikit-image carries."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage import data

from cleanplate.structures import FloatArray


@dataclass(frozen=True, eq=False)
class Scene:
    """clean, marked: (h, w, 3) float32 in [0, 1]; matte: (h, w) float32."""

    clean: FloatArray
    marked: FloatArray
    matte: FloatArray


def photograph(height: int = 120, width: int = 200) -> FloatArray:
    """A part of a photograph with texture, in [0, 1]."""
    return (data.astronaut()[60 : 60 + height, 100 : 100 + width] / np.float32(255)).astype(np.float32)


def letters(height: int, width: int, text: str = "MARK", scale: float = 2.0, top: int = 75) -> FloatArray:
    """A matte of thick letters with soft edges."""
    drawn = np.zeros((height, width), np.uint8)
    cv2.putText(drawn, text, (12, top), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 7, cv2.LINE_AA)
    return (drawn / np.float32(255)).astype(np.float32)


def blend(
    clean: FloatArray, matte: FloatArray, opacity: float, colour: tuple[float, float, float]
) -> FloatArray:
    """The photograph under a mark, rounded to 8 bits as a file would hold it."""
    alpha = (matte * np.float32(opacity))[..., None]
    marked = clean * (1 - alpha) + alpha * np.asarray(colour, np.float32)
    return (np.rint(marked * 255) / 255).astype(np.float32)


def scene(opacity: float = 0.5, colour: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Scene:
    """White letters on a photograph, unless told otherwise."""
    clean = photograph()
    matte = letters(*clean.shape[:2])
    return Scene(clean, blend(clean, matte, opacity, colour), matte)
