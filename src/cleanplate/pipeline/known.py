"""Marks that are known: looked for on every photograph, and inverted where that leaves less to be seen.

It comes before the finder. A photograph that carries a known mark is done with when that is off: what else
the finder takes for a mark is then mostly part of the scene (it touches several of a hundred clean ones),
unless `other_marks` says that there are more. A photograph without the mark, or on which the inverse would
be seen, goes the ordinary way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cleanplate.detect.mask import cover_share, group_boxes
from cleanplate.detect.match import MOST_SCALE, find_mark, find_near
from cleanplate.marks.files import FIXED_SIZE
from cleanplate.marks.place import place_mark
from cleanplate.models.request import Attempt, Request
from cleanplate.remove.compression import Compression, read_compression
from cleanplate.remove.estimate import PIXEL_NOISE
from cleanplate.remove.judge import compare_visibility
from cleanplate.remove.known import OPAQUE, ROUNDING_NOISE, Noise, find_halved, remove_known
from cleanplate.remove.shrinkage import spread_evenly
from cleanplate.remove.stamped import CLEAR_DEVIATIONS, Fit, fit_mark, scale_opacity
from cleanplate.structures import (
    BoolArray,
    Box,
    Detection,
    FloatArray,
    Mark,
    Method,
    Photo,
    Placement,
    Region,
    RgbArray,
)

#: Opacities under this change nothing that can be seen.
LEAST_OPACITY = 0.01
#: A place that stands out so far from all others is looked at closely.
LEAST_DEVIATIONS = 5.5
#: So far from where it is expected a mark may lie.
NEAR_PX = 6
#: What speaks for a mark so clearly decides alone; else what is still to be seen has a word.
SURE_EVIDENCE = 0.8
#: Of a mark that is seen in the input, the inverse may show at most this part; where its place stands out
#: from all others, all of it: on texture what is still to be seen is badly measured. Source: 7 folders of
#: training photographs; all that the lower limit left alone were better inverted than as they came.
MOST_VISIBLE, MOST_VISIBLE_CLEAR = 0.6, 1.0
#: At the place where the other photographs have it a mark is there with this evidence, in nats a pixel of its
#: outline, and no less of its opacity. Source: 200 validation photographs, coloured lettering and a logo at
#: 0.45: of 160 that carry it 31 were not seen to, with 0.32 to 2.7 and factors from 0.95 on at the place; the
#: 40 others have 0.02 at most, with 0.2.
LEAST_AT_PLACE, LEAST_FACTOR_AT_PLACE = 0.15, 0.6
#: So much of it must lie inside: on a strip, chance speaks for it. Source: of clean validation photographs
#: that showed 2 to 12 of a mark's 122 columns ten were changed, of those that showed 20 or 40 none.
LEAST_INSIDE = 0.5
#: A mark that is found so near to that place lies there where it explains this part of what it does beside.
BESIDE_PX, BESIDE_SHARE = 2.0, 0.8
CONTEXT_PX = 32
#: Files with these names keep pixels as they are, where nothing but the name is known.
LOSSLESS_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
#: Host bytes by pixel of a photograph (itself as floats, its fields, the places of a small mark, the masks),
#: and by pixel under a mark: what the inverse and its cleaning take. Source: traced on 0.84 megapixel; 59
#: under small marks, 164 under one that covers nearly all.
BYTES_BY_PIXEL, BYTES_BY_MARKED_PIXEL = 62, 110


def guess_noise(photo: Photo) -> Noise:
    """What a photograph's pixels may be off by: rounding to levels alone, or that of its compression too."""
    named = photo.path.suffix.lower() in LOSSLESS_SUFFIXES and photo.quantisation is None
    if photo.exact or (photo.exact is None and named):
        return ROUNDING_NOISE
    return read_compression(photo.quantisation) or Compression(spread_evenly(PIXEL_NOISE))


@dataclass(frozen=True, eq=False)
class Taken:
    """A photograph without its known marks.

    rgb: (H, W, 3) of the photograph's own depth. detection: where the marks were. placed: what was taken
    off, and how it lay there.
    """

    rgb: RgbArray
    detection: Detection
    regions: tuple[Region, ...]
    placed: tuple[tuple[Mark, Placement], ...] = ()


@dataclass(frozen=True, eq=False)
class KnownMarks:
    """Takes marks off whose opacity and colour are known.

    marks: as they are in their files. near: where alone they are looked for, in their own size; None:
    anywhere. notes: what the owner of a photograph should know that they were taken off.
    """

    marks: tuple[Mark, ...]
    near: Placement | None = None
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A checksum of the marks."""
        digest = hashlib.sha256()
        for mark in self.marks:
            digest.update(repr((mark.alpha.shape, mark.photographs, mark.place)).encode())
            digest.update(np.rint(np.dstack([mark.rgb, mark.alpha]) * 255).astype(np.uint8).tobytes())
        if self.near is not None:
            digest.update(repr(self.near).encode())
        return f"known:6-{digest.hexdigest()[:16]}"

    def take_off(self, photos: Sequence[Photo], attempt: Attempt) -> list[Taken | Exception | None]:
        """For each photograph what it is without them, None where none of them is on it."""
        if not photos:
            return []
        return attempt(
            Request(
                stage="match",
                network=None,
                items=photos,
                shape=lambda batch, _tile: (batch, 3, 8, 8),
                run=lambda items, _tile: [self._take_off(photo) for photo in items],
                item_bytes=max(self._count_bytes(photo) for photo in photos),
            )
        )

    def _count_bytes(self, photo: Photo) -> int:
        """Host bytes that a photograph takes at most."""
        area = photo.width * photo.height
        growths = [1 if mark.kind == FIXED_SIZE else MOST_SCALE**2 for mark in self.marks]
        largest = max(growth * mark.alpha.size for growth, mark in zip(growths, self.marks, strict=True))
        return int(BYTES_BY_PIXEL * area + BYTES_BY_MARKED_PIXEL * min(area, 2 * largest))

    def _take_off(self, photo: Photo) -> Taken | None:
        sheet = _Sheet(photo)
        for mark in self.marks:
            usual = _list_usual_places(photo, mark)
            found = False
            for placement in _find_places(sheet.rgb, mark, self.near):
                fit = fit_mark(sheet.rgb, mark, placement, find_halved(sheet.noise))
                found |= sheet.take_off(mark, _prefer_usual(sheet.rgb, mark, fit, usual, sheet.noise))
            if not found:
                sheet.take_off(mark, _fit_at_place(sheet.rgb, mark, usual, sheet.noise))
        if not sheet.regions:
            return None
        detection = replace(_describe(sheet.opacity > 0), notes=self.notes)
        return Taken(sheet.result, detection, tuple(sheet.regions), tuple(sheet.placed))


class _Sheet:
    """A photograph while marks are taken off it.

    rgb: (H, W, 3) float32 in [0, 1], and result, of the photograph's own depth: without those that were.
    opacity: (H, W), theirs. regions, placed: see `Taken`.
    """

    def __init__(self, photo: Photo) -> None:
        self.rgb = _to_floats(photo)
        self.noise = guess_noise(photo)
        self.result = photo.rgb.copy()
        self.opacity = np.zeros(self.rgb.shape[:2], np.float32)
        self.regions: list[Region] = []
        self.placed: list[tuple[Mark, Placement]] = []

    def take_off(self, mark: Mark, fit: Fit | None) -> bool:
        """Take a mark whose place and opacity are settled off; whether that was done."""
        if fit is None or not fit.is_there:
            return False
        placed = _lay(self.rgb.shape[0], self.rgb.shape[1], mark, fit)
        if placed is None:
            return False
        layer, box = placed
        marked = np.ascontiguousarray(self.rgb[box.slices])
        behind, changed = remove_known(marked, layer, noise=self.noise, origin=(box.left, box.top))
        visible = compare_visibility(marked, behind, layer, changed)
        is_sure = fit.evidence >= SURE_EVIDENCE
        if visible > (MOST_VISIBLE_CLEAR if fit.is_clear else MOST_VISIBLE) and not is_sure:
            return False
        self._put(box, behind, changed, layer)
        opaque = float(np.percentile(layer.alpha[changed], 90))
        method = Method.FILLED if opaque >= OPAQUE else Method.UNBLENDED
        around = Box.around(changed)
        assert around is not None  # a layer that is laid has pixels
        where = around.moved(box.left, box.top)
        self.regions.append(Region(where, method, round(opaque, 4), round(1 - min(1.0, visible), 4)))
        self.placed.append((mark, fit.placement))
        return True

    def _put(self, box: Box, behind: FloatArray, changed: BoolArray, layer: Mark) -> None:
        peak = np.iinfo(self.result.dtype).max
        self.rgb[box.slices] = behind
        levels = np.rint(np.clip(behind[changed], 0, 1) * peak)
        self.result[box.slices][changed] = levels.astype(self.result.dtype)
        seen = np.where(changed, np.maximum(layer.alpha, LEAST_OPACITY), 0)
        self.opacity[box.slices] = np.maximum(self.opacity[box.slices], seen)


def _to_floats(photo: Photo) -> FloatArray:
    """(H, W, 3) float32 in [0, 1]."""
    return np.asarray(photo.rgb.astype(np.float32) / np.float32(np.iinfo(photo.rgb.dtype).max), np.float32)


def locate_mark(rgb: FloatArray, mark: Mark, noise: Noise) -> Placement | None:
    """Where a photograph speaks for the mark, as a repair settles it; None where it does not.

    rgb: (H, W, 3) float32 in [0, 1]. noise: see `guess_noise`. What the inverse would leave is not asked.
    """
    for placement in _find_places(rgb, mark, None):
        fit = fit_mark(rgb, mark, placement, find_halved(noise))
        if fit is not None and fit.is_there:
            return fit.placement
    return None


def _find_places(rgb: FloatArray, mark: Mark, near: Placement | None) -> list[Placement]:
    """Where a mark may lie; whether it does is then seen from its opacity there."""
    if near is not None:
        found = find_near(rgb, mark, near, NEAR_PX)
        return [] if found is None else [found]
    return find_mark(rgb, mark, other_scales=mark.kind != FIXED_SIZE, least_deviations=LEAST_DEVIATIONS)


def _list_usual_places(photo: Photo, mark: Mark) -> list[Placement]:
    """Where the other photographs have the mark, on one of this size."""
    if mark.place is None:
        return []
    places = mark.place.on(photo.width, photo.height)
    return [
        replace(place, deviations=CLEAR_DEVIATIONS)
        for place in places
        if _find_inside(mark, place, photo) >= LEAST_INSIDE
    ]


def _find_inside(mark: Mark, place: Placement, photo: Photo) -> float:
    """Which part of a mark's opacity lies inside a photograph, in its own size at whole pixels."""
    left, top = round(place.left), round(place.top)
    inside = mark.alpha[max(0, -top) : max(0, photo.height - top), max(0, -left) : max(0, photo.width - left)]
    return float(inside.sum()) / max(1e-6, float(mark.alpha.sum()))


def _prefer_usual(
    rgb: FloatArray, mark: Mark, fit: Fit | None, usual: Sequence[Placement], noise: Noise
) -> Fit | None:
    """The fit, or that at the usual place where this is near by and explains nearly as much."""
    if fit is None or not usual:
        return fit
    found = fit.placement
    apart = min(max(abs(found.left - place.left), abs(found.top - place.top)) for place in usual)
    if not 0 < apart <= BESIDE_PX:
        return fit
    there = _fit_best(rgb, mark, usual, noise)
    return there if there is not None and there.evidence >= BESIDE_SHARE * fit.evidence else fit


def _fit_best(rgb: FloatArray, mark: Mark, places: Sequence[Placement], noise: Noise) -> Fit | None:
    """The fit at that of the places for which most speaks; None where it lies outside at all of them."""
    fits = [fit_mark(rgb, mark, place, find_halved(noise)) for place in places]
    return max((fit for fit in fits if fit is not None), key=lambda fit: fit.evidence, default=None)


def _fit_at_place(rgb: FloatArray, mark: Mark, usual: Sequence[Placement], noise: Noise) -> Fit | None:
    """The fit where the other photographs have the mark, if this one speaks for it there at all."""
    fit = _fit_best(rgb, mark, usual, noise)
    if fit is None or fit.evidence < LEAST_AT_PLACE or fit.factor < LEAST_FACTOR_AT_PLACE:
        return None
    return fit


def _lay(height: int, width: int, mark: Mark, fit: Fit) -> tuple[Mark, Box] | None:
    """The mark as it lies on the photograph, with context round it, and where that is."""
    placed = place_mark(scale_opacity(mark, fit.factor), fit.placement, height, width)
    if placed is None:
        return None
    shape, inner = placed
    box = inner.grown(CONTEXT_PX, width, height)
    alpha = np.zeros((box.height, box.width), np.float32)
    colour = np.zeros((box.height, box.width, 3), np.float32)
    inside = Box(inner.left - box.left, inner.top - box.top, inner.right - box.left, inner.bottom - box.top)
    alpha[inside.slices] = np.where(shape.alpha >= LEAST_OPACITY, shape.alpha, 0)
    colour[inside.slices] = shape.rgb
    return (replace(shape, alpha=alpha, rgb=colour), box) if alpha.any() else None


def _describe(mask: BoolArray) -> Detection:
    boxes = group_boxes(mask)
    return Detection(mask.astype(np.float32), mask, boxes, cover_share(boxes, *mask.shape), 1.0)
