"""Folders that the tests of the report share; they only read them."""

from pathlib import Path

import pytest

from cleanplate.engine import run
from cleanplate.engine.policy import PlainPolicy
from cleanplate.report import write_report
from tests.report.outputs import make_output


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run over photographs of all kinds, with masks and report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "choose_policy", lambda *_, **__: PlainPolicy())
        made = make_output(tmp_path_factory.mktemp("report") / "<b>folder & more")
    write_report(made)
    return made
