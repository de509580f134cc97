"""What every test shares. Torch is told to keep idle threads quiet before anything imports it."""

import atexit
import os
import shutil
import signal
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["CLEANPLATE_HOME"] = tempfile.mkdtemp(prefix="cleanplate-tests-")  # never the user's own
os.environ["COLUMNS"] = "120"  # the width that argparse and rich print to, whatever terminal runs the tests

import hypothesis
import pytest

atexit.register(shutil.rmtree, os.environ["CLEANPLATE_HOME"], ignore_errors=True)
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def _hear_ctrl_c():
    """Ctrl-C is heard also where a shell that runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
