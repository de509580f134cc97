"""A deliberately simple pipeline that is real all the same, and folders of photographs for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cleanplate.models.request import Attempt, Request
from cleanplate.settings import RepairSettings
from cleanplate.structures import Box, Detection, Photo, Repair, Verdict

MAGENTA = (255, 0, 255)


class MagentaPipeline:
    """Takes what is nearly pure magenta for a mark and fills it from its surroundings."""

    def __init__(self, fingerprint: str = "magenta-1") -> None:
        self.fingerprint = fingerprint
        self.batches: list[list[str]] = []

    def repair(
        self, photos: Sequence[Photo], settings: RepairSettings, attempt: Attempt
    ) -> list[Repair | Exception]:
        self.batches.append([photo.path.name for photo in photos])
        return attempt(
            Request(
                stage="detect",
                network=None,
                items=photos,
                shape=lambda batch, _tile: (batch, 3, 8, 8),
                run=lambda items, _tile: [self.repair_one(photo, settings) for photo in items],
            )
        )

    def repair_one(self, photo: Photo, settings: RepairSettings) -> Repair:
        first = detect(photo)
        unchanged = np.zeros(first.mask.shape, bool)
        if not first.boxes:
            return Repair(Verdict.CLEAN, photo.rgb, unchanged, first)
        if first.share < settings.threshold:
            return Repair(Verdict.UNDER_THRESHOLD, photo.rgb, unchanged, first)
        if settings.dry_run:
            return Repair(Verdict.REPAIRED, photo.rgb, unchanged, first)
        filled = cv2.inpaint(photo.rgb_u8, first.mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        rgb = np.where(first.mask[:, :, None], filled, photo.rgb)
        return Repair(Verdict.REPAIRED, rgb, first.mask, first, rounds=1)


def detect(photo: Photo) -> Detection:
    distance = np.abs(photo.rgb_u8.astype(int) - MAGENTA).max(axis=2)
    mask = distance < 60
    boxes: tuple[Box, ...] = ()
    if mask.any():
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        boxes = (Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1),)
    share = sum(box.area for box in boxes) / mask.size
    return Detection(mask.astype(np.float32), mask, boxes, share, float(mask.any()))


def draw_photo(path: Path, *, seed: int = 0, mark_px: int = 24, size: tuple[int, int] = (96, 64)) -> Path:
    """A photograph-like picture with a magenta square of `mark_px`; 0: a clean one."""
    width, height = size
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 200, (4, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) // 2 + 40)
    if mark_px:
        left, top = (width - mark_px) // 2, (height - mark_px) // 2
        ImageDraw.Draw(picture).rectangle((left, top, left + mark_px - 1, top + mark_px - 1), fill=MAGENTA)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=95)
    return path


def draw_folder(folder: Path, count: int = 6, *, suffixes: Sequence[str] = (".png", ".jpg")) -> Path:
    """Marked, clean and slightly marked photographs, in turn."""
    for number in range(count):
        name = f"photo-{number:02}{suffixes[number % len(suffixes)]}"
        draw_photo(folder / name, seed=number, mark_px=(24, 0, 24, 3)[number % 4])
    return folder


def read_tree(folder: Path) -> dict[str, str]:
    """SHA-256 by name of all files but the state of the run."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".cleanplate" not in path.relative_to(folder).parts
    }


def leftovers(output: Path) -> list[str]:
    """What is left under temporary names."""
    return [path.name for path in (output / ".cleanplate" / "tmp").rglob("*")]
