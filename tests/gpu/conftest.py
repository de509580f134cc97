"""The check on a real card (`make gpu-check`): says so where there is none.

Every figure is told as soon as it is there, since time on a card may end before the tests do, and again as a
table at the end.
"""

from collections.abc import Callable

import pytest

from cleanplate.device.selection import resolve_device
from cleanplate.errors import UsageError

_figures: list[tuple[str, str]] = []


@pytest.fixture(autouse=True, scope="session")
def _card() -> None:
    try:
        resolve_device("cuda")
    except UsageError as error:
        pytest.exit(f"nothing was checked, there is no card to check on: {error}", returncode=1)


@pytest.fixture
def note_figure(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """Puts a line into the table: what was measured, and the figure with its unit."""
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def note(what: str, figure: str) -> None:
        _figures.append((what, figure))
        with capture.global_and_fixture_disabled():  # else it is kept back until the test's end, or lost
            reporter.write_line(f"\n{what}  {figure}", flush=True)

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _figures:
        return
    terminalreporter.section("figures of this card")
    width = max(len(what) for what, _ in _figures)
    for what, figure in _figures:
        terminalreporter.write_line(f"{what:<{width}}  {figure}")
