"""Lettering beside the finder: boxes become strokes, and only overlays are kept unless all is wanted."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from cleanplate.detect.given import GivenMask, detect_from_mask
from cleanplate.detect.mask import detect_from_probability
from cleanplate.detect.text import TextDetector, find_strokes, make_engine
from cleanplate.errors import MissingExtraError
from cleanplate.models.request import Attempt, plainly
from cleanplate.structures import BoolArray, Detection, FloatArray, Photo

BOX = np.array([[20, 60], [300, 60], [300, 120], [20, 120]], np.float32)


def lettered(colour: int = 255) -> tuple[Photo, BoolArray]:
    rgb = np.ascontiguousarray(data.coffee()[:200, :320])
    drawn = np.zeros(rgb.shape[:2], np.uint8)
    cv2.putText(drawn, "SAMPLE", (30, 105), cv2.FONT_HERSHEY_SIMPLEX, 1.8, 255, 4)
    rgb[drawn > 0] = colour
    return Photo(Path("a.png"), rgb, None), drawn > 0


@dataclass
class Finder:
    probability: FloatArray
    fingerprint: str = "finder"

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
        return [detect_from_probability(self.probability) for _ in photos]


@dataclass
class Engine:
    boxes: Any
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, bgr: Any, *, use_det: bool, use_cls: bool, use_rec: bool) -> Any:
        assert (use_det, use_cls, use_rec) == (True, False, False)
        self.seen.append(bgr.shape)
        if isinstance(self.boxes, Exception):
            raise self.boxes
        return types.SimpleNamespace(boxes=self.boxes)


def detect(probability: FloatArray, boxes: Any, keep: Any = "overlay") -> Detection:
    photo, _ = lettered()
    (found,) = TextDetector(Finder(probability), Engine(boxes), "1", keep).detect([photo], plainly)
    assert isinstance(found, Detection)
    return found


def nowhere() -> FloatArray:
    return np.zeros((200, 320), np.float32)


@pytest.mark.parametrize("colour", [0, 255])
def test_strokes_are_found_in_a_box_whatever_their_tone(colour: int) -> None:
    photo, drawn = lettered(colour)
    strokes = find_strokes(photo.rgb_u8, BOX)
    assert (strokes & drawn).sum() / drawn.sum() > 0.75
    assert (strokes & drawn).sum() / strokes.sum() > 0.3


def test_text_of_the_scene_is_left_unless_all_is_wanted() -> None:
    assert detect(nowhere(), [BOX]).boxes == ()
    _, drawn = lettered()
    wanted = detect(nowhere(), [BOX], keep="all")
    assert (wanted.mask & drawn).sum() / drawn.sum() > 0.75
    assert wanted.score > 0.9


def test_a_trace_of_the_finder_makes_it_an_overlay() -> None:
    _, drawn = lettered()
    probability = nowhere()
    probability[drawn] = 0.4  # too little for the finder alone
    assert detect_from_probability(probability).boxes == ()
    found = detect(probability, [BOX])
    assert (found.mask & drawn).sum() / drawn.sum() > 0.75
    assert found.share > 0


def test_what_the_finder_has_found_stays() -> None:
    probability = nowhere()
    probability[150:170, 40:100] = 0.95
    assert detect(probability, None).mask[160, 50]
    assert detect(probability, [BOX], keep="all").mask[160, 50]


def test_boxes_outside_or_without_strokes_mark_nothing() -> None:
    flat = np.full((50, 60, 3), 80, np.uint8)
    assert not find_strokes(flat, np.array([[5, 5], [50, 5], [50, 40], [5, 40]], np.float32)).any()
    assert not find_strokes(flat, np.array([[58, 48], [90, 48], [90, 80], [58, 80]], np.float32)).any()


def test_an_engines_error_ends_its_photograph_alone() -> None:
    photo, _ = lettered()
    detector = TextDetector(Finder(nowhere()), Engine(ValueError("no")), "1")
    (answer,) = detector.detect([photo], plainly)
    assert isinstance(answer, ValueError)


def test_errors_and_given_marks_go_through() -> None:
    given = detect_from_mask(GivenMask(np.eye(8, dtype=bool)))

    class Mixed:
        fingerprint = "mixed"

        def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
            return [given, ValueError("finder")]

    photo, _ = lettered()
    engine = Engine([BOX])
    answers = TextDetector(Mixed(), engine, "1").detect([photo, photo], plainly)
    assert answers[0] is given
    assert isinstance(answers[1], ValueError)
    assert engine.seen == []


def test_the_fingerprint_tells_engine_and_mode() -> None:
    prints = {
        TextDetector(Finder(nowhere()), None, v, k).fingerprint for v in "12" for k in ("all", "overlay")
    }
    assert len(prints) == 4


def test_the_engine_comes_from_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("rapidocr")
    module.RapidOCR = lambda params: ("engine", params)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rapidocr", module)
    assert make_engine() == (("engine", {"Global.log_level": "critical"}), "unknown")
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtraError, match=r"cleanplate\[ocr\]"):
        make_engine()


def test_what_the_finder_has_found_itself_is_left_to_it() -> None:
    """Its pixels are the better ones: strokes are cut with a knife, and boxes hold more than letters."""
    _, drawn = lettered()
    probability = nowhere()
    probability[drawn] = 0.95
    alone = detect_from_probability(probability)
    assert np.array_equal(detect(probability, [BOX]).mask, alone.mask)
    assert detect(probability, [BOX], keep="all").mask.sum() > alone.mask.sum()


@pytest.mark.parametrize(
    ("hint", "answer", "kept"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_hint_of_the_finders_is_enough_where_the_opacity_says_overlay(
    hint: bool, answer: bool, kept: bool
) -> None:
    photo, drawn = lettered()
    probability = nowhere()
    if hint:
        probability[drawn & (np.arange(320) % 8 == 0)] = 0.4
    asked: list[tuple[int, ...]] = []

    def judge(rgb_u8: Any, strokes: BoolArray) -> bool:
        assert strokes.any()
        asked.append(rgb_u8.shape)
        return answer

    detector = TextDetector(Finder(probability), Engine([BOX]), "1", "overlay", judge)
    (found,) = detector.detect([photo], plainly)
    assert isinstance(found, Detection)
    assert bool(found.mask[drawn].any()) is kept
    assert asked == ([(200, 320, 3)] if hint else [])
