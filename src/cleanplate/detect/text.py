"""Finding lettering with an OCR engine's text detector, refined to strokes.

The engine boxes text of any kind, of the scene and over it, and its boxes are several times larger than the
letters. So boxes are cut down to strokes, and kept only where the finder sees at least a trace of a mark, or
a hint of one and their opacity says that they are laid over, unless all text is wanted. What the finder has
found itself is left to it: its pixels are the better ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.base import Detector
from cleanplate.detect.mask import cover, cover_share, detect_from_probability, group_boxes
from cleanplate.extras import require
from cleanplate.models.request import Attempt
from cleanplate.structures import BoolArray, Detection, FloatArray, Photo

#: Of a box's strokes, the part that the finder must hold for marked, and how probable that is; and what it
#: must at least where their opacity speaks for a mark.
LEAST_TRACE, TRACE = 0.2, 0.3
LEAST_HINT = 0.05
#: Strokes of which more than this is in the finder's own mask are left to it. Source: 140 marked validation
#: photographs, mean F1 of the mask: 0.352 by the finder alone, 0.338 with all strokes, 0.363 with these.
MOST_FOUND = 0.1
#: What a stroke of a kept box counts as, at least.
STROKE_PROBABILITY = 0.95
#: Strokes differ from their surroundings by at least so many of 255 levels.
LEAST_CONTRAST = 10


@dataclass(frozen=True, eq=False)
class TextDetector:
    """A detector, and the lettering that an OCR engine boxes beside it (the `Detector` protocol).

    finder: whose probabilities decide. engine: called as RapidOCR is. keep: `overlay` where the finder has a
    trace, `all` everywhere. looks_laid_over: (photograph, strokes) -> whether their opacity says that they
    are, where the finder has but a hint; None: nobody is asked.
    """

    finder: Detector
    engine: Any
    engine_version: str
    keep: Literal["overlay", "all"] = "overlay"
    looks_laid_over: Callable[[NDArray[np.uint8], BoolArray], bool] | None = None

    @property
    def fingerprint(self) -> str:
        """The finder's, the rule's (its second), and the engine's version."""
        return f"{self.finder.fingerprint}+ocr2-{self.keep}-{self.engine_version}"

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:
        """One Detection a photograph, in order, or what ended that photograph alone."""
        found = self.finder.detect(photos, attempt)
        return [
            answer if isinstance(answer, Exception) or answer.given else self._add(photo, answer)
            for photo, answer in zip(photos, found, strict=True)
        ]

    def _add(self, photo: Photo, found: Detection) -> Detection | Exception:
        try:
            polygons = self._read(photo.rgb_u8)
        except Exception as exc:  # an engine's own errors end the photograph, never the run
            return exc
        strokes = np.zeros(found.mask.shape, bool)
        for polygon in polygons:
            own = find_strokes(photo.rgb_u8, polygon)
            if own.any() and (self.keep == "all" or self._is_overlay(photo, found, own)):
                strokes |= own
        if not strokes.any():
            return found
        probability = np.where(strokes, np.maximum(found.probability, STROKE_PROBABILITY), found.probability)
        return _join(found, detect_from_probability(probability.astype(np.float32)), strokes)

    def _is_overlay(self, photo: Photo, found: Detection, strokes: BoolArray) -> bool:
        """Whether strokes are a mark that the finder has missed."""
        if found.mask[strokes].mean() > MOST_FOUND:
            return False
        trace = float((found.probability[strokes] > TRACE).mean())
        if trace >= LEAST_TRACE or self.looks_laid_over is None:
            return trace >= LEAST_TRACE
        return trace >= LEAST_HINT and self.looks_laid_over(photo.rgb_u8, strokes)

    def _read(self, rgb_u8: NDArray[np.uint8]) -> list[FloatArray]:
        """(4, 2) corners of every text, in pixels."""
        bgr = np.ascontiguousarray(rgb_u8[..., ::-1])
        answer = self.engine(bgr, use_det=True, use_cls=False, use_rec=False)
        boxes = getattr(answer, "boxes", None)
        return [] if boxes is None else [np.asarray(box, np.float32) for box in boxes]


def make_engine() -> tuple[Any, str]:
    """(RapidOCR with the detector that its package brings, its version). Raises MissingExtraError."""
    package = require("rapidocr", extra="ocr")
    engine = package.RapidOCR(params={"Global.log_level": "critical"})
    try:
        version = metadata.version("rapidocr")
    except metadata.PackageNotFoundError:  # it lies there without having been installed
        version = str(getattr(package, "__version__", "unknown"))
    return engine, version


def find_strokes(rgb_u8: NDArray[np.uint8], polygon: FloatArray) -> BoolArray:
    """(H, W) bool: the strokes of the text in a polygon, (4, 2) corners in pixels.

    They are what is lighter, or what is darker, than the surroundings at the scale of the text, whichever
    stands out more.

    >>> picture = np.full((40, 80, 3), 90, np.uint8)
    >>> picture[15:25, 20:24] = 250
    >>> strokes = find_strokes(picture, np.array([[10, 8], [70, 8], [70, 32], [10, 32]], np.float32))
    >>> bool(strokes[20, 22]), bool(strokes[20, 50])
    (True, False)
    """
    height, width = rgb_u8.shape[:2]
    strokes = np.zeros((height, width), bool)
    left, top = np.floor(polygon.min(axis=0)).astype(int).clip(0)
    right, bottom = np.minimum(np.ceil(polygon.max(axis=0)).astype(int) + 1, (width, height))
    if right - left < 3 or bottom - top < 3:
        return strokes
    # The surroundings are looked at too: inside its box the text may cover more than it leaves.
    text_px = min(right - left, bottom - top)
    left, top = max(0, left - text_px), max(0, top - text_px)
    right, bottom = min(width, right + text_px), min(height, bottom + text_px)
    grey = cv2.cvtColor(np.ascontiguousarray(rgb_u8[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    inside = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(polygon - (left, top)).astype(np.int32), 1)
    kernel = int(min(255, 2 * text_px + 1))
    difference = grey.astype(np.int16) - cv2.medianBlur(grey, kernel)
    candidates = []
    for side in (difference, -difference):
        level = np.clip(side, 0, 255).astype(np.uint8)
        values = level[inside > 0]
        cut, _ = cv2.threshold(values.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        own = (level > max(cut, LEAST_CONTRAST)) & (inside > 0)
        candidates.append((float(level[own].astype(np.float32).sum()), own))
    _, best = max(candidates, key=lambda candidate: candidate[0])
    strokes[top:bottom, left:right] = cv2.dilate(best.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return strokes


def _join(found: Detection, again: Detection, strokes: BoolArray) -> Detection:
    """What either shows: strokes count even where the finder doubts the group that they make."""
    mask = again.mask | found.mask | strokes
    boxes = group_boxes(mask)
    mask &= cover(boxes, *mask.shape)
    score = float(again.probability[mask].mean()) if boxes else 0.0
    share = cover_share(boxes, *mask.shape)
    return replace(found, probability=again.probability, mask=mask, boxes=boxes, share=share, score=score)
