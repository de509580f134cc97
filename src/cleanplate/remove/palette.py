"""The combinations of colours that marks are tried with.

Most marks are white or black, so those are tried as they are, which leaves the opacity as the only unknown;
the bonus is what the prior says for them, in nats.
"""

from __future__ import annotations

from enum import Enum


class Paint(Enum):
    """One colour of a mark: given, or to be fitted."""

    FREE = "free"
    WHITE = "white"
    BLACK = "black"
    GREY = "grey"


FIXED = frozenset({Paint.WHITE, Paint.BLACK})
#: Log prior of a paint over that of any colour at all. Source: chosen on training photographs.
BONUS = {Paint.FREE: 0.0, Paint.WHITE: 5.0, Paint.BLACK: 4.0, Paint.GREY: 2.0}
#: What a further colour costs besides what it must gain by pixel.
COST_BY_COLOUR = 4.0

_COMBINATIONS: tuple[tuple[Paint, ...], ...] = (
    (Paint.FREE,),
    (Paint.WHITE,),
    (Paint.BLACK,),
    (Paint.GREY,),
    (Paint.FREE, Paint.FREE),
    (Paint.WHITE, Paint.BLACK),
    (Paint.WHITE, Paint.FREE),
    (Paint.BLACK, Paint.FREE),
    (Paint.FREE, Paint.FREE, Paint.FREE),
)

#: Each combination with its bonus, those of one colour first.
PALETTES: tuple[tuple[tuple[Paint, ...], float], ...] = tuple(
    (palette, sum(BONUS[paint] for paint in palette) - COST_BY_COLOUR * (len(palette) - 1))
    for palette in _COMBINATIONS
)
