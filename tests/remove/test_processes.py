"""Programs that are run: how they end, what is kept of what they say."""

import os
import sys

import pytest

from cleanplate.remove.processes import KEPT_BYTES, Finished, find_descendants, run_bounded


def run(code: str, **options) -> Finished:
    return run_bounded([sys.executable, "-c", code], **{"timeout_seconds": 60, **options})


def test_the_end_of_both_outputs_is_kept():
    finished = run("import sys; print('x' * 300_000); sys.stderr.write('the last\\n\\n'); sys.exit(3)")
    assert (finished.code, finished.timed_out, finished.last_line) == (3, False, "the last")
    assert len(finished.output) <= KEPT_BYTES


def test_time_over_is_told_from_an_exit_code():
    finished = run("import time; time.sleep(600)", timeout_seconds=0.3)
    assert finished.timed_out
    assert finished.last_line == ""


def test_the_environment_is_the_given_one():
    finished = run("import os; print(os.environ['CARD'])", environment={**os.environ, "CARD": "7"})
    assert finished.output == "7\n"


def test_its_input_is_empty():
    assert run("import sys; print(repr(sys.stdin.read()))").last_line == "''"


def test_what_is_not_text_does_no_harm():
    assert run("import sys; sys.stdout.buffer.write(b'\\xff!')").output.endswith("!")


def test_a_program_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="gone"):
        run_bounded([str(tmp_path / "gone")], timeout_seconds=1)


def test_what_is_gone_has_no_descendants():
    assert find_descendants(2**22 + 1) == []
