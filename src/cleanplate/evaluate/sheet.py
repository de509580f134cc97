"""The worst results on one picture, to look at before a figure is believed."""

from __future__ import annotations

import heapq
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cleanplate.evaluate.run import Scored
from cleanplate.structures import Box

PANEL_PX = 240
CAPTION_PX = 18
#: Edge of what is cut out round the mark, in the photograph's pixels.
SMALLEST_CUT_PX, LARGEST_CUT_PX = 96, 480
#: The difference is shown this much stronger, so that what an eye misses in it shows.
DIFFERENCE_GAIN = 4
HEADINGS = ("input", "result", "truth", f"difference x{DIFFERENCE_GAIN}")


class WorstSheet:
    """Keeps a row (input, result, truth, difference round the mark) for each of the worst results seen.

    Worst is the smallest gain inside the marks, or the largest loss of a clean photograph.
    """

    def __init__(self, count: int = 10) -> None:
        self._count = count
        self._rows: list[tuple[float, int, NDArray[np.uint8]]] = []
        self._seen = 0

    def add(self, scored: Scored) -> None:
        """Show a result; its row is kept while it is among the worst. A clean one left alone never is."""
        if scored.score.is_clean and not scored.score.touched:
            return
        self._seen += 1
        rank = -scored.score.gain
        if len(self._rows) == self._count and rank <= self._rows[0][0]:
            return
        heapq.heappush(self._rows, (rank, -self._seen, draw_row(scored)))
        if len(self._rows) > self._count:
            heapq.heappop(self._rows)

    def write(self, path: Path) -> None:
        """Write the sheet as a PNG, the worst row on top; headings alone where nothing was added."""
        rows = [row for _, _, row in sorted(self._rows, key=lambda kept: kept[:2], reverse=True)]
        Image.fromarray(np.concatenate([_draw_headings(), *rows])).save(path, format="PNG")


def draw_row(scored: Scored) -> NDArray[np.uint8]:
    """(PANEL_PX + CAPTION_PX, 4 * PANEL_PX, 3) uint8: a caption over the four panels."""
    rows, columns = choose_cut(scored).slices
    pictures = (scored.triple.marked_u8, scored.result_u8, scored.triple.truth_u8)
    marked, result, truth = (picture[rows, columns] for picture in pictures)
    difference = cv2.absdiff(np.ascontiguousarray(result), np.ascontiguousarray(truth)).astype(np.uint16)
    strong = np.minimum(difference * DIFFERENCE_GAIN, 255).astype(np.uint8)
    panels = [_fit(picture) for picture in (marked, result, truth, strong)]
    score = scored.score
    caption = f"{score.name}  {score.kind}  opacity {score.opacity:.2f}"
    if score.is_clean:
        caption += f"  touched, whole {score.whole_before:.1f} -> {score.whole_after:.1f} dB"
    else:
        caption += f"  inside {score.inside_before:.1f} -> {score.inside_after:.1f} dB"
    if score.error is not None:
        caption += "  no result"
    return np.concatenate([_draw_caption([caption], 4 * PANEL_PX), np.concatenate(panels, axis=1)])


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


def _draw_headings() -> NDArray[np.uint8]:
    return _draw_caption(list(HEADINGS), PANEL_PX)


def _draw_caption(texts: list[str], width: int) -> NDArray[np.uint8]:
    strip = Image.new("RGB", (width * len(texts), CAPTION_PX), "white")
    pen = ImageDraw.Draw(strip)
    for index, text in enumerate(texts):
        pen.text((index * width + 4, 3), text, fill="black")
    return np.asarray(strip)
