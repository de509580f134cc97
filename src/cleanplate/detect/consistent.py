"""What stays the same from photograph to photograph: the outline of a mark that they share.

Fields of gradients (`outlines`) are averaged over photographs that are laid on each other at a corner, at an
edge's middle or at their centres, as they are or scaled to one width or one length. The scenes' own gradients
cancel; a mark's add up. Pure: arrays in, places out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.outlines import COLOURS, Manner, draw_field
from cleanplate.structures import BoolArray, Box, FloatArray

#: The longer edge of photographs while they are compared.
WORKING_PX = 1024
#: Where photographs are laid on each other, by their size: (across, down).
ANCHORS = tuple((across, down) for down in (1.0, 0.0, 0.5) for across in (1.0, 0.0, 0.5))
#: A pixel is part of a shared outline where the mean of the fields has so much of their length, and stands
#: out from chance so far (the square of the mean over what chance makes of it).
LEAST_COHERENCE = 0.42
LEAST_SURPRISE = 3.5
#: Near a shared outline less is enough to belong to it, on the mean over pixels near by: this surprise
#: (chance makes 0.5) and part of the fields' length, squared; and how near.
LEAST_BESIDE = 1.05
LEAST_SQUARE_BESIDE = 0.1
BESIDE_PX = 20
MOST_STEPS = 8
#: Of the pixels near by, so many must be of the kind (chance makes 3 in a hundred), in pieces of so many.
LEAST_DENSITY = 0.16
FEWEST_PIXELS = 60
NEAR_PX = 11
#: The outline is softened by so much before it is judged.
SOFT_PX = 0.7


#: A photograph no longer than WORKING_PX, (h, w, 3) uint8, and its own (height, width).
Sampled = tuple[NDArray[np.uint8], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Rule:
    """How photographs are laid on each other. anchor: see ANCHORS; scaled: "width", "long" or None."""

    anchor: tuple[float, float]
    scaled: str | None = None


@dataclass(frozen=True, eq=False)
class Consistent:
    """A shared outline. rule: how it was found. box: where it lies on the canvas of all photographs.

    canvas: (height, width). field: (h, w, 2) in the box, zero where it is not coherent. strength: how much of
    the fields' length is left in their mean, squared. manner: how fields were drawn, in grey or in a colour.
    """

    rule: Rule
    box: Box
    canvas: tuple[int, int]
    field: FloatArray
    strength: float
    manner: Manner

    def place(self, height: int, width: int) -> tuple[int, int]:
        """(left, top) of the box on a photograph of this size, at the size that it was compared in."""
        left, top = find_offset(height, width, self.canvas, self.rule.anchor)
        return left + self.box.left, top + self.box.top


def shrink_together(sample: Sequence[Sampled], scaled: str | None) -> tuple[list[NDArray[np.uint8]], float]:
    """(photographs at the size in which they are compared, the edge that they have there or their factor).

    scaled: None: all by the same factor; "width", "long": to one width, to one longer edge.
    """
    if scaled is None:
        factor = min(1.0, WORKING_PX / max(max(size) for _, size in sample))
        wanted, factors = factor, [factor] * len(sample)
    else:
        edges = [size[1] if scaled == "width" else max(size) for _, size in sample]
        wanted = float(min(np.median(edges), WORKING_PX))
        factors = [wanted / edge for edge in edges]
    return [
        shrink(photo, by * size[0] / photo.shape[0])
        for (photo, size), by in zip(sample, factors, strict=True)
    ], wanted


def shrink(photo_u8: NDArray[np.uint8], by: float) -> NDArray[np.uint8]:
    """A photograph at another size: averaged when it shrinks.

    >>> shrink(np.zeros((10, 20, 3), np.uint8), 0.5).shape
    (5, 10, 3)
    """
    size = (max(1, round(photo_u8.shape[1] * by)), max(1, round(photo_u8.shape[0] * by)))
    if size == (photo_u8.shape[1], photo_u8.shape[0]):
        return photo_u8
    interpolation = cv2.INTER_AREA if by < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(photo_u8, size, interpolation=interpolation), np.uint8)


def find_consistent(photos_u8: Sequence[NDArray[np.uint8]], rules: Sequence[Rule]) -> Consistent | None:
    """The outline that most of the photographs share under one of the rules, or None.

    photos_u8: (H, W, 3) uint8, at the size in which they are compared, which `rules` must agree with. Where
    nothing shows in grey, a mark that is as light as what is behind it may have an outline in colours.
    """
    for manners in ((Manner(),), COLOURS):
        best: Consistent | None = None
        for manner in manners:
            found = _find_in_manner(photos_u8, rules, manner)
            if found is not None and (best is None or found.strength > best.strength):
                best = found
        if best is not None:
            return best
    return None


def _find_in_manner(
    photos_u8: Sequence[NDArray[np.uint8]], rules: Sequence[Rule], manner: Manner
) -> Consistent | None:
    fields = [draw_field(photo.astype(np.float32) / np.float32(255), manner) for photo in photos_u8]
    squares = [_square(field) for field in fields]
    canvas = (min(f.shape[0] for f in fields), min(f.shape[1] for f in fields))
    best: Consistent | None = None
    for rule in rules:
        found = _judge(fields, squares, canvas, rule, manner)
        if found is not None and (best is None or found.strength > best.strength):
            best = found
    return best


def list_rules(sizes: Sequence[tuple[int, int]]) -> dict[str | None, list[Rule]]:
    """The rules that could make a difference for photographs of these (height, width), by how they scale.

    >>> list_rules([(100, 200), (100, 200)])
    {None: [Rule(anchor=(1.0, 1.0), scaled=None)]}
    """
    if len(set(sizes)) == 1:
        return {None: [Rule(ANCHORS[0])]}
    rules: dict[str | None, list[Rule]] = {None: [Rule(anchor) for anchor in ANCHORS]}
    if len({width for _, width in sizes}) > 1:
        rules["width"] = [Rule(anchor, "width") for anchor in ANCHORS]
    if len({max(size) for size in sizes}) > 1:
        rules["long"] = [Rule(anchor, "long") for anchor in ANCHORS]
    return rules


def find_outline(fields: Sequence[FloatArray], inside: Sequence[FloatArray] | None = None) -> BoolArray:
    """(h, w) bool: where the mean of equal-sized fields is no chance.

    inside: of each field, (h, w), 1 where it is known and 0 elsewhere, where the field is 0; None: known
        all over.
    """
    return _tell_chance(*_add_up(fields, inside))


def extend_outline(
    outline: BoolArray, fields: Sequence[FloatArray], inside: Sequence[FloatArray] | None = None
) -> BoolArray:
    """The outline with what lies beside it and is consistent on the whole: of few, little is sure."""
    total, energy, count = _add_up(fields, inside)
    squared, usual = _soften(total, energy, count)
    consistent = cv2.blur(squared / usual, (NEAR_PX, NEAR_PX))
    weak = consistent > np.maximum(LEAST_BESIDE / count, LEAST_SQUARE_BESIDE)
    weak &= squared > 0.5 * usual / count
    reached = outline
    for _ in range(MOST_STEPS):
        near = cv2.dilate(reached.astype(np.uint8), np.ones((2 * BESIDE_PX + 1,) * 2, np.uint8)) > 0
        grown = reached | (weak & near)
        if np.array_equal(grown, reached):
            break
        reached = grown
    return reached


def cover_outline(outline: BoolArray, close_px: int, grow_px: int) -> BoolArray:
    """The outline with all that it encloses: gaps closed, insides filled, grown.

    >>> ring = np.zeros((20, 20), bool)
    >>> ring[4:16, 4:16] = True
    >>> ring[6:14, 6:14] = False
    >>> bool(cover_outline(ring, 1, 0)[10, 10])
    True
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * close_px + 1, 2 * close_px + 1))
    padded = np.pad(outline.astype(np.uint8), close_px + 1)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)
    contours = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[-2]
    filled = cv2.drawContours(np.zeros_like(closed), contours, -1, 1, thickness=cv2.FILLED)
    edge = close_px + 1
    inner = np.asarray(filled[edge:-edge, edge:-edge])
    if grow_px > 0:
        ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow_px + 1, 2 * grow_px + 1))
        inner = np.asarray(cv2.dilate(inner, ball))
    return inner.astype(bool)


def _judge(
    fields: Sequence[FloatArray],
    squares: Sequence[FloatArray],
    canvas: tuple[int, int],
    rule: Rule,
    manner: Manner,
) -> Consistent | None:
    total = np.zeros((*canvas, 2), np.float32)
    energy = np.zeros(canvas, np.float32)
    for field, square in zip(fields, squares, strict=True):
        left, top = find_offset(field.shape[0], field.shape[1], canvas, rule.anchor)
        total += field[top : top + canvas[0], left : left + canvas[1]]
        energy += square[top : top + canvas[0], left : left + canvas[1]]
    outline = _tell_chance(total, energy, np.full(canvas, len(fields), np.float32))
    if not outline.any():
        return None
    strength = float((total[outline] ** 2).sum() / (len(fields) * energy[outline].sum() + 1e-9))
    rows, columns = np.nonzero(outline)
    box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    mean = np.where(outline[..., None], total / len(fields), 0)[box.slices]
    return Consistent(rule, box, canvas, np.ascontiguousarray(mean, np.float32), strength, manner)


def _add_up(
    fields: Sequence[FloatArray], inside: Sequence[FloatArray] | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(the sum of fields, of their squares, how many there are at each pixel, at least one)."""
    total = np.zeros(fields[0].shape, np.float32)
    energy = np.zeros(fields[0].shape[:2], np.float32)
    for field in fields:
        total += field
        energy += _square(field)
    if inside is None:
        return total, energy, np.full(energy.shape, len(fields), np.float32)
    return total, energy, np.maximum(np.sum(inside, axis=0), 1).astype(np.float32)


def _tell_chance(total: FloatArray, energy: FloatArray, count: FloatArray) -> BoolArray:
    squared, usual = _soften(total, energy, count)
    outline = (squared > LEAST_COHERENCE**2 * usual) & (squared * count > LEAST_SURPRISE * usual)
    outline &= cv2.blur(outline.astype(np.float32), (NEAR_PX, NEAR_PX)) > LEAST_DENSITY
    near = cv2.dilate(outline.astype(np.uint8), np.ones((NEAR_PX, NEAR_PX), np.uint8))
    labels = cv2.connectedComponents(near)[1]
    counts = np.bincount(labels[outline], minlength=int(labels.max()) + 1)
    return np.asarray(outline & (counts[labels] >= FEWEST_PIXELS), bool)


def _soften(total: FloatArray, energy: FloatArray, count: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(the square of the mean of `count` fields, the mean of their squares), both softened."""
    mean = np.asarray(cv2.GaussianBlur(total / count[..., None], (0, 0), SOFT_PX), np.float32)
    usual = cv2.GaussianBlur(energy / count, (0, 0), SOFT_PX) + np.float32(0.01)
    return _square(mean), np.asarray(usual, np.float32)


def _square(field: FloatArray) -> FloatArray:
    """(h, w): the square of a field's length."""
    return np.asarray(field[..., 0] * field[..., 0] + field[..., 1] * field[..., 1], np.float32)


def find_offset(
    height: int, width: int, canvas: tuple[int, int], anchor: tuple[float, float]
) -> tuple[int, int]:
    """(left, top) of the canvas on a photograph."""
    return round((width - canvas[1]) * anchor[0]), round((height - canvas[0]) * anchor[1])
