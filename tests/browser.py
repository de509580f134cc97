"""A real browser for the tests marked `system`: Debian's Chromium, driven by Playwright, and axe-core."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ARGUMENTS = (
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)
AXE = "axe-core@4"
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium with an empty profile."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    assert program, "chromium is not installed; `make test-system` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visit:
    """A page that is looked at, and all that went wrong on it.

    requests: addresses that it asked for. troubles: errors, questions, and what its policy stopped.
    """

    def __init__(self, browser: Any, address: str, **looks: Any) -> None:
        self.context = browser.new_context(**{**DESKTOP, **looks})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.troubles: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.troubles.append(dialog.message), dialog.dismiss()))
        self.page.on("console", self._hear)
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready]")

    def _hear(self, message: Any) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.troubles.append(message.text)

    def tile(self, name: str) -> Any:
        """The tile of the photograph of this name."""
        return self.page.locator(".tile", has=self.page.locator(".name", has_text=name)).first

    def open(self, name: str) -> None:
        """Open a photograph, and wait until it is decoded."""
        self.tile(name).click()
        self.wait("[...document.querySelectorAll('.stage .whole')].every((image) => image.naturalWidth > 0)")

    def wait(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until an expression is true. (Playwright's own way evaluates text, which the page forbids.)"""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never true: {expression}"
            self.page.wait_for_timeout(20)

    def count_faults(self, axe: str) -> list[str]:
        """Accessibility faults that axe-core calls serious or critical, with the elements."""
        self.page.evaluate(axe)
        found = self.page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
            ".filter((fault) => ['serious', 'critical'].includes(fault.impact))"
            ".map((fault) => `${fault.id}: ${fault.nodes.map((node) => node.html.slice(0, 99)).join(' | ')}`)"
        )
        return list(found)

    def close(self) -> None:
        self.context.close()


def fetch_axe(folder: Path) -> str:
    """axe-core's script (MPL-2.0), from npm's registry."""
    npm = shutil.which("npm")
    assert npm, "npm is not installed; `make test-system` installs it"
    packed = subprocess.run(
        [npm, "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True, text=True, timeout=120
    )
    with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode("utf-8")
