"""The report's page with many photographs: time to the first view, and memory, in headless Chromium.

    python benchmarks/report_page.py            # 2,000 and 10,000 photographs
    python benchmarks/report_page.py 500        # as many as wanted

The photographs are journal entries that share five pictures. First view: from the start of loading until
every thumbnail that can be seen is there. Longest frame: of thirty turns of the wheel. Needs Debian's
`chromium` and Playwright, which `make test-system` installs.

Chromium 156 on two cores that had other work to do (load 6 to 10), medians of 5; the limit is one second:

    photographs   page     written   first view   script's memory   renderer's memory   elements
          2,000   1.0 MB     1.9 s       0.41 s            2.1 MB              178 MB        671
         10,000   4.3 MB     9.9 s       0.79 s            5.8 MB              198 MB        671
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from tests.browser import DESKTOP, open_browser
from tests.report.outputs import make_many

from cleanplate.report import write_report

RUNS = 5
LIMIT_SECONDS = 1.0
COUNTS = (2000, 10_000)
FIRST_VIEW = """() => {
    const ready = document.documentElement.dataset.ready;
    const shown = [...document.querySelectorAll('.tile img')].filter((image) => {
        const box = image.getBoundingClientRect();
        return box.top < innerHeight && box.bottom > 0;
    });
    return ready && shown.length > 0 && shown.every((image) => image.complete);
}"""
SCROLL = """async () => {
    let longest = 0;
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    for (let turn = 0; turn < 30; turn += 1) {
        const began = performance.now();
        scrollBy(0, 700);
        await frame();
        await frame();
        longest = Math.max(longest, performance.now() - began);
    }
    scrollTo(0, document.documentElement.scrollHeight);
    await frame();
    return longest;
}"""


def measure(browser: Any, address: str) -> dict[str, float]:
    """One visit: seconds to the first view, longest frame, bytes of the script's objects, elements."""
    context = browser.new_context(**DESKTOP)
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    while not page.evaluate(FIRST_VIEW):
        pass
    first_view = time.perf_counter() - began
    longest = page.evaluate(SCROLL)
    session = context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
    resident = max(
        (process.memory_info().rss for process in list_renderers()),
        default=0,
    )
    context.close()
    return {
        "first view, s": first_view,
        "longest frame, ms": longest,
        "script's memory, MB": metrics["JSHeapUsedSize"] / 1e6,
        "renderer's memory, MB": resident / 1e6,
        "elements": metrics["Nodes"],
    }


def list_renderers() -> list[psutil.Process]:
    """The processes of this program's browser that hold pages."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if any("--type=renderer" in word for word in process.cmdline())
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", type=int, nargs="*", default=list(COUNTS), help="how many photographs")
    counts = parser.parse_args().counts
    rows = []
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        for count in counts:
            output = make_many(Path(folder) / f"of-{count}" / "results", count)
            began = time.perf_counter()
            page = write_report(output)
            written = time.perf_counter() - began
            visits = [measure(browser, page.as_uri()) for _ in range(RUNS)]
            figures = {name: statistics.median(visit[name] for visit in visits) for name in visits[0]}
            rows.append(
                {
                    "photographs": count,
                    "page, MB": page.stat().st_size / 1e6,
                    "written, s": written,
                    **figures,
                    "of limit": figures["first view, s"] / LIMIT_SECONDS,
                }
            )
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(f"{value:,.3g}" if value < 1000 else f"{value:,.0f}" for value in row.values()))


if __name__ == "__main__":
    main()
