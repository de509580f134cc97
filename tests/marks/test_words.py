"""What marks say."""

import re

import numpy as np
import pytest

from cleanplate.marks import words


@pytest.mark.parametrize(
    ("script", "pattern"),
    [
        ("chinese", "[\u4e00-\u9fff]+"),
        ("japanese", "[\u3040-\u30ff\u4e00-\u9fff]+"),
        ("korean", "[\uac00-\ud7af]+"),
    ],
)
def test_words_are_in_their_script(script, pattern):
    rng = np.random.default_rng(0)
    drawn = {words.choose_words(rng, script) for _ in range(60)}
    assert len(drawn) > 5
    assert all(re.fullmatch(pattern, text) for text in drawn)


def test_latin_words_are_many_and_short():
    rng = np.random.default_rng(0)
    drawn = [words.choose_words(rng) for _ in range(300)]
    assert len(set(drawn)) > 200
    assert all(2 <= len(text) <= 40 for text in drawn)
    assert any(text.isupper() for text in drawn)


def test_dates_look_like_a_cameras():
    rng = np.random.default_rng(0)
    assert all(re.fullmatch(r"['0-9/:. -]+", words.choose_date(rng)) for _ in range(100))
