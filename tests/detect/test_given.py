"""Marks that are given: masks, boxes and places; what the pipeline does with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cleanplate.detect.given import ArrayMask, GivenDetector, GivenMask, Places, detect_from_mask
from cleanplate.errors import RepairFailedError
from cleanplate.models.request import Attempt, plainly
from cleanplate.places import parse_anchor, parse_box
from cleanplate.structures import Detection, Photo


def photo(height: int = 60, width: int = 80) -> Photo:
    return Photo(Path("a.png"), np.zeros((height, width, 3), np.uint8), None)


def detection(answer: Detection | Exception) -> Detection:
    assert isinstance(answer, Detection), answer
    return answer


class FindsNothing:
    fingerprint = "nothing"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
        self.asked += [photo.path.name for photo in photos]
        return [detect_from_mask(GivenMask(np.zeros((p.height, p.width), bool))) for p in photos]


class KnowsOnly:
    """A source that knows one photograph only."""

    fingerprint = "one"

    def find(self, photo: Photo) -> GivenMask | None:
        if photo.path.name != "known.png":
            return None
        return GivenMask(np.eye(photo.height, photo.width, dtype=bool), ("drawn by hand",))


def test_places_are_marked_wholly_and_for_certain() -> None:
    places = Places((parse_box("10,20,5,4"),), (parse_anchor("bottom-right:20%x10%"),))
    (answer,) = GivenDetector((places,)).detect([photo()], plainly)
    found = detection(answer)
    expected = np.zeros((60, 80), bool)
    expected[20:24, 10:15] = True
    expected[54:60, 64:80] = True
    assert np.array_equal(found.mask, expected)
    assert np.array_equal(found.probability, expected.astype(np.float32))
    assert (found.given, found.score) == (True, 1.0)
    assert len(found.boxes) == 2


def test_a_box_outside_the_photograph_is_that_photographs_failure() -> None:
    places = Places((parse_box("70,10,5,5"),))
    wide, narrow = GivenDetector((places,)).detect([photo(), photo(width=60)], plainly)
    assert detection(wide).boxes
    assert isinstance(narrow, RepairFailedError)
    assert "70,10" in narrow.cause
    assert "--anchor" in narrow.remedy


def test_a_box_that_reaches_over_the_edge_is_cut() -> None:
    (answer,) = GivenDetector((Places((parse_box("70,50,50,50"),)),)).detect([photo()], plainly)
    assert detection(answer).mask.sum() == 10 * 10


def test_a_mask_of_another_size_is_refused() -> None:
    (answer,) = GivenDetector((ArrayMask(np.ones((4, 5), bool)),)).detect([photo()], plainly)
    assert isinstance(answer, RepairFailedError)
    assert "5 x 4" in str(answer)
    assert "80 x 60" in str(answer)


def test_a_mask_over_everything_is_refused() -> None:
    (answer,) = GivenDetector((ArrayMask(np.ones((60, 80), bool)),)).detect([photo()], plainly)
    assert isinstance(answer, RepairFailedError)
    assert "covers it all" in str(answer)


def test_what_no_source_knows_is_looked_for_or_clean() -> None:
    known = Photo(Path("known.png"), np.zeros((30, 40, 3), np.uint8), None)
    finder = FindsNothing()
    answers = GivenDetector((KnowsOnly(),), otherwise=finder).detect([photo(), known], plainly)
    assert finder.asked == ["a.png"]
    assert detection(answers[1]).notes == ("drawn by hand",)
    assert detection(GivenDetector((KnowsOnly(),)).detect([photo()], plainly)[0]).boxes == ()


def test_sources_add_up() -> None:
    array = np.zeros((60, 80), bool)
    array[:3, :3] = True
    both = GivenDetector((ArrayMask(array), Places(anchors=(parse_anchor("center:4x4"),))))
    assert detection(both.detect([photo()], plainly)[0]).mask.sum() == 9 + 16


def test_the_fingerprint_follows_what_is_given() -> None:
    one, other = np.zeros((8, 8), bool), np.eye(8, dtype=bool)
    prints = {ArrayMask(one).fingerprint, ArrayMask(other).fingerprint}
    assert len(prints) == 2
    assert GivenDetector((ArrayMask(one),), FindsNothing()).fingerprint.endswith("+nothing")


def test_no_marked_pixel_is_outside_every_box() -> None:
    specks = np.zeros((300, 300), bool)
    specks[::4, ::4] = True
    specks[1::4, 1::4] = True
    found = detect_from_mask(GivenMask(specks))
    covered = np.zeros_like(specks)
    for box in found.boxes:
        covered[box.slices] = True
    assert not (specks & ~covered).any()


@pytest.mark.parametrize("height", [1, 60, 61])
def test_an_anchor_keeps_to_its_corner(height: int) -> None:
    for text, row in (("top-left:5x5", 0), ("bottom-left:5x5", -1)):
        (answer,) = GivenDetector((Places(anchors=(parse_anchor(text),)),)).detect([photo(height)], plainly)
        assert detection(answer).mask[row, 0]
