from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from cleanplate.detect.given import ArrayMask, GivenDetector
from cleanplate.detect.mask import detect_from_probability
from cleanplate.errors import RepairFailedError, TooLittleMemoryError, UnreadablePhotoError
from cleanplate.models.request import Attempt, plainly
from cleanplate.pipeline.crops import CropRule
from cleanplate.pipeline.repair import MarkRepair
from cleanplate.remove.base import Crop, Removal
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Detection, Method, Photo, Region, Repair, RgbArray, Verdict

MARK = Box(60, 40, 100, 60)


@dataclass
class FindsWhite:
    """Takes full white for a mark; `failing` photographs are named by their file."""

    fingerprint: str = "white"
    failing: dict[str, Exception] = field(default_factory=dict)
    shown: list[Sequence[Photo]] = field(default_factory=list)

    def detect(self, photos: Sequence[Photo], attempt: Attempt) -> list[Detection | Exception]:  # noqa: ARG002  # the protocol's
        self.shown.append(photos)
        return [
            self.failing.get(photo.path.name)
            or detect_from_probability(np.all(photo.rgb_u8 == 255, axis=2).astype(np.float32))
            for photo in photos
        ]


@dataclass
class PaintsGrey:
    """Paints the marked pixels grey, from row `upper` of each mark on only (0: all of it)."""

    fingerprint: str = "grey"
    share: float = 1.0
    failing: bool = False
    crops: list[Crop] = field(default_factory=list)

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:  # noqa: ARG002  # the protocol's
        self.crops += crops
        return [ValueError("no") if self.failing else self._paint(crop) for crop in crops]

    def _paint(self, crop: Crop) -> Removal:
        changed = np.zeros_like(crop.mask)
        rows = np.flatnonzero(crop.mask.any(axis=1))
        kept = rows[: round(len(rows) * self.share)]
        changed[kept] = crop.mask[kept]
        return Removal(np.full_like(crop.rgb, 0.5), changed, (Region(crop.box, Method.FILLED, None, 1.0),))


def photo(name: str = "a.jpg", *boxes: Box, dtype: type = np.uint8) -> Photo:
    rng = np.random.default_rng(3)
    peak = np.iinfo(dtype).max
    rgb: RgbArray = rng.integers(0, peak // 2, (120, 200, 3)).astype(dtype)
    for box in boxes:
        rgb[box.slices] = peak
    return Photo(Path(name), rgb, None)


def run(pipeline: MarkRepair, photos: Sequence[Photo], **settings: object) -> list[Repair | Exception]:
    return pipeline.repair(photos, RepairSettings(**settings), plainly)  # type: ignore[arg-type]


def repaired(result: Repair | Exception) -> Repair:
    assert isinstance(result, Repair), result
    return result


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mark_is_taken_off_and_all_else_kept(dtype: type) -> None:
    given = photo("a.png", MARK, dtype=dtype)
    result = repaired(run(MarkRepair(FindsWhite(), PaintsGrey()), [given])[0])
    assert result.verdict is Verdict.REPAIRED
    assert result.rgb.dtype == dtype
    assert result.rounds == 1
    assert result.first.boxes == (MARK,)
    assert result.changed.sum() == MARK.area
    assert np.array_equal(result.rgb[~result.changed], given.rgb[~result.changed])
    assert np.all(result.rgb[MARK.slices] == round(np.iinfo(dtype).max * 0.5))
    assert [region.method for region in result.regions] == [Method.FILLED]


def test_verdicts_of_a_mixed_batch_come_in_order() -> None:
    small = Box(10, 10, 14, 14)
    photos = [photo("a"), photo("b", MARK), photo("c", small)]
    results = [repaired(r) for r in run(MarkRepair(FindsWhite(), PaintsGrey()), photos)]
    assert [r.verdict for r in results] == [Verdict.CLEAN, Verdict.REPAIRED, Verdict.UNDER_THRESHOLD]
    assert results[0].rgb is photos[0].rgb
    assert results[2].rgb is photos[2].rgb
    assert results[2].first.share == pytest.approx(16 / 24000)


def test_a_dry_run_finds_and_touches_nothing() -> None:
    remover = PaintsGrey()
    given = photo("a", MARK)
    result = repaired(run(MarkRepair(FindsWhite(), remover), [given], dry_run=True)[0])
    assert result.verdict is Verdict.REPAIRED
    assert result.rgb is given.rgb
    assert not result.changed.any()
    assert remover.crops == []


def test_rounds_go_on_while_they_help_and_no_further_than_allowed() -> None:
    tall = Box(60, 20, 100, 100)
    halves = MarkRepair(FindsWhite(), PaintsGrey(share=0.5))
    once = repaired(run(halves, [photo("a", tall)], max_iterations=1)[0])
    thrice = repaired(run(halves, [photo("a", tall)], max_iterations=3)[0])
    assert (once.rounds, thrice.rounds) == (1, 3)
    assert once.changed.sum() == pytest.approx(tall.area / 2)
    assert thrice.changed.sum() == pytest.approx(tall.area * 7 / 8)


def test_a_detector_is_told_what_was_rewritten_since_it_looked() -> None:
    detector = FindsWhite()
    run(MarkRepair(detector, PaintsGrey()), [photo("a", MARK), photo("b")])
    first, second = detector.shown
    assert [shown.since for shown in first] == [None, None]
    (again,) = second
    assert again.since is not None
    assert again.since.boxes == (MARK,)
    assert again.since.found.boxes == (MARK,)


def test_a_round_that_hardly_helps_is_undone() -> None:
    """The second round takes a twentieth of what is left; the result is the first round's."""
    tall = Box(60, 20, 100, 100)
    result = repaired(run(MarkRepair(FindsWhite(), PaintsGrey(share=0.05)), [photo("a", tall)])[0])
    assert result.rounds == 1
    assert result.changed.sum() == 4 * 40
    assert len(result.regions) == 1


def test_what_bears_no_repair_counts_as_clean() -> None:
    given = photo("a", MARK)
    result = repaired(run(MarkRepair(FindsWhite(), PaintsGrey(share=0.0)), [given])[0])
    assert result.verdict is Verdict.CLEAN
    assert result.rgb is given.rgb
    assert len(result.regions) == 1


def test_an_error_names_its_photograph_and_spares_the_others() -> None:
    own = UnreadablePhotoError("c.jpg", "cut short", "take another")
    detector = FindsWhite(failing={"b.jpg": RuntimeError("boom"), "c.jpg": own})
    photos = [photo("a.jpg", MARK), photo("b.jpg", MARK), photo("c.jpg", MARK)]
    first, second, third = run(MarkRepair(detector, PaintsGrey()), photos)
    assert repaired(first).verdict is Verdict.REPAIRED
    assert isinstance(second, RepairFailedError)
    assert second.path.name == "b.jpg"
    assert "boom" in str(second)
    assert second.__cause__ is detector.failing["b.jpg"]
    assert third is own


def test_a_removal_that_fails_fails_its_photograph_only() -> None:
    marked, clean = run(MarkRepair(FindsWhite(), PaintsGrey(failing=True)), [photo("a", MARK), photo("b")])
    assert isinstance(marked, RepairFailedError)
    assert "removing" in marked.cause
    assert repaired(clean).verdict is Verdict.CLEAN


def test_for_want_of_memory_a_photograph_is_failed_with_what_would_help() -> None:
    error = TooLittleMemoryError("memory ran out at the smallest size", "close other programs")
    (failed,) = run(MarkRepair(FindsWhite(failing={"a": error}), PaintsGrey()), [photo("a", MARK)])
    assert isinstance(failed, RepairFailedError)
    assert failed.cause == "finding its marks failed: memory ran out at the smallest size"
    assert failed.remedy == "close other programs"


def test_crops_of_all_photographs_are_removed_in_one_call() -> None:
    remover = PaintsGrey()
    detector = FindsWhite()
    run(MarkRepair(detector, remover), [photo("a", MARK), photo("b", MARK, Box(150, 90, 190, 110))])
    assert len(remover.crops) >= 2
    assert len(detector.shown) == 2


def test_the_fingerprint_names_both_parts() -> None:
    assert MarkRepair(FindsWhite(), PaintsGrey()).fingerprint == "white/grey"


def test_no_photographs_give_no_repairs() -> None:
    assert run(MarkRepair(FindsWhite(), PaintsGrey()), []) == []


def test_what_is_given_is_removed_once_whatever_its_share() -> None:
    mask = np.zeros((120, 200), bool)
    mask[50, 60] = True
    remover = PaintsGrey()
    given = MarkRepair(GivenDetector((ArrayMask(mask),)), remover)
    result = repaired(run(given, [photo("a.png", MARK)], threshold=0.5, max_iterations=5)[0])
    assert result.verdict is Verdict.REPAIRED
    assert np.array_equal(result.changed, mask)
    assert (result.rounds, len(remover.crops)) == (1, 1)
    assert remover.crops[0].given


def test_an_empty_mask_leaves_the_photograph_alone() -> None:
    given = MarkRepair(GivenDetector((ArrayMask(np.zeros((120, 200), bool)),)), PaintsGrey())
    result = repaired(run(given, [photo("a.png", MARK)])[0])
    assert result.verdict is Verdict.CLEAN
    assert not result.changed.any()


@dataclass
class CountsHeld(PaintsGrey):
    """How many crops it was given at a time, and the most that were there when it was asked."""

    asked: list[int] = field(default_factory=list)
    alive: list[weakref.ref[Crop]] = field(default_factory=list)
    most: int = 0

    def remove(self, crops: Sequence[Crop], attempt: Attempt) -> list[Removal | Exception]:  # noqa: ARG002  # the protocol's
        self.asked.append(len(crops))
        self.alive += [weakref.ref(crop) for crop in crops]
        self.most = max(self.most, sum(alive() is not None for alive in self.alive))
        return [ValueError("no") if self.failing else self._paint(crop) for crop in crops]


FAR_APART = Box(4, 4, 12, 12), Box(180, 4, 190, 12)


def test_one_after_the_other_gives_the_same_and_holds_one_crop() -> None:
    photos = [photo("a", *FAR_APART), photo("b", MARK)]
    rule = CropRule(context_px=8, align_px=8)
    wanted = [repaired(r) for r in run(MarkRepair(FindsWhite(), PaintsGrey(), rule), photos)]
    remover = CountsHeld()
    alone = MarkRepair(FindsWhite(), remover, rule, together=False)
    for one, other in zip([repaired(r) for r in run(alone, photos)], wanted, strict=True):
        assert np.array_equal(one.rgb, other.rgb)
        assert np.array_equal(one.changed, other.changed)
        assert (one.regions, one.rounds) == (other.regions, other.rounds)
    assert remover.asked == [1, 1, 1]
    assert remover.most == 1


def test_one_after_the_other_a_failing_crop_ends_its_photograph_at_once() -> None:
    remover = CountsHeld(failing=True)
    rule = CropRule(context_px=8, align_px=8)
    marked, clean = run(
        MarkRepair(FindsWhite(), remover, rule, together=False), [photo("a", *FAR_APART), photo("b")]
    )
    assert isinstance(marked, RepairFailedError)
    assert repaired(clean).verdict is Verdict.CLEAN
    assert remover.asked == [1]
