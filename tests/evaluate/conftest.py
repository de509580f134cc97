"""Triples drawn by hand, and pipelines that know or do not know the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from cleanplate.errors import RepairFailedError
from cleanplate.evaluate.triples import Triple, TripleFiles, find_triples, read_triple, write_triple
from cleanplate.marks import MarkedPhoto
from cleanplate.marks.sample import decode_jpeg, encode_jpeg
from cleanplate.structures import Box, Detection, Photo, Repair, Verdict

MARKED_BOX = Box(60, 40, 120, 60)


def draw_sample(
    seed: int = 0,
    *,
    opacity: float = 0.5,
    box: Box | None = MARKED_BOX,
    jpeg_quality: int | None = None,
    kind: str = "text",
    size: tuple[int, int] = (120, 200),
) -> MarkedPhoto:
    """A smooth photograph with a white rectangle of an opacity on it; box None: clean."""
    height, width = size
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 160, (4, 5, 3)).astype(np.float32)
    clean = np.round(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)).astype(np.uint8)
    alpha = np.zeros((height, width), np.float32)
    if box is not None:
        alpha[box.slices] = opacity
    marked = np.round(clean * (1 - alpha[..., None]) + 255 * alpha[..., None]).astype(np.uint8)
    jpeg = None if jpeg_quality is None else encode_jpeg(marked, jpeg_quality)
    return MarkedPhoto(
        marked=marked if jpeg is None else decode_jpeg(jpeg),
        clean=clean,
        alpha=alpha,
        matte=(alpha > 0).astype(np.float32),
        colour=np.ones_like(clean, np.float32),
        kind="clean" if box is None else kind,
        opacity=0.0 if box is None else opacity,
        jpeg_quality=jpeg_quality,
        jpeg=jpeg,
    )


def make_triple(folder: Path, name: str = "one", **how) -> Triple:
    return read_triple(write_triple(folder, name, draw_sample(**how)))


@pytest.fixture
def triples(tmp_path) -> tuple[TripleFiles, ...]:
    """A faint text, a strong stamp, an opaque logo and a clean photograph."""
    folder = tmp_path / "triples"
    folder.mkdir()
    write_triple(folder, "a-faint", draw_sample(1, opacity=0.25, jpeg_quality=90))
    write_triple(folder, "b-strong", draw_sample(2, opacity=0.7, kind="stamp"))
    write_triple(folder, "c-opaque", draw_sample(3, opacity=1.0, kind="logo", jpeg_quality=60))
    write_triple(folder, "d-clean", draw_sample(4, box=None))
    return find_triples(folder)


def detect(mask: np.ndarray) -> Detection:
    return Detection(mask.astype(np.float32), mask, (), float(mask.mean()), 1.0)


class Oracle:
    """A pipeline that knows each triple's truth and gives a share of the marked pixels back."""

    fingerprint = "oracle"

    def __init__(self, found: Sequence[TripleFiles], fails: str = "") -> None:
        self.triples = {files.marked: read_triple(files) for files in found}
        self.fails = fails

    def repair(self, photos: Sequence[Photo], settings, attempt) -> list[Repair | Exception]:
        assert settings is not None
        assert attempt is not None
        return [self._repair_one(photo) for photo in photos]

    def _repair_one(self, photo: Photo) -> Repair | Exception:
        triple = self.triples[photo.path]
        if triple.name == self.fails:
            return RepairFailedError(photo.path, "it was told to fail", "tell it otherwise")
        inside = triple.inside
        truth = triple.truth_u8 if photo.rgb.dtype == np.uint8 else triple.truth_u8.astype(np.uint16) * 257
        rgb = np.where(inside[..., None], truth, photo.rgb)
        verdict = Verdict.REPAIRED if inside.any() else Verdict.CLEAN
        return Repair(verdict, rgb, inside, detect(inside))
