"""A tiled mark comes off one photograph by what its copies say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont
from skimage import data

from cleanplate.detect.mask import detect_from_probability
from cleanplate.errors import TooLittleMemoryError
from cleanplate.marks import PlacedMark, composite, draw
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.metrics import masked_psnr
from cleanplate.models.request import Attempt, Item, Request, Result, plainly
from cleanplate.pipeline.pattern import take_off_patterns
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.estimate import PIXEL_NOISE
from cleanplate.settings import RepairSettings
from cleanplate.structures import Detection, FloatArray, Method, Photo, Repair, Verdict

OPACITY = 0.35


def clean() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[..., :3])


def pattern(degrees: float = 20.0) -> FloatArray:
    word = draw.draw_text("Berg", ImageFont.load_default(26))
    step = (word.shape[1] + 40, word.shape[0] + 50)
    return draw.tile(word, 512, 512, step, degrees, stagger=False)


def marked(shape: FloatArray, dtype: type = np.uint8) -> Photo:
    layer = PlacedMark(draw.finish(shape, OPACITY, "tiled"), 0, 0)
    rgb, _, _ = composite(clean() / np.float32(255), [layer])
    if dtype is not np.uint8:
        return Photo(Path("a.png"), np.rint(rgb * np.iinfo(dtype).max).astype(dtype), None)
    stored = decode_jpeg(encode_jpeg(np.rint(rgb * 255).astype(np.uint8), 92))
    return Photo(Path("a.jpg"), stored, None)


def found(shape: FloatArray) -> Detection:
    return detect_from_probability(np.ascontiguousarray(shape[..., 3] > 0.1).astype(np.float32))


@dataclass
class Finds:
    """Finds the same in the first photograph it is shown, and nothing afterwards."""

    first: Detection
    fingerprint: str = "finds"
    calls: int = 0

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
        self.calls += 1
        nothing = detect_from_probability(np.zeros_like(self.first.probability))
        return [self.first if self.calls == 1 else nothing for _ in photos]


class RemovesNothing:
    fingerprint = "nothing"

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:  # noqa: ARG002  # the protocol's
        return [Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ()) for crop in crops]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiled_mark_comes_off(dtype: type) -> None:
    shape = pattern()
    photo = marked(shape, dtype)
    (taken,) = take_off_patterns([photo], [found(shape)], plainly, [PIXEL_NOISE])

    assert taken is not None
    assert not isinstance(taken, Exception)
    assert taken.rgb.dtype == dtype
    inside = shape[..., 3] * OPACITY > 0.02
    peak = np.float32(np.iinfo(dtype).max)
    before = masked_psnr(photo.rgb / peak, clean() / np.float32(255), inside)
    after = masked_psnr(taken.rgb / peak, clean() / np.float32(255), inside)
    assert after > before + 8
    assert len(taken.regions) >= 12
    assert {region.method for region in taken.regions} == {Method.UNBLENDED}
    far = shape[..., 3] == 0
    far[1:] &= shape[:-1, :, 3] == 0
    assert (taken.rgb != photo.rgb).any(axis=2)[far].mean() < 0.2


def test_what_is_no_pattern_is_left_alone() -> None:
    photo = Photo(Path("a.png"), clean(), None)
    probability = np.zeros((512, 512), np.float32)
    for row, column in ((40, 60), (200, 300), (400, 90), (330, 420), (120, 410)):
        probability[row : row + 20, column : column + 40] = 1
    taken = take_off_patterns([photo], [detect_from_probability(probability)], plainly, [PIXEL_NOISE])
    assert taken == [None]


def test_a_pattern_that_is_not_there_changes_nothing() -> None:
    shape = pattern()
    photo = Photo(Path("a.png"), clean(), None)
    assert take_off_patterns([photo], [found(shape)], plainly, [PIXEL_NOISE]) == [None]


def test_where_memory_is_short_the_ordinary_way_is_gone() -> None:
    shape = pattern()

    def refuse(request: Request[Item, Result]) -> list[Result | Exception]:
        return [TooLittleMemoryError("no memory", "add some") for _ in request.items]

    assert take_off_patterns([marked(shape)], [found(shape)], refuse, [PIXEL_NOISE]) == [None]


def test_an_error_is_the_photographs_own() -> None:
    shape = pattern()
    failure = RuntimeError("broken")

    def fail(request: Request[Item, Result]) -> list[Result | Exception]:
        return [failure for _ in request.items]

    assert take_off_patterns([marked(shape)], [found(shape)], fail, [PIXEL_NOISE]) == [failure]


def test_a_repair_takes_patterns_off_first_and_looks_again() -> None:
    shape = pattern()
    finds = Finds(found(shape))
    (repair,) = MarkRepair(finds, RemovesNothing()).repair([marked(shape)], RepairSettings(), plainly)
    assert isinstance(repair, Repair)
    assert repair.verdict is Verdict.REPAIRED
    assert (finds.calls, repair.rounds) == (2, 1)
    assert {region.method for region in repair.regions} == {Method.UNBLENDED}


@pytest.mark.parametrize("changes", [{"dry_run": True}, {"inpaint": "opencv"}])
def test_patterns_stay_where_nothing_is_to_be_inverted(changes: dict[str, object]) -> None:
    shape = pattern()
    photo = marked(shape)
    settings = RepairSettings(**changes)  # type: ignore[arg-type]  # names and values fit
    (repair,) = MarkRepair(Finds(found(shape)), RemovesNothing()).repair([photo], settings, plainly)
    assert isinstance(repair, Repair)
    assert np.array_equal(repair.rgb, photo.rgb)
