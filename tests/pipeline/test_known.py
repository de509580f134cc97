"""Marks that are known come off nearly without a trace; what does not carry them goes the ordinary way."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont
from skimage import data

from cleanplate.detect.mask import detect_from_probability
from cleanplate.images.read import read
from cleanplate.marks import PlacedMark, composite, draw
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.metrics import masked_psnr
from cleanplate.models.request import Attempt, Request, plainly
from cleanplate.pipeline.known import KnownMarks, Taken, guess_noise, locate_mark
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.base import Crop, Removal
from cleanplate.remove.compression import Compression
from cleanplate.remove.known import ROUNDING_NOISE, remove_known
from cleanplate.settings import RepairSettings
from cleanplate.structures import Detection, Mark, Method, Photo, Placement, Repair, UsualPlace, Verdict
from tests.measuring import Measuring


@dataclass
class FindsNothing:
    fingerprint: str = "nothing"
    seen: list[str] = field(default_factory=list)

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
        self.seen += [photo.path.name for photo in photos]
        return [detect_from_probability(np.zeros(photo.rgb.shape[:2], np.float32)) for photo in photos]


class RemovesNothing:
    fingerprint = "nothing"

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:  # noqa: ARG002  # the protocol's
        return [Removal(crop.rgb, np.zeros(crop.mask.shape, bool), ()) for crop in crops]


def mark(opacity: float = 0.5) -> Mark:
    return draw.finish(draw.draw_text("Anna Berg", ImageFont.load_default(36)), opacity, "text")


def clean() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[..., :3])


def marked(known: Mark, factor: float = 1.0, quality: int | None = None, dtype: type = np.uint8) -> Photo:
    there = Mark(known.alpha * np.float32(factor), known.rgb)
    rgb, _, _ = composite(clean() / np.float32(255), [PlacedMark(there, 140, 300)])
    if quality is None:
        peak = np.iinfo(dtype).max
        return Photo(Path("a.png"), np.rint(np.clip(rgb, 0, 1) * peak).astype(dtype), None)
    stored = decode_jpeg(encode_jpeg(np.rint(rgb * 255).astype(np.uint8), quality))
    return Photo(Path("a.jpg"), stored, None)


def inside(known: Mark) -> np.ndarray:
    where = np.zeros((512, 512), bool)
    height, width = known.alpha.shape
    where[300 : 300 + height, 140 : 140 + width] = known.alpha > 0.02
    return where


def run(known: Mark, photo: Photo, **settings: object) -> tuple[Repair, FindsNothing]:
    finder = FindsNothing()
    pipeline = MarkRepair(finder, RemovesNothing(), known=KnownMarks((known,)))
    (result,) = pipeline.repair([photo], RepairSettings(**settings), plainly)  # type: ignore[arg-type]
    assert isinstance(result, Repair), result
    return result, finder


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_an_exactly_known_mark_leaves_the_photograph_to_a_few_levels(factor: float) -> None:
    known = mark(0.4)
    result, finder = run(known, marked(known, factor))
    assert result.verdict is Verdict.REPAIRED
    assert masked_psnr(result.rgb, clean(), inside(known)) > 38
    assert finder.seen == []  # nothing else is looked for
    (region,) = result.regions
    assert region.method is Method.UNBLENDED
    assert region.opacity is not None
    assert abs(region.opacity - 0.4 * factor) < 0.04
    assert result.changed.sum() <= (known.alpha > 0).sum()


def invert(known: Mark, photo: Photo, factor: float) -> float:
    """Decibels of the inverse with the mark's place and opacity known."""
    rgb = np.zeros((512, 512, 3), np.float32)
    alpha = np.zeros((512, 512), np.float32)
    height, width = known.alpha.shape
    alpha[300 : 300 + height, 140 : 140 + width] = known.alpha * factor
    rgb[300 : 300 + height, 140 : 140 + width] = known.rgb
    behind, _ = remove_known(photo.rgb.astype(np.float32) / np.float32(255), Mark(alpha, rgb))
    return masked_psnr(np.rint(behind * 255).astype(np.uint8), clean(), inside(known))


@pytest.mark.parametrize(
    ("opacity", "factor", "quality"), [(0.6, 1.0, 88), (0.5, 1.08, 92), (0.35, 0.93, 85)]
)
def test_after_jpeg_it_is_nearly_what_inverting_with_place_and_opacity_known_gives(
    opacity: float, factor: float, quality: int
) -> None:
    known = mark(opacity)
    photo = marked(known, factor, quality)
    result, _ = run(known, photo)
    assert masked_psnr(result.rgb, clean(), inside(known)) > invert(known, photo, factor) - 1


def test_sixteen_bits_stay_sixteen_bits() -> None:
    known = mark()
    result, _ = run(known, marked(known, dtype=np.uint16))
    assert result.rgb.dtype == np.uint16
    assert result.verdict is Verdict.REPAIRED


def test_a_logo_of_full_opacity_is_found_laid_on_at_forty_per_cent() -> None:
    known = mark(1.0)
    photo = marked(known, 0.4, quality=92)
    result, _ = run(known, photo)
    assert result.verdict is Verdict.REPAIRED
    assert masked_psnr(result.rgb, clean(), inside(known)) > invert(known, photo, 0.4) - 2


def test_a_photograph_without_it_goes_the_ordinary_way() -> None:
    photo = Photo(Path("b.jpg"), clean(), None)
    result, finder = run(mark(), photo)
    assert result.verdict is Verdict.CLEAN
    assert np.array_equal(result.rgb, photo.rgb)
    assert finder.seen == ["b.jpg"]


def test_a_dry_run_says_what_it_would_do() -> None:
    known = mark()
    photo = marked(known)
    result, _ = run(known, photo, dry_run=True)
    assert result.verdict is Verdict.REPAIRED
    assert np.array_equal(result.rgb, photo.rgb)
    assert result.first.share > 0


def test_more_memory_is_asked_for_where_much_lies_under_the_mark() -> None:
    asked: list[int] = []

    def ask(request: Request) -> list[object]:
        asked.append(request.item_bytes)
        return plainly(request)

    photo = Photo(Path("b.jpg"), clean(), None)
    wide = Mark(np.full((500, 500), 0.4, np.float32), np.ones((500, 500, 3), np.float32))
    for known in (mark(), wide):
        KnownMarks((known,)).take_off([photo], ask)  # type: ignore[arg-type]  # an attempt is generic
    assert 62 * 512 * 512 < asked[0] < asked[1] == 172 * 512 * 512


@pytest.mark.parametrize("words", ["A", "Anna Berg", "Anna\nAnna\nAnna"])
@pytest.mark.parametrize("kind", ["given", FIXED_SIZE])
def test_memory_is_asked_for_as_much_as_is_taken(words: str, kind: str) -> None:
    font = ImageFont.load_default(20 if words == "A" else 36 if words == "Anna Berg" else 140)
    known = draw.finish(draw.draw_text(words, font), 0.5, kind)
    rgb, _, _ = composite(clean() / np.float32(255), [PlacedMark(known, 40, 20)])
    shown = Photo(Path("a.jpg"), np.rint(rgb * 255).astype(np.uint8), None)
    measuring = Measuring("match")
    (taken,) = KnownMarks((replace(known, photographs=24),)).take_off([shown], measuring)
    assert isinstance(taken, Taken)
    measuring.check(closely=words == "A")


def test_what_the_marks_hold_is_part_of_the_fingerprint() -> None:
    bare = MarkRepair(FindsNothing(), RemovesNothing())
    one, other = (
        MarkRepair(FindsNothing(), RemovesNothing(), known=KnownMarks((mark(o),))) for o in (0.5, 0.6)
    )
    assert len({bare.fingerprint, one.fingerprint, other.fingerprint}) == 3


def test_a_mark_that_hardly_shows_is_taken_off_where_the_other_photographs_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, photo = mark(0.4), marked(mark(0.4), quality=92)
    bare = replace(photo, rgb=clean())
    monkeypatch.setattr("cleanplate.pipeline.known._find_places", lambda *_: [])
    at_place = replace(known, place=UsualPlace(140, 300, 512, 512))
    (taken,) = KnownMarks((at_place,)).take_off([photo], plainly)
    assert isinstance(taken, Taken)
    assert masked_psnr(taken.rgb, clean(), inside(known)) > 29
    assert KnownMarks((at_place,)).take_off([bare], plainly) == [None]
    assert KnownMarks((known,)).take_off([photo], plainly) == [None]
    elsewhere = replace(known, place=UsualPlace(140, 300, 512, 511))
    assert KnownMarks((elsewhere,)).take_off([photo], plainly) == [None]
    from_the_right = replace(known, place=UsualPlace(28, 300, 400, 512, (1.0, 0.0)))
    from_the_middle = replace(known, place=UsualPlace(83, 300, 399, 512, (0.5, 0.0)))
    strip = replace(photo, rgb=photo.rgb[:, :190])
    at_left = replace(known, place=UsualPlace(140, 300, 512, 512, (0.0, 0.0)))
    assert KnownMarks((at_left,)).take_off([strip], plainly) == [None], "a third of it proves nothing"
    for anchored in (from_the_right, from_the_middle):  # 139.5 pixels from the left, for the latter
        (there,) = KnownMarks((anchored,)).take_off([photo], plainly)
        assert isinstance(there, Taken)
        assert np.array_equal(there.rgb, taken.rgb)
    assert KnownMarks((at_place,)).fingerprint != KnownMarks((known,)).fingerprint


def test_where_a_mark_is_can_be_asked_without_taking_it_off() -> None:
    known, photo = mark(0.5), marked(mark(0.5))
    found = locate_mark(photo.rgb / np.float32(255), known, guess_noise(photo))
    assert found is not None
    assert (round(found.left), round(found.top)) == (140, 300)
    assert locate_mark(clean() / np.float32(255), known, guess_noise(photo)) is None
    assert KnownMarks((known,)).take_off([], plainly) == []


def test_what_is_found_just_beside_the_usual_place_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    known, photo = mark(0.5), marked(mark(0.5), quality=92)
    beside = Placement(141, 300, deviations=20.0)
    monkeypatch.setattr("cleanplate.pipeline.known._find_places", lambda *_: [beside])
    left = []
    for place in (None, UsualPlace(140, 300, 512, 512)):
        (taken,) = KnownMarks((replace(known, place=place),)).take_off([photo], plainly)
        left.append(masked_psnr(photo.rgb if taken is None else taken.rgb, clean(), inside(known)))
    assert left[1] > max(27, left[0] + 4)


class FindsSquares:
    """A finder that sees what is as magenta as a square drawn there, and all that its `anywhere` says."""

    fingerprint = "squares"

    def __init__(self, anywhere: tuple[slice, slice] | None = None) -> None:
        self.anywhere = anywhere

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
        return [detect_from_probability(self._look(photo)) for photo in photos]

    def _look(self, photo: Photo) -> np.ndarray:
        seen = (photo.rgb == MAGENTA).all(axis=2).astype(np.float32)
        if self.anywhere is not None:
            seen[self.anywhere] = 1
        return seen


class PaintsGrey:
    fingerprint = "grey"

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:  # noqa: ARG002  # the protocol's
        return [Removal(np.full_like(crop.rgb, 0.5), crop.mask, ()) for crop in crops]


MAGENTA = np.array([255, 0, 255], np.uint8)


def with_square(photo: Photo, edge: int = 40) -> Photo:
    rgb = photo.rgb.copy()
    rgb[20 : 20 + edge, 30 : 30 + edge] = MAGENTA
    return replace(photo, rgb=rgb)


def repair_with(finder: FindsSquares, known: Mark, photo: Photo, **settings: object) -> Repair:
    pipeline = MarkRepair(finder, PaintsGrey(), known=KnownMarks((known,)))
    (result,) = pipeline.repair([photo], RepairSettings(**settings), plainly)  # type: ignore[arg-type]
    assert isinstance(result, Repair), result
    return result


@pytest.mark.parametrize("mode", ["auto", "off"])
def test_another_mark_stays_on_a_photograph_with_a_known_one(mode: str) -> None:
    known = mark()
    result = repair_with(FindsSquares(), known, with_square(marked(known)), other_marks=mode)
    assert (result.rgb[20:60, 30:70] == MAGENTA).all()
    assert result.rounds == 1


def test_another_mark_is_taken_off_too_where_others_are_looked_for() -> None:
    known = mark()
    photo = with_square(marked(known))
    result = repair_with(FindsSquares(), known, photo, other_marks="on")
    assert not (result.rgb[20:60, 30:70] == MAGENTA).any()
    assert masked_psnr(result.rgb, clean(), inside(known)) > 40
    assert result.verdict is Verdict.REPAIRED
    assert result.rounds == 2
    assert result.changed[20:60, 30:70].all()
    assert {box.top for box in result.first.boxes} >= {20}
    assert len(result.first.boxes) >= 2
    assert result.first.mask[20:60, 30:70].all()


def test_what_a_known_mark_has_left_is_no_other_mark() -> None:
    known = mark()
    where = (slice(300, 300 + known.alpha.shape[0]), slice(140, 140 + known.alpha.shape[1]))
    alone = repair_with(FindsSquares(), known, marked(known))
    result = repair_with(FindsSquares(where), known, marked(known), other_marks="on")
    np.testing.assert_array_equal(result.rgb, alone.rgb)


def test_a_small_mark_beside_a_known_one_is_measured_with_it() -> None:
    """A tenth of a percent would be under the threshold, were the photograph's marks not all one."""
    known = mark()
    result = repair_with(FindsSquares(), known, with_square(marked(known), 16), other_marks="on")
    assert not (result.rgb[20:36, 30:46] == MAGENTA).any()
    without = repair_with(FindsSquares(), mark(0.3), with_square(Photo(Path("a.png"), clean(), None), 16))
    assert without.verdict is Verdict.UNDER_THRESHOLD


def test_a_dry_run_tells_of_both() -> None:
    known = mark()
    photo = with_square(marked(known))
    result = repair_with(FindsSquares(), known, photo, other_marks="on", dry_run=True)
    assert result.rgb is photo.rgb
    assert not result.changed.any()
    assert {box.top for box in result.first.boxes} >= {20}


def test_the_noise_is_that_of_the_file_whatever_its_name(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    picture.save(tmp_path / "a.jpg", quality=80)
    shutil.copy(tmp_path / "a.jpg", tmp_path / "really-jpeg.png")
    picture.save(tmp_path / "inside.tif", compression="jpeg")
    picture.save(tmp_path / "packed.tif", compression="tiff_lzw")
    picture.save(tmp_path / "lossless.webp", lossless=True)
    noise = {path.name: guess_noise(read(path, max_megapixels=1)) for path in tmp_path.iterdir()}
    assert isinstance(noise["inside.tif"], Compression)
    assert isinstance(noise["really-jpeg.png"], Compression)
    assert np.array_equal(noise["really-jpeg.png"].rounding, noise["a.jpg"].rounding)
    assert noise["packed.tif"] is noise["lossless.webp"] is ROUNDING_NOISE
