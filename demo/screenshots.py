"""Takes the documentation's pictures of the report and the review page.

    python demo/screenshots.py OUT --look rocket.jpg --paint coffee.jpg

OUT is the output folder of a repair with --report; `--look` names the photograph that is shown large,
`--paint` the one whose mask is being painted. Only the report in OUT is written anew. Needs Debian's
`chromium` and Playwright, which `make test-system` installs.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.browser import PHONE, Visit, open_browser

from cleanplate.report import write_report
from cleanplate.review.desk import Desk, read_run_settings
from cleanplate.review.live import NoRun
from cleanplate.review.serve import Server

DOCS = Path(__file__).resolve().parents[1] / "docs"
WINDOW = {"viewport": {"width": 1180, "height": 760}}
#: Where the lasso goes, as shares of the photograph.
LASSO = ((0.50, 0.44), (0.62, 0.30), (0.80, 0.20), (0.83, 0.27), (0.68, 0.40), (0.55, 0.50))
SETTLE_MS = 900


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--look", required=True)
    parser.add_argument("--paint", required=True)
    arguments = parser.parse_args()
    report = write_report(arguments.output).absolute().as_uri()
    with open_browser() as browser:

        def take(steps: Callable[[Visit], None], address: str, **looks: Any) -> Image.Image:
            seen = Visit(browser, address, **{**WINDOW, **looks})
            steps(seen)
            seen.page.wait_for_timeout(SETTLE_MS)
            picture = Image.open(io.BytesIO(seen.page.screenshot())).convert("RGB")
            seen.close()
            return picture

        def look(seen: Visit) -> None:
            seen.open(arguments.look)

        save(take(lambda _: None, report), "report.jpg")
        save(take(look, report, color_scheme="dark"), "report-photograph.jpg")
        save(take(show_run, report, viewport={"width": 1180, "height": 1180}), "report-run.jpg")
        phones = [
            take(lambda _: None, report, **PHONE),
            take(look, report, **PHONE),
            take(lambda _: None, report, **PHONE, color_scheme="dark", locale="zh-CN"),
        ]
        save(put_side_by_side(phones), "report-phone.jpg")
        desk = Desk(arguments.output, read_run_settings(arguments.output))
        with desk.opened(), Server(desk, NoRun(desk)) as server:
            save(take(lambda seen: paint(seen, arguments.paint), server.make_address()), "review.jpg")


def show_run(seen: Visit) -> None:
    """The charts."""
    seen.page.get_by_role("tab", name="The run").click()


def paint(seen: Visit, name: str) -> None:
    """The mask of a photograph, and a lasso round a part of it."""
    page = seen.page
    seen.open(name)
    page.keyboard.press("e")
    page.wait_for_timeout(SETTLE_MS)
    page.get_by_role("button", name="Lasso").click()
    box = page.locator("canvas.paint").bounding_box()
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in LASSO]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Brush").click()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.6)


def put_side_by_side(pictures: list[Image.Image], gap_px: int = 24) -> Image.Image:
    """Pictures in a row, at half their size, on white."""
    halves = [picture.resize((picture.width // 2, picture.height // 2)) for picture in pictures]
    width = sum(half.width for half in halves) + gap_px * (len(halves) - 1)
    row = Image.new("RGB", (width, max(half.height for half in halves)), "white")
    left = 0
    for half in halves:
        row.paste(half, (left, 0))
        left += half.width + gap_px
    return row


def save(picture: Image.Image, name: str) -> None:
    """Write a picture into docs/ and say so."""
    picture.save(DOCS / name, quality=86, optimize=True)
    print(DOCS / name, picture.size)


if __name__ == "__main__":
    main()
