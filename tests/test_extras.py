"""Optional imports fail at use, with the command that mends it."""

import json

import pytest

from cleanplate.errors import MissingExtraError
from cleanplate.extras import require


def test_an_installed_module_is_given_back():
    assert require("json", extra="none") is json


def test_a_missing_module_names_the_command():
    with pytest.raises(MissingExtraError, match=r"pip install 'cleanplate\[heic\]'"):
        require("no_such_module_at_all", extra="heic")
