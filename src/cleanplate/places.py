"""Places that a user can point at: a box in pixels, or a part of the photograph at a corner or an edge."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from cleanplate.errors import InvalidSettingError

BOX_FORM = "x,y,w,h in pixels from the upper left corner, as in 900,700,200,60"
ANCHOR_FORM = (
    "PLACE:WIDTHxHEIGHT in per cent or pixels, as in bottom-right:20%x8% or top:300x80; a place is center, "
    "or one or two of top, bottom, left, right"
)
_LENGTH = r"(\d+(?:\.\d+)?)(%?)"
_ANCHOR = re.compile(rf"([a-z-]+):{_LENGTH}x{_LENGTH}")
_VERTICAL = {"top": 0.0, "bottom": 1.0}
_HORIZONTAL = {"left": 0.0, "right": 1.0}


@dataclass(frozen=True, slots=True)
class Edges:
    """A rectangle of pixels, right and bottom excluded; `structures.Box` without NumPy."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Length:
    """A length in pixels, or as a share of the photograph's edge."""

    amount: float
    is_share: bool

    def in_pixels(self, edge_px: int) -> int:
        """At least one pixel, at most the edge.

        >>> Length(0.2, is_share=True).in_pixels(1000)
        200
        """
        length = self.amount * edge_px if self.is_share else self.amount
        return min(edge_px, max(1, math.ceil(length - 1e-9)))


@dataclass(frozen=True, slots=True)
class Anchor:
    """A rectangle fastened to a photograph: across and down are 0 (left, top), 0.5 or 1 (right, bottom)."""

    across: float
    down: float
    width: Length
    height: Length

    def place(self, height: int, width: int) -> Edges:
        """The pixels of a photograph of this size.

        >>> parse_anchor("bottom-right:20%x8%").place(1000, 2000)
        Edges(left=1600, top=920, right=2000, bottom=1000)
        """
        own_width, own_height = self.width.in_pixels(width), self.height.in_pixels(height)
        left, top = round(self.across * (width - own_width)), round(self.down * (height - own_height))
        return Edges(left, top, left + own_width, top + own_height)


def parse_box(text: str) -> Edges:
    """A box from `x,y,w,h`. Raises InvalidSettingError where it is none.

    >>> parse_box("900,700,200,60")
    Edges(left=900, top=700, right=1100, bottom=760)
    """
    numbers = [part.strip() for part in text.split(",")] if isinstance(text, str) else []
    if len(numbers) != 4 or not all(number.isdecimal() for number in numbers):
        raise InvalidSettingError("box", text, BOX_FORM)
    left, top, width, height = map(int, numbers)
    if width < 1 or height < 1:
        raise InvalidSettingError("box", text, "a width and a height from 1; " + BOX_FORM)
    return Edges(left, top, left + width, top + height)


def parse_anchor(text: str) -> Anchor:
    """An anchor from `PLACE:WIDTHxHEIGHT`. Raises InvalidSettingError where it is none.

    >>> parse_anchor("top:300x80").across
    0.5
    """
    found = _ANCHOR.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    if found is None:
        raise InvalidSettingError("anchor", text, ANCHOR_FORM)
    place, wide, wide_sign, high, high_sign = found.groups()
    words = place.split("-")
    down = [_VERTICAL[word] for word in words if word in _VERTICAL]
    across = [_HORIZONTAL[word] for word in words if word in _HORIZONTAL]
    known = len(down) <= 1 and len(across) <= 1 and len(down) + len(across) == len(words)
    if not known and words != ["center"]:
        raise InvalidSettingError("anchor", text, ANCHOR_FORM)
    lengths = []
    for amount, sign in ((wide, wide_sign), (high, high_sign)):
        length = Length(float(amount) / 100, is_share=True) if sign else Length(float(amount), is_share=False)
        if length.amount <= 0 or (length.is_share and length.amount > 1):
            raise InvalidSettingError("anchor", text, "lengths above 0, up to 100%; " + ANCHOR_FORM)
        lengths.append(length)
    return Anchor(across[0] if across else 0.5, down[0] if down else 0.5, *lengths)
