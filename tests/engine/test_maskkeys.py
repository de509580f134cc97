"""Runs with given masks: what is repaired, what is warned of, and what a changed mask makes out of date."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from cleanplate.engine.events import Event, Warned
from cleanplate.engine.run import repair_folder
from cleanplate.engine.summary import RunSummary
from cleanplate.errors import UsageError
from cleanplate.settings import RepairSettings

MARK = (slice(40, 60), slice(50, 90))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    picture = data.coffee()[:120, :160].copy()
    picture[MARK] = 255
    for name in ("a.png", "b.png"):
        Image.fromarray(picture).save(folder / name)
    return folder


def write_mask(folder: Path, name: str, grown_px: int = 0) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[40 - grown_px : 60 + grown_px, 50:90] = 255
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), mask)


def run(
    photos: Path, masks: Path, events: Sequence[object] = (), inpaint: str = "opencv", **more: object
) -> RunSummary:
    heard = list(events)
    settings = RepairSettings(device="cpu", masks=str(masks), inpaint=inpaint, **more)  # type: ignore[arg-type]
    return repair_folder(photos, photos.parent / "out", settings, subscribers=heard)  # type: ignore[arg-type]


def test_a_masked_photograph_is_filled_and_one_without_is_warned_of(photos: Path) -> None:
    masks = photos.parent / "masks"
    write_mask(masks, "a.png")
    heard: list[Event] = []
    summary = run(photos, masks, [heard.append])
    assert (summary.counts["repaired"], summary.counts["clean"]) == (1, 1)
    assert any(isinstance(e, Warned) and "1 of 2 photographs have no mask" in e.message for e in heard)
    before = np.asarray(Image.open(photos / "a.png"))
    after = np.asarray(Image.open(photos.parent / "out" / "a.png"))
    changed = np.any(before != after, axis=2)
    assert changed[MARK].all()
    assert changed.sum() == changed[MARK].sum()


def test_only_the_photograph_with_a_changed_mask_is_done_again(photos: Path) -> None:
    masks = photos.parent / "masks"
    for name in ("a.png", "b.png"):
        write_mask(masks, name)
    assert run(photos, masks).counts["repaired"] == 2
    assert run(photos, masks).counts["skipped"] == 2
    write_mask(masks, "b.png", grown_px=4)
    again = run(photos, masks)
    assert (again.counts["skipped"], again.counts["repaired"]) == (1, 1)


def test_a_bad_mask_fails_its_own_photograph(photos: Path) -> None:
    masks = photos.parent / "masks"
    write_mask(masks, "a.png")
    (masks / "b.png").write_bytes(b"no image")
    summary = run(photos, masks)
    assert (summary.counts["repaired"], summary.counts["failed"]) == (1, 1)
    assert "b.png is not an image" in str(summary.failures[0].cause)


def test_what_was_noted_of_a_mask_reaches_the_summary(photos: Path) -> None:
    masks = photos.parent / "masks"
    masks.mkdir()
    mask = np.full((240, 320), 255, np.uint8)
    mask[80:120, 100:180] = 0
    cv2.imwrite(str(masks / "a.png"), mask)
    seen: list[str] = []
    run(photos, masks, [lambda event: seen.extend(getattr(getattr(event, "outcome", None), "notes", ()))])
    assert any("other way round" in note for note in seen)
    assert any("resized from 320 x 240" in note for note in seen)


def test_masks_of_other_photographs_are_wrong_usage(photos: Path) -> None:
    masks = photos.parent / "masks"
    write_mask(masks, "z.png")
    with pytest.raises(UsageError, match=r"a\.png wants a\.png or a\.png\.png"):
        run(photos, masks)


def test_boxes_need_no_masks_of_their_own(photos: Path) -> None:
    settings = RepairSettings(device="cpu", box=("50,40,40,20",), inpaint="opencv")
    summary = repair_folder(photos, photos.parent / "out", settings)
    assert summary.counts["repaired"] == 2
