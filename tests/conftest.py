"""What every test shares. Torch is told to keep idle threads quiet before anything imports it."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["COLUMNS"] = "120"  # the width that argparse and rich print to, whatever terminal runs the tests

import hypothesis

hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("suite")
