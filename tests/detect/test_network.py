from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cleanplate.detect.network import NetworkDetector, count_finishing
from cleanplate.detect.recall import Recall
from cleanplate.errors import TooLittleMemoryError
from cleanplate.models.request import Item, Request, Result, plainly
from cleanplate.structures import Box, Detection, FloatArray, Photo, Rewritten
from tests.measuring import Measuring

from .test_lattice import as_found, tiled


class FindsRed(nn.Module):
    """A finder that takes saturated red for a mark."""

    stride = 32

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        return 20 * (x[:, :1] - x[:, 1:2]) - 8


def photo(height: int, width: int, box: Box | None = None, dtype: type = np.uint8) -> Photo:
    peak = np.iinfo(dtype).max
    rgb = np.full((height, width, 3), peak // 2, dtype)
    if box is not None:
        rgb[box.slices] = (peak, 0, 0)
    return Photo(Path("a.png"), rgb, None)


def detector(**settings: object) -> NetworkDetector:
    return NetworkDetector(FindsRed().eval(), torch.device("cpu"), "red", **settings)  # type: ignore[arg-type]


def found(results: list[Detection | Exception]) -> list[Detection]:
    assert all(isinstance(result, Detection) for result in results), results
    return [result for result in results if isinstance(result, Detection)]


def test_marks_are_found_where_they_are() -> None:
    subject = detector(looks=())
    box = Box(40, 30, 80, 50)
    marked, clean = found(subject.detect([photo(100, 150, box), photo(100, 150)], plainly))
    assert marked.boxes == (box,)
    assert marked.probability.shape == (100, 150)
    assert clean.boxes == ()
    assert subject.network.seen == [(2, 3, 224, 320)]  # at twice their size


def test_large_photographs_are_looked_at_smaller_and_answered_at_their_own_size() -> None:
    subject = detector(working_size_px=128, looks=())
    detection = found(subject.detect([photo(300, 512, Box(100, 100, 300, 200))], plainly))[0]
    assert subject.network.seen == [(1, 3, 96, 128)]
    assert detection.mask.shape == (300, 512)
    (box,) = detection.boxes
    assert np.abs(np.subtract((box.left, box.top, box.right, box.bottom), (100, 100, 300, 200))).max() <= 4


def test_small_photographs_are_enlarged_twice_at_most() -> None:
    subject = detector(looks=())
    detection = found(subject.detect([photo(200, 640, Box(100, 100, 140, 110))], plainly))[0]
    assert subject.network.seen == [(1, 3, 320, 1024)]
    assert detection.boxes == (Box(100, 100, 140, 110),)
    unchanged = detector(looks=(), most_enlarged=1.0)
    unchanged.detect([photo(64, 64)], plainly)
    assert unchanged.network.seen == [(1, 3, 64, 64)]


def test_sixteen_bits_and_other_sizes_in_one_call() -> None:
    box = Box(40, 30, 80, 50)
    photos = [photo(100, 150, box), photo(90, 60), photo(100, 150, box, np.uint16)]
    eight, other, sixteen = found(detector().detect(photos, plainly))
    assert other.probability.shape == (90, 60)
    assert np.abs(eight.probability - sixteen.probability).max() < 1e-4


def test_one_photographs_failure_is_its_own() -> None:
    failure = RuntimeError("too large")

    def fail_first(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "detect":
            return plainly(request)
        return [failure, *request.run(request.items[1:], None)]

    results = detector().detect([photo(64, 64), photo(64, 64)], fail_first)
    assert results[0] is failure
    assert isinstance(results[1], Detection)


def test_a_request_predicts_its_shapes() -> None:
    seen = []

    def look(request: Request[Item, Result]) -> list[Result | Exception]:
        seen.append((request.stage, request.shape(3, None), request.tiles))
        return plainly(request)

    detector().detect([photo(50, 70)], look)
    assert [asked for asked in seen if asked[0] == "detect"] == [("detect", (3, 3, 128, 160), ())]


def test_in_tiles_a_network_that_looks_near_finds_the_same() -> None:
    seen: list[tuple[int, ...]] = []

    def in_tiles(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "detect":
            return plainly(request)
        seen.append((*request.tiles, *request.shape(1, 256)))
        return list(request.run(request.items, 256))

    marked = photo(300, 700, Box(250, 100, 330, 140))
    (whole,) = found(detector(looks=()).detect([marked], plainly))
    (pieces,) = found(detector(looks=()).detect([marked], in_tiles))
    assert seen == [(512, 256, 1, 3, 256, 256)]
    # Where tiles end, the stand-in's blur has another border.
    assert np.abs(whole.probability - pieces.probability).mean() < 1e-2
    assert whole.boxes == pieces.boxes


class DoubtsSizes(FindsRed):
    """Takes red for a mark only in pictures of so many columns at least."""

    def __init__(self, least_columns: int) -> None:
        super().__init__()
        self.least_columns = least_columns

    def forward(self, x: Tensor) -> Tensor:
        answer = super().forward(x)
        return answer if x.shape[3] >= self.least_columns else torch.full_like(answer, -8.0)


def test_what_is_suspected_is_looked_at_again_nearby_and_nothing_else_is() -> None:
    subject = detector()
    box = Box(300, 200, 360, 230)
    marked, clean = found(subject.detect([photo(600, 1024, box), photo(600, 1024)], plainly))
    assert clean.boxes == ()
    (again,) = marked.boxes
    assert (
        np.abs(np.subtract((again.left, again.top, again.right, again.bottom), (300, 200, 360, 230))).max()
        <= 1
    )
    first, *looks = subject.network.seen
    assert first == (2, 3, 608, 1024)
    # 60 x 30 pixels and 64 round them; mirrored and one and a half times their size, to multiples of 32.
    assert sorted(looks) == [(1, 3, 160, 192), (1, 3, 256, 288)]


def test_a_glance_is_one_look() -> None:
    subject = detector()
    (seen,) = found(
        subject.detect([replace(photo(600, 1024, Box(300, 200, 360, 230)), glance=True)], plainly)
    )
    assert len(seen.boxes) == 1
    assert subject.network.seen == [(1, 3, 608, 1024)]


def rewrite(subject: NetworkDetector, shown: Photo, *boxes: Box, seen: Box | None = None) -> Photo:
    """The photograph with its boxes painted grey, as a repair shows it again. seen: red still."""
    (before,) = found(subject.detect([shown], plainly))
    rgb = shown.rgb.copy()
    for box in boxes:
        rgb[box.slices] = 127
    if seen is not None:
        rgb[seen.slices] = (255, 0, 0)
    return replace(shown, rgb=rgb, since=Rewritten(before, boxes))


def test_after_a_removal_it_looks_round_what_was_rewritten_alone() -> None:
    subject = detector(looks=())
    gone, stays = Box(300, 200, 360, 230), Box(800, 500, 840, 520)
    shown = photo(600, 1024, gone)
    shown.rgb[stays.slices] = (255, 0, 0)
    again = rewrite(subject, shown, gone)
    (after,) = found(subject.detect([again], plainly))
    assert after.boxes == (stays,), "what was said of the rest still holds"
    assert subject.network.seen == [(1, 3, 608, 1024), (1, 3, 320, 320)]
    left = rewrite(subject, shown, gone, seen=Box(310, 205, 350, 225))
    (after,) = found(subject.detect([left], plainly))
    assert set(after.boxes) == {stays, Box(310, 205, 350, 225)}


@pytest.mark.parametrize(("away_px", "is_new"), [(20, True), (70, False)])
def test_what_is_seen_near_by_is_new_and_farther_off_what_was_said_holds(away_px: int, is_new: bool) -> None:
    subject = detector(looks=())
    gone = Box(300, 200, 360, 230)
    appears = Box(gone.right + away_px, 205, gone.right + away_px + 16, 225)
    again = rewrite(subject, photo(600, 1024, gone), gone, seen=appears)
    (after,) = found(subject.detect([again], plainly))
    assert after.boxes == ((appears,) if is_new else ())


def test_marks_far_apart_are_looked_at_each_by_itself_and_large_ones_with_all() -> None:
    subject = detector(looks=())
    boxes = Box(100, 100, 150, 120), Box(800, 500, 840, 520)
    shown = photo(600, 1024, boxes[0])
    shown.rgb[boxes[1].slices] = (255, 0, 0)
    (after,) = found(subject.detect([rewrite(subject, shown, *boxes)], plainly))
    assert after.boxes == ()
    assert subject.network.seen[1:] == [(2, 3, 320, 320)]
    large = Box(100, 50, 900, 550)
    (after,) = found(subject.detect([rewrite(subject, photo(600, 1024, large), large)], plainly))
    assert after.boxes == ()
    assert subject.network.seen[3:] == [(1, 3, 608, 1024)]


def test_what_was_said_of_the_rest_does_not_fade_from_look_to_look() -> None:
    subject = detector(looks=())
    gone, thin = Box(20, 20, 120, 60), Box(400, 300, 401, 380)
    shown = photo(400, 500, gone)
    shown.rgb[thin.slices] = (255, 0, 0)
    (first,) = found(subject.detect([shown], plainly))
    again = rewrite(subject, shown, gone)
    for _ in range(3):
        (after,) = found(subject.detect([again], plainly))
        assert subject.network.seen[-1][3] < 500, "a part of it, which is enlarged twice"
        again = replace(again, since=Rewritten(after, (gone,)))
    assert np.allclose(after.probability[200:], first.probability[200:], atol=1e-3)
    assert len(after.boxes) == 1


def test_copies_that_were_only_inferred_are_not_what_was_seen() -> None:
    seen = as_found(tiled(0.0, True, 320, 480), seed=3)
    subject = NetworkDetector(Says(seen), torch.device("cpu"), "says", most_enlarged=1.0, looks=())
    (first,) = found(subject.detect([photo(320, 480)], plainly))
    assert (first.probability - seen > 0.4).any(), "completed"
    assert first.looked is not None
    assert np.abs(first.looked - seen).max() < 1e-3


def test_without_what_it_said_itself_it_looks_at_all() -> None:
    subject = detector(looks=())
    box = Box(300, 200, 360, 230)
    again = rewrite(subject, photo(600, 1024, box), box)
    assert again.since is not None
    told = replace(again, since=replace(again.since, found=replace(again.since.found, looked=None)))
    (after,) = found(subject.detect([told], plainly))
    assert after.boxes == ()
    assert subject.network.seen[1:] == [(1, 3, 608, 1024)]


@pytest.mark.parametrize("size", [(400, 500), (1500, 2560)])
def test_what_is_looked_at_in_another_size_is_put_back_at_its_place(size: tuple[int, int]) -> None:
    subject = detector()
    height, width = size
    gone = Box(width // 10, height // 10, width // 5, height // 5)
    stays = Box(4 * width // 5, 4 * height // 5, 9 * width // 10, 9 * height // 10)
    left = Box(gone.left, gone.top, (gone.left + gone.right) // 2, gone.bottom)
    shown = photo(height, width, gone)
    shown.rgb[stays.slices] = (255, 0, 0)
    again = rewrite(subject, shown, gone, seen=left)
    (after,) = found(subject.detect([again], plainly))
    (all_new,) = found(subject.detect([replace(again, since=None)], plainly))
    assert len(after.boxes) == len(all_new.boxes) == 2
    for one, other in zip(after.boxes, all_new.boxes, strict=True):
        assert np.abs(np.subtract(astuple(one), astuple(other))).max() <= max(1, width // 512)


def test_a_part_whose_look_fails_ends_its_photograph_alone() -> None:
    subject, failure = detector(looks=()), RuntimeError("too large")
    box = Box(300, 200, 360, 230)
    again = rewrite(subject, photo(600, 1024, box), box)

    def fail_parts(request: Request[Item, Result]) -> list[Result | Exception]:
        return [failure] if request.shape(1, None)[2:] == (320, 320) else plainly(request)

    ended, clean = subject.detect([again, photo(600, 1024)], fail_parts)
    assert ended is failure
    assert isinstance(clean, Detection)


def test_a_mark_must_be_one_in_every_size() -> None:
    subject = NetworkDetector(DoubtsSizes(1024), torch.device("cpu"), "doubts")
    (once,) = found(subject.detect([photo(600, 1024, Box(300, 200, 360, 230))], plainly))
    assert once.boxes == ()
    assert 0.3 < once.probability[215, 330] < 0.4  # one look of three


def test_a_look_that_fails_ends_its_photograph_alone() -> None:
    failure = RuntimeError("too large")

    def fail_looks(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "detect" or request.shape(1, None)[2:] == (608, 1024):
            return plainly(request)
        return [failure for _ in request.items]

    marked, clean = detector().detect(
        [photo(600, 1024, Box(300, 200, 360, 230)), photo(600, 1024)], fail_looks
    )
    assert marked is failure
    assert isinstance(clean, Detection)


def test_what_it_will_be_shown_again_is_looked_at_once_and_found_just_as_well() -> None:
    subject, plain = detector(working_size_px=128), detector(working_size_px=128)
    shown = photo(300, 512, Box(100, 100, 300, 200))
    first = found(subject.detect([replace(shown, asked_again=True)], plainly))[0]
    looks = len(subject.network.seen)
    other = photo(100, 150)
    again, new = found(subject.detect([shown, other], plainly))
    assert len(subject.network.seen) == looks + 1  # the other one's
    (alone,) = found(plain.detect([shown], plainly))
    assert np.array_equal(again.probability, alone.probability)
    assert again.boxes == first.boxes == alone.boxes
    assert new.boxes == ()
    subject.detect([shown], plainly)  # the answer was given away
    assert len(subject.network.seen) == 2 * looks + 1


def test_of_many_answers_the_oldest_are_forgotten() -> None:
    kept = Recall(most_bytes=3 * 64)
    shown = [replace(photo(4, width), asked_again=True) for width in range(1, 6)]
    for one in shown:
        kept.keep(one, np.zeros((4, 4), np.float32))
    assert [kept.take(one) is not None for one in shown] == [False, False, True, True, True]
    kept.keep(photo(4, 4), np.zeros((4, 4), np.float32))
    assert kept.take(photo(4, 4)) is None


class Says(nn.Module):
    """A finder that says what it is told to say."""

    stride = 32

    def __init__(self, probability: FloatArray) -> None:
        super().__init__()
        self.logits = torch.logit(torch.from_numpy(probability), eps=1e-4)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(self.logits, (0, x.shape[3], 0, x.shape[2]))
        return padded[None, None, : x.shape[2], : x.shape[3]]


def draw_specks(height: int, width: int) -> FloatArray:
    """More regions than are grouped, far enough from each other to stay single."""
    drawn = np.zeros((height, width), np.float32)
    for top in range(4):
        for left in range(4):
            drawn[top::16, left::16] = 0.95
    return drawn


@pytest.mark.parametrize("native", [(683, 1024), (1366, 2048)])
@pytest.mark.parametrize("shown", ["tiled", "slanted", "specks", "clean"])
def test_concluding_takes_what_it_says(native: tuple[int, int], shown: str) -> None:
    size = (683, 1024)
    told = {
        "tiled": lambda: as_found(tiled(0.0, True, *size), seed=3),
        "slanted": lambda: as_found(tiled(30.0, False, *size), seed=3),
        "specks": lambda: draw_specks(*size),
        "clean": lambda: np.zeros(size, np.float32),
    }[shown]()
    subject = NetworkDetector(Says(told).eval(), torch.device("cpu"), "says", strong=0.8, weak=0.5, looks=())
    (detection,) = found(subject.detect([photo(*native)], attempt := Measuring("separate")))
    assert bool(detection.boxes) == (shown != "clean")
    attempt.check(closely=False)
    if shown == "tiled":
        ((said, taken),) = attempt.measured
        assert taken > 0.5 * said


def test_too_little_memory_to_conclude_is_that_photographs_alone() -> None:
    refusal, heard = TooLittleMemoryError("none left", "close other programs"), []

    def refuse_once(request: Request[Item, Result]) -> list[Result | Exception]:
        if request.stage != "separate":
            return plainly(request)
        heard.append(request.item_bytes)
        return [refusal] if len(heard) == 1 else plainly(request)

    results = detector(looks=()).detect([photo(64, 64), photo(96, 64)], refuse_once)
    assert results[0] is refusal
    assert isinstance(results[1], Detection)
    assert heard == [count_finishing((128, 128), (64, 64)), count_finishing((192, 128), (96, 64))]
