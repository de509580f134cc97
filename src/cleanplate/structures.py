"""What travels between the layers, frozen: `Photo`, `Mark`, `UsualPlace`, `Placement`, `Detection`,
`Rewritten`, `Repair`, `Outcome`, `Box`.

Arrays are NumPy, channels last. `rgb` without a suffix has the photograph's own depth (uint8 or uint16);
`rgb_u8` is 8-bit, `rgb_f32` float32 in [0, 1]. Nobody writes into an array that came in one of these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RgbArray = NDArray[np.uint8] | NDArray[np.uint16]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A rectangle of pixels, right and bottom excluded.

    >>> Box(10, 20, 30, 50).area
    600
    """

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, marked: BoolArray) -> Box | None:
        """The box round all that an (H, W) bool plane marks; None where it marks nothing.

        >>> Box.around(np.array([[False, False], [False, True]]))
        Box(left=1, top=1, right=2, bottom=2)
        """
        rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
        if not rows.size:
            return None
        return cls(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def area(self) -> int:
        return max(0, self.width) * max(0, self.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an (H, W, ...) array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, by_px: int, width: int, height: int) -> Box:
        """The box grown by `by_px` on every side, kept inside a picture of `width` x `height`.

        >>> Box(1, 1, 3, 3).grown(2, width=4, height=10)
        Box(left=0, top=0, right=4, bottom=5)
        """
        return Box(
            max(0, self.left - by_px),
            max(0, self.top - by_px),
            min(width, self.right + by_px),
            min(height, self.bottom + by_px),
        )

    def aligned(self, step_px: int, width: int, height: int) -> Box:
        """The box with edges of multiples of `step_px`, larger on both sides, inside `width` x `height`.

        Where the picture ends it is moved inwards, and where that is too small it is as long as the picture.

        >>> Box(1, 3, 8, 8).aligned(8, width=20, height=6)
        Box(left=1, top=0, right=9, bottom=6)
        """
        left, right = _stretch(self.left, self.right, width, step_px)
        top, bottom = _stretch(self.top, self.bottom, height, step_px)
        return Box(left, top, right, bottom)

    def moved(self, right_px: int, down_px: int) -> Box:
        """The box elsewhere.

        >>> Box(0, 0, 2, 2).moved(5, 7)
        Box(left=5, top=7, right=7, bottom=9)
        """
        return Box(self.left + right_px, self.top + down_px, self.right + right_px, self.bottom + down_px)

    def scaled(self, by: float) -> Box:
        """The box on a photograph that was scaled, of at least one pixel.

        >>> Box(10, 20, 31, 41).scaled(0.5)
        Box(left=5, top=10, right=16, bottom=20)
        """
        left, top = int(self.left * by), int(self.top * by)
        right, bottom = round(self.right * by), round(self.bottom * by)
        return Box(left, top, max(left + 1, right), max(top + 1, bottom))

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def overlaps(self, other: Box) -> bool:
        """Whether the two share a pixel."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def _stretch(start: int, end: int, limit: int, step_px: int) -> tuple[int, int]:
    length = min(limit, end - start + -(end - start) % step_px)
    start = min(max(0, start - (length - (end - start)) // 2), limit - length)
    return start, start + length


@dataclass(frozen=True, eq=False)
class Quantisation:
    """Steps that a JPEG file rounded the coefficients of its 8 x 8 blocks to, in grey levels.

    luma, chroma: (8, 8) float32, frequencies downwards by rows, across by columns. halved: whether colour was
    kept at half the resolution, (across, down).
    """

    luma: FloatArray
    chroma: FloatArray
    halved: tuple[bool, bool]


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph as it was read.

    rgb: (H, W, 3) uint8 or uint16, upright (EXIF orientation applied), in the file's own colour space; grey
        files have three equal channels, CMYK and palette files are converted for looking.
    container: what `images.write` needs to store it as it came (samples in their own mode, metadata, tables);
        opaque to every other layer.
    asked_again: whether it will be looked at a second time: what is found in it is then worth keeping.
    glance: whether a finder's first look is enough, as where several photographs are asked about one place.
    quantisation: how coarsely a JPEG file was rounded; None for other formats. exact: whether its file gives
        back the very pixels that it holds; None: only its name tells. since: what was found in it before
        parts of it were rewritten; None: all of it is new.
    """

    path: Path
    rgb: RgbArray
    container: Any
    asked_again: bool = False
    glance: bool = False
    quantisation: Quantisation | None = None
    exact: bool | None = None
    since: Rewritten | None = None

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])

    @property
    def orientation(self) -> int:
        """EXIF's 1 to 8: how the file's pixels were turned to be upright; 1: not at all."""
        return int(getattr(self.container, "orientation", 1))

    @property
    def halved(self) -> tuple[bool, bool]:
        """Whether its file holds colours at half the resolution, (across, down)."""
        return (False, False) if self.quantisation is None else self.quantisation.halved

    @property
    def rgb_u8(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: the photograph for looking at, whatever its depth."""
        if self.rgb.dtype == np.uint8:
            return self.rgb  # type: ignore[return-value]  # narrowed by the dtype test, which mypy cannot see
        return ((self.rgb.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels held for looking (the container holds about as many again)."""
        return int(self.rgb.nbytes)


@dataclass(frozen=True, eq=False)
class Mark:
    """A watermark as a layer: `J = (1 - alpha) * I + alpha * colour`.

    alpha: (h, w) float32 in [0, 1], the opacity of every pixel (straight, not premultiplied).
    rgb: (h, w, 3) float32 in [0, 1].
    kind: what was drawn ("text", "logo", "stamp", "tiled") or "estimated", "given".
    photographs: from how many it was worked out; 0: from none, or that is not known.
    place: where most photographs have it; None: not known, as of a part of it or of another size.
    """

    alpha: FloatArray
    rgb: FloatArray
    kind: str = "given"
    photographs: int = 0
    place: UsualPlace | None = None


@dataclass(frozen=True, slots=True)
class UsualPlace:
    """Where most of the photographs that share a mark have it.

    left, top: its upper left corner on a photograph of width x height, in pixels. anchor: (across, down),
    from where it keeps its distance on photographs of other sizes: 0 the left or upper edge, 0.5 the middle,
    1 the right or lower edge; None: on those it is not known.
    """

    left: int
    top: int
    width: int
    height: int
    anchor: tuple[float, float] | None = None

    def on(self, width: int, height: int) -> tuple[Placement, ...]:
        """At which whole pixels a photograph of this size has it: two or four where half pixels come out.

        >>> [(at.left, at.top) for at in UsualPlace(80, 10, 100, 50, (1, 0)).on(120, 40)]
        [(100, 10)]
        >>> [(at.left, at.top) for at in UsualPlace(40, 10, 100, 50, (0.5, 0)).on(103, 50)]
        [(41, 10), (42, 10)]
        >>> UsualPlace(40, 10, 100, 50).on(103, 50)
        ()
        """
        if self.anchor is None and (width, height) != (self.width, self.height):
            return ()
        across, down = self.anchor or (0, 0)
        left = self.left + across * (width - self.width)
        top = self.top + down * (height - self.height)
        lefts, tops = {math.floor(left), math.ceil(left)}, {math.floor(top), math.ceil(top)}
        return tuple(Placement(x, y) for y in sorted(tops) for x in sorted(lefts))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a known mark lies on a photograph.

    left, top: the mark's upper left corner in pixels of the photograph, fractions allowed, negative where it
    reaches over the edge. scale: a pixel of the mark covers so many of the photograph. score: how surely it
    is there, in [0, 1]. deviations: by how many standard deviations it stands out from all other places, 0
    where it was not looked for among them.
    """

    left: float
    top: float
    scale: float = 1.0
    score: float = 1.0
    deviations: float = 0.0


@dataclass(frozen=True, eq=False)
class Rewritten:
    """What has happened to a photograph since it was last looked at.

    found: what was found then. boxes: round all that was rewritten since, one at least.
    """

    found: Detection
    boxes: tuple[Box, ...]


@dataclass(frozen=True, eq=False)
class Detection:
    """Where a photograph's visible marks are.

    probability: (H, W) float32 in [0, 1] at the photograph's own size; where it is given the mask itself.
    mask: (H, W) bool, the pixels taken for marked.
    boxes: one round each group of marked pixels, largest first.
    share: the part of the photograph that the boxes cover, in [0, 1]; compared with `threshold`.
    score: mean probability over the mask, 0 where nothing is marked.
    given: whether a person or another program said so: it holds at any share, and is not looked for again.
    notes: things its photograph's owner should know (a mask was resized).
    looked: (h, w) float16, the detector's own answer at the size at which it looked, for it to go on from
        where only a part of the photograph is new (`Photo.since`); None: it has to look at all of it again.
    """

    probability: FloatArray | BoolArray
    mask: BoolArray
    boxes: tuple[Box, ...]
    share: float
    score: float
    given: bool = False
    notes: tuple[str, ...] = ()
    looked: NDArray[np.float16] | None = None


class Method(StrEnum):
    """What was done to a region."""

    UNBLENDED = "unblended"
    RESTORED = "restored"
    FILLED = "filled"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Region:
    """One region of a photograph and what was done to it.

    opacity: estimated, in [0, 1], or None where it was not needed. confidence: how well the chosen way
    explains the pixels, in [0, 1].
    """

    box: Box
    method: Method
    opacity: float | None
    confidence: float


class Verdict(StrEnum):
    """What became of a photograph."""

    REPAIRED = "repaired"
    CLEAN = "clean"
    UNDER_THRESHOLD = "under_threshold"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Repair:
    """What the pipeline gives back for one photograph.

    rgb: (H, W, 3), the photograph's own dtype; equal to the input's outside `changed`. The input's own array
        where the verdict is not REPAIRED.
    changed: (H, W) bool, the pixels that were rewritten.
    first: the detection of the first round (its share, score and boxes go to the journal).
    """

    verdict: Verdict
    rgb: RgbArray
    changed: BoolArray
    first: Detection
    regions: tuple[Region, ...] = ()
    rounds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of the journal: what became of one input file.

    `relative` is the input's name under its root with forward slashes (unique in a run); `output` the written
    file's name under the output folder, or None. `seconds` are by stage ("read", "detect", "remove", "write",
    ...). `batch`: photographs that went through the networks together with it, itself included. `notes` are
    things its owner should know (subsampling changed, C2PA no longer valid).
    """

    source: Path
    relative: str
    verdict: Verdict
    output: str | None = None
    share: float = 0.0
    score: float = 0.0
    rounds: int = 0
    width: int = 0
    height: int = 0
    regions: tuple[Region, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    batch: int = 0
    notes: tuple[str, ...] = ()
    cause: str | None = None
    remedy: str | None = None
    input_sha256: str | None = None
    settings_key: str | None = None
