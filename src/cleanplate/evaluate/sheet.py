"""The worst results, or where two differ most, on one picture: to look at before a figure is believed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cleanplate.evaluate.run import Scored
from cleanplate.evaluate.score import PhotoScore
from cleanplate.structures import Box

PANEL_PX = 240
CAPTION_PX = 18
#: Edge of what is cut out round the mark, in the photograph's pixels.
SMALLEST_CUT_PX, LARGEST_CUT_PX = 96, 480
#: The difference is shown this much stronger, so that what an eye misses in it shows.
DIFFERENCE_GAIN = 4
HEADINGS = ("input", "result", "truth", f"difference x{DIFFERENCE_GAIN}")
PAIR_HEADINGS = ("input", "A", "B", "truth")


class Sheet:
    """Keeps the rows of highest rank that it is given, and writes them as one picture."""

    def __init__(self, headings: Sequence[str], count: int = 10) -> None:
        self._headings, self._count = headings, count
        self._rows: list[tuple[float, int, NDArray[np.uint8]]] = []
        self._seen = 0

    def keep(self, rank: float, draw: Callable[[], NDArray[np.uint8]]) -> None:
        """Keep a row while its rank is among the highest; of equal ranks the earlier stays."""
        self._seen += 1
        if len(self._rows) == self._count and rank <= self._rows[0][0]:
            return
        heapq.heappush(self._rows, (rank, -self._seen, draw()))
        if len(self._rows) > self._count:
            heapq.heappop(self._rows)

    def write(self, path: Path) -> None:
        """Write the sheet as a PNG, the highest rank on top; headings alone where nothing was added."""
        rows = [row for _, _, row in sorted(self._rows, key=lambda kept: kept[:2], reverse=True)]
        headings = _draw_caption(self._headings, PANEL_PX)
        Image.fromarray(np.concatenate([headings, *rows])).save(path, format="PNG")


class WorstSheet(Sheet):
    """A row (input, result, truth, difference round the mark) for each of the worst results seen.

    Worst is the smallest gain inside the marks, or the largest loss of a clean photograph.
    """

    def __init__(self, count: int = 10) -> None:
        super().__init__(HEADINGS, count)

    def add(self, scored: Scored) -> None:
        """Show a result; its row is kept while it is among the worst. A clean one left alone never is."""
        if not scored.score.is_clean or scored.score.touched:
            self.keep(-scored.score.gain, lambda: draw_row(scored))


class PairSheet(Sheet):
    """A row (input, both results, truth) for each of the triples on which two sides differ most."""

    def __init__(self, count: int = 10) -> None:
        super().__init__(PAIR_HEADINGS, count)

    def add(self, first: Scored, second: Scored, lead: float) -> None:
        """Show two results; lead: dB by which the second is better. Equal ones are passed over."""
        if lead:
            self.keep(abs(lead), lambda: draw_pair(first, second))


def draw_row(scored: Scored) -> NDArray[np.uint8]:
    """(PANEL_PX + CAPTION_PX, 4 * PANEL_PX, 3) uint8: a caption over the four panels."""
    rows, columns = choose_cut(scored).slices
    pictures = (scored.triple.marked_u8, scored.result_u8, scored.triple.truth_u8)
    marked, result, truth = (picture[rows, columns] for picture in pictures)
    difference = cv2.absdiff(np.ascontiguousarray(result), np.ascontiguousarray(truth)).astype(np.uint16)
    strong = np.minimum(difference * DIFFERENCE_GAIN, 255).astype(np.uint8)
    score = scored.score
    caption = _describe(score)
    if score.is_clean:
        caption += f"  touched, whole {score.whole_before:.1f} -> {score.whole_after:.1f} dB"
    else:
        caption += f"  inside {score.inside_before:.1f} -> {score.inside_after:.1f} dB"
    if score.error is not None:
        caption += "  no result"
    return _join_panels(caption, (marked, result, truth, strong))


def draw_pair(first: Scored, second: Scored) -> NDArray[np.uint8]:
    """The same size as `draw_row`: input, both results and the truth, cut where the worse of them errs."""
    worse = min(first, second, key=lambda scored: scored.score.gain)
    rows, columns = choose_cut(worse).slices
    triple = first.triple
    one, other = first.score, second.score
    if one.is_clean:
        change = f"  whole {one.whole_before:.1f} -> A {one.whole_after:.1f}, B {other.whole_after:.1f} dB"
    else:
        change = (
            f"  inside {one.inside_before:.1f} -> A {one.inside_after:.1f}, B {other.inside_after:.1f} dB"
        )
    pictures = (triple.marked_u8, first.result_u8, second.result_u8, triple.truth_u8)
    return _join_panels(_describe(one) + change, [picture[rows, columns] for picture in pictures])


def choose_cut(scored: Scored) -> Box:
    """What is shown: the mark with a margin; of a large one, the part round its largest error."""
    triple, result = scored.triple, scored.result_u8
    height, width = triple.opacity.shape
    error = np.asarray(cv2.absdiff(result, triple.truth_u8)).max(axis=2).astype(np.float32)
    shown = triple.inside if not triple.is_clean else np.asarray(error > 0)
    if not shown.any():
        shown = np.ones_like(shown)
    rows, columns = np.nonzero(shown)
    box = Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    middle = ((box.left + box.right) // 2, (box.top + box.bottom) // 2)
    edge = int(np.clip(1.3 * max(box.width, box.height), SMALLEST_CUT_PX, LARGEST_CUT_PX))
    if max(box.width, box.height) > edge:
        blurred = np.asarray(cv2.blur(error * shown, (edge // 4, edge // 4)))
        row, column = np.unravel_index(int(blurred.argmax()), blurred.shape)
        middle = (int(column), int(row))
    left = int(np.clip(middle[0] - edge // 2, 0, max(0, width - edge)))
    top = int(np.clip(middle[1] - edge // 2, 0, max(0, height - edge)))
    return Box(left, top, min(width, left + edge), min(height, top + edge))


def _fit(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A panel with the picture as large as fits, pixels kept square."""
    scale = (PANEL_PX - 4) / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    fitted = cv2.resize(np.ascontiguousarray(picture), size, interpolation=interpolation)
    panel = np.full((PANEL_PX, PANEL_PX, 3), 255, np.uint8)
    top, left = (PANEL_PX - size[1]) // 2, (PANEL_PX - size[0]) // 2
    panel[top : top + size[1], left : left + size[0]] = fitted
    return panel


def _describe(score: PhotoScore) -> str:
    return f"{score.name}  {score.kind}  opacity {score.opacity:.2f}"


def _join_panels(caption: str, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    panels = np.concatenate([_fit(picture) for picture in pictures], axis=1)
    return np.concatenate([_draw_caption([caption], panels.shape[1]), panels])


def _draw_caption(texts: Sequence[str], width: int) -> NDArray[np.uint8]:
    strip = Image.new("RGB", (width * len(texts), CAPTION_PX), "white")
    pen = ImageDraw.Draw(strip)
    for index, text in enumerate(texts):
        pen.text((index * width + 4, 3), text, fill="black")
    return np.asarray(strip)
