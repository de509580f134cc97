"""Which of the things that a finder has seen on many photographs look alike: photographs with the same mark.

What stays the same on most photographs is seen without a finder (`consistent`). Where a folder has several
marks, each on a few, it is not: then one sighting after the other is laid on all others. Pure: arrays in,
groups out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cleanplate.detect.consistent import shrink
from cleanplate.detect.outlines import CLOSE_SOFT, COLOURS, Manner, correlate, draw_field
from cleanplate.structures import Box, FloatArray

#: Sightings that are laid on all others, the surest first.
MOST_TEMPLATES = 32
#: So much round a box belongs to what is laid on others; round it, so much more is kept to be laid on: a part
#: of its edges, since a finder may see a part of the mark only, and so many pixels.
TEMPLATE_MARGIN_PX = 4
KEPT_SHARE, KEPT_PX = 0.6, 24
#: Fields are drawn as for looking closely: faint edges of the scene count less.
GREY, *COLOURED = (replace(manner, soft=CLOSE_SOFT) for manner in (Manner(), *COLOURS))
#: What one sighting shows, the scene behind the mark with it, lies on another with this cosine. Source: ten
#: photographs each with a logo, lettering and both, 0.45: medians 0.30 to 0.42, under another mark 0.08 to
#: 0.14, and 0.21 in one of ten cases; with 0.3 all three were told apart, and three in a folder of 90 with
#: marks of their own, with 0.25 and 0.22 other photographs fell in with the latter.
LEAST_LIKE_ONE = 0.3
#: So many must be alike; and so often what they share is laid on all.
FEWEST_ALIKE, ROUNDS = 3, 2
#: What several share lies on another with this cosine (0.46 told the same apart, 0.36 left three out).
LEAST_ALIKE = 0.42
#: They share what has this part of their fields' square; and the squares of that add up to so much, or it is
#: next to nothing. Source: 28 to 1086 of the six marks, 5 of what was none.
LEAST_COHERENT, LEAST_OUTLINE = 0.35, 20.0
#: Two parts of the pieces that lie on each other carry one mark where the cosine of their outlines is higher.
#: Pieces are parted from so many starts, in so many rounds.
SAME_OUTLINE, STARTS, SPLITTINGS = 0.6, 6, 4
#: So many pieces are compared, and so many pixels of each; the others are only told which mark is theirs.
MOST_COMPARED, COMPARED_PX = 48, 100_000
#: Larger boxes than this are no marks at one place; all together are scaled to no more than that.
MOST_PIXELS, MOST_TOGETHER = 400_000, 4_000_000


@dataclass(frozen=True, eq=False)
class Sighting:
    """What a finder saw. at: the number of the photograph; score: of its finding.

    around: (h, w, 3) uint8, the photograph round it, and box: where it is in that.
    """

    at: int
    score: float
    around: NDArray[np.uint8]
    box: Box

    def scaled(self, by: float) -> Sighting:
        """The same of a smaller photograph."""
        return self if by == 1 else replace(self, around=shrink(self.around, by), box=self.box.scaled(by))


def cut_sighting(at: int, score: float, photo_u8: NDArray[np.uint8], box: Box) -> Sighting | None:
    """What a finder saw in a box of a photograph, (H, W, 3) uint8; None where that is too large.

    >>> cut_sighting(0, 0.9, np.zeros((50, 90, 3), np.uint8), Box(60, 30, 80, 40)).around.shape
    (50, 60, 3)
    """
    margin = KEPT_PX + round(KEPT_SHARE * min(box.width, box.height))
    around = box.grown(margin, photo_u8.shape[1], photo_u8.shape[0])
    if around.area > MOST_PIXELS:
        return None
    piece = np.ascontiguousarray(photo_u8[around.slices])
    return Sighting(at, score, piece, box.moved(-around.left, -around.top))


def group_alike(sightings: Sequence[Sighting], fewest: int) -> list[list[int]]:
    """The numbers of photographs on which the same was seen, group by group, the largest first.

    fewest: photographs to a group. No sighting is in two groups, a photograph with two sightings may be.
    Outlines are compared in grey, then those that are left in colours.
    """
    pixels = sum(sighting.around[..., 0].size for sighting in sightings)
    by = min(1.0, float(np.sqrt(MOST_TOGETHER / max(1, pixels))))
    left = sorted((sighting.scaled(by) for sighting in sightings), key=lambda sighting: -sighting.score)
    groups: list[list[int]] = []
    for manner in (GREY, *COLOURED):
        found = _group([_Drawn.of(sighting, manner) for sighting in left], fewest)
        groups += [group.photographs for group in found]
        grouped = {one.sighting for group in found for one in group.members}
        left = [sighting for sighting in left if sighting not in grouped]
    return sorted(groups, key=len, reverse=True)


def find_alike_pieces(pieces_u8: Sequence[NDArray[np.uint8]], where: Box, fewest: int) -> list[int]:
    """The numbers of those pieces that carry the mark that the most of them carry: all, where it is one mark.

    pieces_u8: (h, w, 3) uint8, of one size, which lie on each other. where: the mark is in them. fewest:
    pieces that make another mark.
    """
    by = min(1.0, float(np.sqrt(COMPARED_PX / pieces_u8[0][..., 0].size)))
    fields = [
        _Drawn.of(Sighting(at, 1.0, piece, where).scaled(by), GREY).cut_template()
        for at, piece in enumerate(pieces_u8)
    ]
    compared = fields[:: -(-len(fields) // MOST_COMPARED)]
    apart = [_split(compared, start, fewest) for start in compared[:: -(-len(compared) // STARTS)]]
    marks = min((two for two in apart if two is not None), key=lambda two: _agree(*two), default=None)
    if marks is None or _agree(*marks) >= SAME_OUTLINE:
        return list(range(len(fields)))
    halves: tuple[list[int], list[int]] = ([], [])
    for at, field in enumerate(fields):
        halves[_choose_nearer(field, marks)].append(at)
    return max(halves, key=len)


def _split(
    fields: Sequence[FloatArray], start: FloatArray, fewest: int
) -> tuple[FloatArray, FloatArray] | None:
    """What two parts of the fields have in common each, beginning with one and that which is least like it;
    None where one of the parts is no mark."""
    marks = (start, min(fields, key=lambda field: _agree(field, start)))
    for _ in range(SPLITTINGS):
        parts: tuple[list[FloatArray], list[FloatArray]] = ([], [])
        for field in fields:
            parts[_choose_nearer(field, marks)].append(field)
        if min(len(part) for part in parts) < fewest:
            return None
        marks = (_join(parts[0]), _join(parts[1]))
    return marks if min(float((mark**2).sum()) for mark in marks) >= LEAST_OUTLINE else None


def _choose_nearer(field: FloatArray, marks: tuple[FloatArray, FloatArray]) -> int:
    return int(_agree(field, marks[1]) > _agree(field, marks[0]))


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A sighting and its outlines, (h, w, 2)."""

    sighting: Sighting
    field: FloatArray

    @classmethod
    def of(cls, sighting: Sighting, manner: Manner) -> _Drawn:
        """The sighting with its outlines as they are drawn in a manner."""
        return cls(sighting, draw_field(sighting.around.astype(np.float32) / np.float32(255), manner))

    def cut_template(self) -> FloatArray:
        """What of the field was seen."""
        height, width = self.field.shape[:2]
        where = self.sighting.box.grown(TEMPLATE_MARGIN_PX, width, height)
        return np.ascontiguousarray(self.field[where.slices])

    def find(self, outline: FloatArray, least: float) -> FloatArray | None:
        """The field under an outline (h, w, 2) where their cosine is highest; None: under `least`."""
        height, width = outline.shape[:2]
        if height > self.field.shape[0] or width > self.field.shape[1]:
            return None
        cosine = correlate(self.field, outline)
        row, column = (int(i) for i in np.unravel_index(int(cosine.argmax()), cosine.shape))
        if cosine[row, column] < least:
            return None
        return self.field[row : row + height, column : column + width]


@dataclass(frozen=True, eq=False)
class _Group:
    """Sightings of one mark, and the outline that they have in common, (h, w, 2)."""

    members: list[_Drawn]
    common: FloatArray

    @property
    def photographs(self) -> list[int]:
        """The numbers of the photographs, each once."""
        return sorted({member.sighting.at for member in self.members})


def _group(drawn: Sequence[_Drawn], fewest: int) -> list[_Group]:
    """Groups of so many photographs at least; the first ones are laid on all others."""
    groups, left = [], list(drawn)
    for template in drawn[:MOST_TEMPLATES]:
        group = _find_group(template, left, fewest) if template in left else None
        if group is not None:
            groups.append(group)
            left = [one for one in left if one not in group.members]
    return groups


def _find_group(template: _Drawn, others: Sequence[_Drawn], fewest: int) -> _Group | None:
    """Those on which the template's outline lies, made sure by what they have in common."""
    outline, least = template.cut_template(), LEAST_LIKE_ONE
    for _ in range(ROUNDS):
        pieces = [piece for one in others if (piece := one.find(outline, least)) is not None]
        if len(pieces) < FEWEST_ALIKE:
            return None
        outline = _join(pieces)
        if float((outline**2).sum()) < LEAST_OUTLINE:
            return None
        least = LEAST_ALIKE
    members = [one for one in others if one.find(outline, least) is not None]
    group = _Group(members, outline)
    return group if len(group.photographs) >= fewest else None


def _join(pieces: Sequence[FloatArray]) -> FloatArray:
    """(h, w, 2): what fields of one size have in common, zero where that is little of them."""
    mean = np.mean(pieces, axis=0)
    usual = np.mean([(piece**2).sum(axis=2) for piece in pieces], axis=0)
    squared = (mean**2).sum(axis=2)
    return np.where((squared > LEAST_COHERENT * usual)[..., None], mean, 0).astype(np.float32)


def _agree(one: FloatArray, other: FloatArray) -> float:
    """The cosine of two fields of one size."""
    return float((one * other).sum() / max(1e-6, float(np.sqrt((one**2).sum() * (other**2).sum()))))
